import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { FolderGuest } from './folder-guest.ts';

/** What a run that ended has started must end too; the daemon is systemd's. */
export async function leftRunning(guest: FolderGuest): Promise<readonly string[]> {
  for (let tries = 0; ; tries++) {
    const running = childrenOf(guest.root);
    if (running.length === 0) return [];
    if (tries === MOST_TRIES) return running.map(line => `still runs: ${line}`);
    await setTimeout(PAUSE_MS);
  }
}

const PAUSE_MS = 50;
const MOST_TRIES = 200;

function childrenOf(root: string): readonly string[] {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name));
  return pids.flatMap(pid => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const isDaemon = command.includes('nvidia-gridd');
      return environment.split('\0').includes(`GUEST_ROOT=${root}`) && command && !isDaemon
        ? [`${pid} ${command}`]
        : [];
    } catch {
      return []; // it has ended meanwhile
    }
  });
}
