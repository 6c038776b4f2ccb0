import type { FileStat, GuestView } from '../guest/guest.ts';
import type { Look } from './facts.ts';

/** What nvidia-gridd needs of the system around it. */
export interface SurroundingsFact {
  /** /var/lib/nvidia, where the daemon keeps what it knows; undefined: it is not there. */
  readonly stateFolder: FileStat | undefined;
  /** The line of /proc/self/mounts by which that folder cannot be written; undefined: it can. */
  readonly readOnlyMount: string | undefined;
  /** Room for new files there. */
  readonly freeBytes: number | undefined;
  /** The policy by which others may ask the daemon over D-Bus; undefined: it is nowhere. */
  readonly dbusPolicy: string | undefined;
  /** Set on a guest of Azure, by the mark that its hypervisor gives the chassis. */
  readonly azure: AzureFact | undefined;
}

interface AzureFact {
  readonly evidence: { readonly at: string; readonly shows: string };
  /** Units of the key-value daemon that systemd knows here, with their state; empty: none is installed. */
  readonly keyValueDaemon: readonly { readonly unit: string; readonly active: string }[];
}

export const STATE_FOLDER = '/var/lib/nvidia';
const POLICY = 'dbus-1/system.d/nvidia-grid.conf';
const POLICIES = [`/etc/${POLICY}`, `/usr/share/${POLICY}`];
const CHASSIS = '/sys/class/dmi/id/chassis_asset_tag';
/** As cloud-init knows Azure (DataSourceAzure.py). */
const AZURE_CHASSIS = '7783-7084-3265-9085-8269-3286-77';
/** Debian and Ubuntu; Red Hat; SUSE. */
const KEY_VALUE_DAEMONS = ['hv-kvp-daemon.service', 'hypervkvpd.service', 'hv_kvp_daemon.service'];

export async function collectSurroundings({ guest }: Look): Promise<SurroundingsFact> {
  const [stateFolder, mounts, freeBytes, policies, chassis] = await Promise.all([
    guest.stat(STATE_FOLDER),
    guest.readText('/proc/self/mounts'),
    guest.freeBytes(STATE_FOLDER),
    Promise.all(POLICIES.map(async path => ((await guest.stat(path)) ? path : undefined))),
    guest.readText(CHASSIS),
  ]);
  return {
    stateFolder,
    readOnlyMount: readOnlyMountOf(STATE_FOLDER, mounts ?? ''),
    freeBytes,
    dbusPolicy: policies.find(path => path !== undefined),
    azure: chassis?.trim() === AZURE_CHASSIS ? await lookAtAzure(guest) : undefined,
  };
}

/** Why nvidia-gridd cannot keep its state, what shows it, and what to do. */
export interface StateFolderFault {
  readonly because: string;
  readonly at: string;
  readonly shows: string;
  readonly remedy: string;
}

/** undefined: nothing that can be seen keeps nvidia-gridd from writing there. */
export function stateFolderFault({
  stateFolder,
  readOnlyMount,
  freeBytes,
}: SurroundingsFact): StateFolderFault | undefined {
  if (readOnlyMount !== undefined) {
    return {
      because: `${STATE_FOLDER} is on a file system that is mounted read-only`,
      at: '/proc/self/mounts',
      shows: readOnlyMount,
      remedy: `find out why it is read-only (dmesg: a file system with errors is mounted so), let it be written (mount -o remount,rw, or a writable file system of its own at ${STATE_FOLDER}), then ${RESTART}`,
    };
  }
  if (stateFolder?.kind !== 'directory') {
    const shows = stateFolder ? 'no directory' : 'not there';
    return {
      because: `${STATE_FOLDER} is ${shows}`,
      at: STATE_FOLDER,
      shows,
      remedy: `${stateFolder ? `move it away, then ` : ''}install -d -m 0755 -o root -g root ${STATE_FOLDER}, then ${RESTART}`,
    };
  }
  if (freeBytes !== 0) return undefined;
  return {
    because: `the file system of ${STATE_FOLDER} has no room left`,
    at: `df ${STATE_FOLDER}`,
    shows: '0 bytes available',
    remedy: `make room there, then ${RESTART}`,
  };
}

const RESTART = 'systemctl restart nvidia-gridd';

/** The mount that holds a path is the last one of the longest mount point above it. */
function readOnlyMountOf(path: string, mounts: string): string | undefined {
  const above = mounts
    .split('\n')
    .map(line => ({ line, point: line.split(' ')[1] ?? '', options: line.split(' ')[3]?.split(',') ?? [] }))
    .filter(({ point }) => point === '/' || path === point || (point !== '' && path.startsWith(`${point}/`)));
  const longest = above.reduce((length, { point }) => Math.max(length, point.length), 0);
  const holder = above.findLast(({ point }) => point.length === longest);
  return holder?.options.includes('ro') ? holder.line : undefined;
}

async function lookAtAzure(guest: GuestView): Promise<AzureFact> {
  const states = await Promise.all(
    KEY_VALUE_DAEMONS.map(async unit => {
      const { stdout } = await guest.query(['systemctl', 'show', unit, '-p', 'LoadState', '-p', 'ActiveState']);
      const active = /^ActiveState=(.*)$/m.exec(stdout)?.[1] ?? 'unknown';
      return /^LoadState=loaded$/m.test(stdout) ? [{ unit, active }] : [];
    }),
  );
  return { evidence: { at: CHASSIS, shows: AZURE_CHASSIS }, keyValueDaemon: states.flat() };
}
