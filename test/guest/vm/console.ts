import { once } from 'node:events';
import { connect } from 'node:net';
import { within } from '../real-guest.ts';

/** What somebody types, as soon as the console shows something. */
export type Answer = readonly [shows: RegExp, typed: string];

const LIMIT_MS = 120_000;

/** Somebody at the console of a guest. */
export async function answerAtConsole(path: string, answers: readonly Answer[], signal: AbortSignal): Promise<void> {
  const socket = connect(path);
  await once(socket, 'connect');
  // QEMU's end resets it
  socket.on('error', () => undefined);
  let shown = '';
  socket.on('data', data => {
    shown += data;
  });
  try {
    for (const [shows, typed] of answers) {
      const seen = async () => {
        while (!shows.test(shown)) await once(socket, 'data', { signal });
      };
      await within(LIMIT_MS, `${shows} at the console`, seen(), signal);
      // what has come behind it may be what is waited for next
      shown = shown.slice(shown.search(shows)).replace(shows, '');
      socket.write(typed);
    }
  } finally {
    socket.end();
  }
}
