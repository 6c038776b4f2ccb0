import { realpathSync } from 'node:fs';
import { AgentError } from '../errors.ts';
import { download } from './download.ts';
import { downloadFile } from './download-file.ts';
import { openFileEyes } from './eyes.ts';
import type { Guest, GuestView } from './guest.ts';
import { openFileHands } from './hands.ts';
import { machineHardware, noHardware } from './hardware.ts';
import { takeLock } from './lock.ts';
import { folderNetwork, machineNetwork } from './network.ts';
import { openPrograms } from './programs.ts';

export interface GuestOptions {
  /** `/`, or a folder in which a guest lives: then only its files and its programs are used. */
  readonly root: string;
  /** The caller's environment, of which children get proxies and nothing else. */
  readonly env?: NodeJS.ProcessEnv;
  /** Ends every program that still runs: a deed that must not be cut gets its time. */
  readonly stop?: AbortSignal;
  /** Ends them at once. */
  readonly hurry?: AbortSignal;
  /** A part of every time limit of a program; the whole unless given. */
  readonly patience?: number;
}

/** Eyes only: looks, and cannot change anything. */
export function openEyes(options: GuestOptions): GuestView {
  const { root, stop, programs } = prepare(options);
  return eyes(root, programs.query, stop);
}

/** Eyes and hands. On `/` they are root's alone. */
export function openGuest(options: GuestOptions): Guest {
  const { env = process.env } = options;
  const { root, stop, programs } = prepare(options);
  if (root === '/' && process.geteuid?.() !== 0) {
    throw new AgentError('only root can change this guest', { fault: 'not-root', remedy: 'run it with sudo' });
  }
  const { query, run, follow, flock, handOn } = programs;
  return {
    ...eyes(root, query, stop),
    ...openFileHands(root, query),
    run,
    follow,
    async lock() {
      const [{ descriptor, release }] = await Promise.all([takeLock(root, flock), leaveNoCores(query)]);
      handOn(descriptor);
      return async () => {
        handOn(undefined);
        await release();
      };
    },
    download: (url, how) => download(url, { ...how, env, stop }),
    downloadFile: (url, path, how) => downloadFile(root, url, path, { ...how, env, stop }),
  };
}

/** What programs are told of the caller, such as the password of a proxy, is in their memory, and must not be in a file when one crashes. */
async function leaveNoCores(query: GuestView['query']): Promise<void> {
  await query(['prlimit', `--pid=${process.pid}`, '--core=0:']); // children inherit it; without prlimit it is as the caller has it
}

function prepare({ root, env = process.env, stop = NEVER, hurry = NEVER, patience = 1 }: GuestOptions) {
  const folder = resolveRoot(root);
  return { root: folder, stop, programs: openPrograms(folder, env, { stop, hurry, patience }) };
}

const NEVER = new AbortController().signal;

function resolveRoot(root: string): string {
  try {
    return realpathSync(root);
  } catch (cause) {
    throw new AgentError(`--root ${root}: there is no such folder`, { fault: 'usage', cause });
  }
}

function eyes(root: string, query: GuestView['query'], stop: AbortSignal): GuestView {
  return {
    ...openFileEyes(root),
    query,
    ...(root === '/' ? machineNetwork(stop) : folderNetwork(query)),
    hardware: root === '/' ? machineHardware : noHardware,
    nowUs: () => Date.now() * 1000 + 999, // the clock has milliseconds: never earlier than a file that was just written
  };
}
