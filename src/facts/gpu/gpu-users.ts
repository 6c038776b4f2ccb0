import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';

/** A process that has a device of the driver open, which keeps the driver in memory. */
export interface GpuUser {
  readonly pid: number;
  readonly name: string;
  /** The systemd unit that it belongs to; undefined: none. */
  readonly unit: string | undefined;
  readonly device: string;
}

/** Of these units this program takes care itself while a driver is replaced. */
export const OWN_UNITS: readonly string[] = ['nvidia-gridd.service', 'nvidia-persistenced.service'];

/** Only where the driver in memory is to be replaced: every open file of every process has to be looked at for it. */
export async function collectGpuUsers({ guest, fact }: Look): Promise<readonly GpuUser[]> {
  const [{ loaded }, given] = await Promise.all([fact('driver'), fact('driverPackage')]);
  if (loaded === undefined || given.is !== 'present' || given.version === loaded) return [];
  return await findUsers(guest);
}

/** Whoever holds the driver that is in memory, whatever is to become of it. */
export async function collectGpuHolders({ guest, fact }: Look): Promise<readonly GpuUser[]> {
  return (await fact('driver')).loaded === undefined ? [] : await findUsers(guest);
}

async function findUsers(guest: GuestView): Promise<readonly GpuUser[]> {
  const pids = (await guest.list('/proc')).filter(name => /^\d+$/.test(name));
  const users = await Promise.all(pids.map(pid => lookAt(guest, pid)));
  return users.filter(user => user !== undefined).filter(({ unit }) => unit === undefined || !OWN_UNITS.includes(unit));
}

async function lookAt(guest: GuestView, pid: string): Promise<GpuUser | undefined> {
  try {
    const open = await guest.list(`/proc/${pid}/fd`);
    const targets = await Promise.all(open.map(number => guest.readLink(`/proc/${pid}/fd/${number}`)));
    const device = targets.find(target => target?.startsWith('/dev/nvidia'));
    if (device === undefined) return undefined;
    const [name, group] = await Promise.all([
      guest.readText(`/proc/${pid}/comm`),
      guest.readText(`/proc/${pid}/cgroup`),
    ]);
    const unit = /\/([^/\n]+\.(?:service|scope))\s*$/.exec(group ?? '')?.[1];
    return { pid: Number(pid), name: name?.trim() || 'unknown', unit, device };
  } catch {
    return undefined; // it has ended meanwhile, or it is nobody's business but its own
  }
}
