import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AgentError, messageOf } from '../errors.ts';
import { orAbsent } from './eyes.ts';
import { locate, othersCanWrite } from './paths.ts';

const LOCK = '/run/vgpu-guest/lock';

/** The holder by pid and start time, so that a number that was given to another process is not mistaken for it. */
interface Holder {
  readonly pid: number;
  readonly startedTicks: string;
  readonly token: string;
}

/**
 * One run at a time on this guest. A lock whose holder is gone is taken over; a live one is fault `busy`.
 * Returns how to let go.
 */
export async function takeLock(root: string): Promise<() => Promise<void>> {
  const path = locate(root, LOCK);
  const me: Holder = { pid: process.pid, startedTicks: (await startedTicks(process.pid)) ?? '', token: randomUUID() };
  const mine = `${path}.${me.token}`;
  await write(mine, JSON.stringify(me));
  try {
    while (!(await linked(mine, path))) await clearStale(path);
  } finally {
    await rm(mine, { force: true });
  }
  return async () => {
    if ((await holderOf(path))?.token === me.token) await rm(path, { force: true });
  };
}

async function write(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    if (await othersCanWrite(dirname(path))) throw new Error(`others can write in ${dirname(LOCK)}`);
    await writeFile(path, text, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    throw new AgentError(`${LOCK} cannot be written: ${messageOf(cause)}`, {
      remedy:
        'let /run be writable for root, and /run/vgpu-guest for root alone: a run that changes the guest holds a lock there',
      cause,
    });
  }
}

/** A hard link either makes the name or fails: no two runs can both have made it. */
async function linked(mine: string, path: string): Promise<boolean> {
  try {
    await link(mine, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function clearStale(path: string): Promise<void> {
  const seen = await holderOf(path);
  if (seen && (await isAlive(seen))) {
    throw new AgentError(`another run of vgpu-guest (process ${seen.pid}) holds ${LOCK}`, {
      fault: 'busy',
      remedy: 'let it finish, and run this again',
    });
  }
  // moved away under a name of its own first: if a live run took the lock meanwhile, it gets it back
  const aside = `${path}.${randomUUID()}`;
  await orAbsent(() => rename(path, aside));
  const moved = await holderOf(aside);
  if (moved && moved.token !== seen?.token) await orAbsent(() => link(aside, path), 'EEXIST');
  await rm(aside, { force: true });
}

async function holderOf(path: string): Promise<Holder | undefined> {
  const text = await orAbsent(() => readFile(path, 'utf8'));
  try {
    return text ? (JSON.parse(text) as Holder) : undefined;
  } catch {
    return undefined; // cut while it was written: nobody holds it
  }
}

async function isAlive({ pid, startedTicks: since }: Holder): Promise<boolean> {
  return (await startedTicks(pid)) === since;
}

/** Field 22 of /proc/PID/stat (proc(5)), counted after the name, which may hold anything. */
async function startedTicks(pid: number): Promise<string | undefined> {
  const text = await orAbsent(() => readFile(`/proc/${pid}/stat`, 'utf8'), 'ESRCH');
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}
