import { setTimeout } from 'node:timers/promises';

/** Waits so many ms. A signal ends it with its own reason, which a timer's AbortError would hide. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
