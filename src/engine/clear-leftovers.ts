import { AgentError } from '../errors.ts';
import { WORKSHOPS } from '../facts/driver/room.ts';
import { STATE_DIRECTORY } from '../facts/record.ts';
import type { Guest } from '../guest/guest.ts';
import type { Tell } from './tell.ts';

/** Beside the file NAME, for as long as it is written. */
const HALF_WRITTEN = /^\.(.+)\.vgpu-guest$/;

/** What a killed run has left and no step would come across again; whoever holds the lock is the only one who could still use it. */
export async function clearLeftovers(guest: Guest, tell: Tell): Promise<void> {
  try {
    for (const path of WORKSHOPS) await guest.removeFolder(path);
    for (const name of await guest.list(STATE_DIRECTORY)) {
      const [, file] = HALF_WRITTEN.exec(name) ?? [];
      if (file) await guest.removeHalfWritten(`${STATE_DIRECTORY}/${file}`);
    }
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    tell.warn(error.message); // it is in nobody's way
  }
}
