import { AgentError } from '../errors.ts';
import { WORKSHOPS } from '../facts/driver/room.ts';
import type { Guest } from '../guest/guest.ts';
import { LAST_REPORT } from './resume.ts';
import type { Tell } from './tell.ts';

/** What a killed run has left and no step would come across again; whoever holds the lock is the only one who could still use it. */
export async function clearLeftovers(guest: Guest, tell: Tell): Promise<void> {
  try {
    for (const path of WORKSHOPS) await guest.removeFolder(path);
    await guest.removeHalfWritten(LAST_REPORT);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    tell.warn(error.message); // it is in nobody's way
  }
}
