import { AgentError } from '../errors.ts';
import type { Neighbour } from '../facts/neighbours.ts';
import type { Guest } from '../guest/guest.ts';
import { pause } from '../guest/pause.ts';
import type { Tell } from './tell.ts';

const PAUSE_MS = 2_000;

export interface NeighbourWait {
  /** How long they may go on. */
  readonly timeoutMs: number;
  readonly tell: Tell;
  readonly stop: AbortSignal;
}

/** Programs that hold no lock that could be asked for, and that a deed must not work beside; one that does not end in time is fault `busy`. */
export async function awaitNeighbours(
  guest: Guest,
  find: (guest: Guest) => Promise<readonly Neighbour[]>,
  { timeoutMs, tell, stop }: NeighbourWait,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (let isTold = false; ; isTold = true) {
    const [first] = await find(guest);
    if (!first) return;
    const who = `${first.name} (process ${first.pid})`;
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) {
      throw new AgentError(`${who} is at work on this guest, for ${Math.round(timeoutMs / 1_000)} s now`, {
        fault: 'busy',
        remedy: `wait for it to end (ps -fp ${first.pid} shows what it does), then run vgpu-guest apply again`,
      });
    }
    if (!isTold) tell.info(`${who} is at work on this guest; this run waits for its end`);
    tell.progress(`${who} is still at work; it has ${Math.ceil(leftMs / 1_000)} s more`);
    await pause(Math.min(PAUSE_MS, leftMs), stop);
  }
}
