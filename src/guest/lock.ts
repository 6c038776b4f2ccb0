import { constants } from 'node:fs';
import { type FileHandle, open, readlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AgentError, messageOf } from '../errors.ts';
import { orAbsent } from './eyes.ts';
import type { Outcome } from './guest.ts';
import { makeFolder } from './hands.ts';
import { locate, othersCanWrite, plantedLink } from './paths.ts';

const LOCK = '/run/vgpu-guest/lock';
/** flock(1), without --wait: somebody else holds it. */
const HELD = 1;

/** Who holds it, for the one who does not get it; the lock itself is the kernel's. */
interface Holder {
  readonly pid: number;
  /** A number means nothing in another container: `pid:[4026531836]`. */
  readonly namespace: string | undefined;
}

/** The descriptor that holds the lock: a child that is given it holds it too. */
export interface HeldLock {
  readonly descriptor: number;
  release(): Promise<void>;
}

/**
 * One run at a time on this guest; a held lock is fault `busy`. The kernel keeps it for the open file and drops it with the last process
 * that has it open, so that it is never stale and counts in every container that shares this /run. Node cannot ask for it by itself:
 * flock(1) does, on the descriptor that it is given.
 */
export async function takeLock(root: string, flock: (descriptor: number) => Promise<Outcome>): Promise<HeldLock> {
  const file = await openLock(root);
  try {
    const { code, stderr } = await flock(file.fd);
    if (code === HELD) throw busy(await holderOf(file), await pidNamespace());
    if (code !== 0) throw noLock(code === 127 ? 'flock is not there' : `flock ended with ${code}: ${stderr}`);
    await sign(file);
    return { descriptor: file.fd, release: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openLock(root: string): Promise<FileHandle> {
  const path = locate(root, LOCK, 'keep');
  try {
    const planted = await plantedLink(root, dirname(LOCK));
    if (planted !== undefined) throw new Error(`${planted} is a link in a folder in which others can write`);
    await makeFolder(dirname(path), 0o755);
    if (await othersCanWrite(dirname(path))) throw new Error(`others can write in ${dirname(LOCK)}`);
    return await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (cause) {
    throw new AgentError(`${LOCK} cannot be written: ${messageOf(cause)}`, {
      remedy:
        'let /run be writable for root, and /run/vgpu-guest for root alone: a run that changes the guest holds a lock there',
      cause,
    });
  }
}

function noLock(because: string): AgentError {
  return new AgentError(`${LOCK} cannot be locked: ${because}`, {
    remedy: 'flock comes with util-linux: install it (or put it right), and run this again',
  });
}

function busy(holder: Holder | undefined, here: string | undefined): AgentError {
  const isElsewhere = holder !== undefined && holder.namespace !== here;
  const who = holder === undefined ? '' : ` (process ${holder.pid}${isElsewhere ? ' of another container' : ''})`;
  return new AgentError(`another run of vgpu-guest${who} holds ${LOCK}, or a program that it has begun`, {
    fault: 'busy',
    remedy: 'let it finish, and run this again',
  });
}

/** Only told: a name that cannot be written is no reason to stop. */
async function sign(file: FileHandle): Promise<void> {
  const me: Holder = { pid: process.pid, namespace: await pidNamespace() };
  try {
    await file.truncate(0);
    await file.write(`${JSON.stringify(me)}\n`, 0);
  } catch {
    // /run is full: the lock holds all the same
  }
}

async function holderOf(file: FileHandle): Promise<Holder | undefined> {
  try {
    const { pid, namespace } = JSON.parse(await file.readFile('utf8')) as Partial<Holder>;
    return typeof pid === 'number' ? { pid, namespace } : undefined;
  } catch {
    return undefined; // it is being written
  }
}

async function pidNamespace(): Promise<string | undefined> {
  return await orAbsent(() => readlink('/proc/self/ns/pid'), 'EACCES');
}
