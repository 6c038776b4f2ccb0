import type { GuestView } from '../guest/guest.ts';

/** A program at work on what a deed is about to change. */
export interface Neighbour {
  readonly name: string;
  readonly pid: string;
}

/** By the first 15 letters of a program's name, which are all that the kernel keeps (proc(5), comm); a script has its own name. */
const COMM_LETTERS = 15;
/** What makes an initrd, or calls what does. */
export const INITRD_PROGRAMS = ['dracut', 'mkinitrd', 'mkinitramfs', 'update-initramfs', 'kernel-install', 'dkms'];
/** What builds or installs modules. */
export const MODULE_PROGRAMS = ['dkms', 'akmods', ...INITRD_PROGRAMS];

const CLOUD_INIT = 'cloud-init';
const CLOUD_INIT_LOG = '/var/log/cloud-init.log';
const LOG_END_BYTES = 256 * 1024;
/** Its events as reporting/handlers.py writes them; newer releases write the module with underscores. */
const PACKAGE_STAGE = /: (start|finish): modules-\w+\/config-package[-_]update[-_]upgrade[-_]install:/g;

/** Processes of these names, but for those that have called this program. */
export async function findNeighbours(guest: GuestView, names: readonly string[]): Promise<readonly Neighbour[]> {
  const pids = (await guest.list('/proc')).filter(name => /^\d+$/.test(name));
  const callers = await callersOf(guest);
  const found = await Promise.all(
    pids
      .filter(pid => !callers.has(pid))
      .map(async pid => {
        // it may have ended meanwhile, which reading /proc tells in a way of its own
        const comm = (await guest.readText(`/proc/${pid}/comm`).catch(() => undefined))?.trimEnd();
        const name = names.find(candidate => candidate.slice(0, COMM_LETTERS) === comm);
        return name === undefined ? [] : [{ name, pid }];
      }),
  );
  return found.flat();
}

/** A hook of theirs may have done so, and then they wait for its end. */
async function callersOf(guest: GuestView): Promise<ReadonlySet<string>> {
  const callers = new Set<string>();
  for (let at = 'self'; !callers.has(at); ) {
    if (at !== 'self') callers.add(at);
    const status = await guest.readText(`/proc/${at}/status`).catch(() => undefined);
    const parent = /^PPid:\s*(\d+)$/m.exec(status ?? '')?.[1];
    if (parent === undefined || parent === '0') break;
    at = parent;
  }
  return callers;
}

/**
 * cloud-init while it installs packages: between two commands it holds no lock, and it waits for one of ours for half a minute only. Its
 * other stages are none: this program may be called by one, which then waits for its end.
 */
export async function findCloudInitInstalling(guest: GuestView): Promise<readonly Neighbour[]> {
  const running = await findNeighbours(guest, [CLOUD_INIT]);
  if (running.length === 0) return [];
  const log = (await guest.readEnd(CLOUD_INIT_LOG, LOG_END_BYTES))?.text ?? '';
  const last = [...log.matchAll(PACKAGE_STAGE)].at(-1)?.[1];
  return last === 'start' ? running.slice(0, 1) : [];
}
