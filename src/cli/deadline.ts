import { AgentError } from '../errors.ts';
import type { Io } from './io.ts';
import type { Talk } from './talk.ts';

/** A run that hangs is ended from inside, with its cause, before its caller ends it from outside, without one. */
export interface Deadline {
  /** What the run gets: its `stop` comes with the caller's, and when the time is over. */
  readonly io: Io;
  /** From now on; told with the step that the run is at. */
  begin(ms: number): void;
  /** The same watcher, which lets the deadline know where the run is. */
  watched(watcher: Talk['watcher']): Talk['watcher'];
  [Symbol.dispose](): void;
}

export function openDeadline(io: Io): Deadline {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let step: string | undefined;
  return {
    io: { ...io, stop: AbortSignal.any([io.stop, over.signal]) },
    begin(ms) {
      timer = setTimeout(() => over.abort(lateness(ms, step)), ms);
    },
    watched: watcher => ({
      ...watcher,
      stepBegins(begun, index, total) {
        step = begun.id;
        watcher.stepBegins(begun, index, total);
      },
    }),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

function lateness(ms: number, step: string | undefined): AgentError {
  const where = step === undefined ? '' : `, and is at ${step}`;
  return new AgentError(`the run has not come to its end within ${ms / 1_000} s (runTimeout)${where}: it is stopped`, {
    remedy:
      'the end of /var/log/vgpu-guest.log says what was run last: end what hangs there, and run it again; what was begun can be run again',
  });
}
