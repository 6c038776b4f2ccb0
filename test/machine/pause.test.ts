import { expect, test } from 'vitest';
import { pause } from '../../src/guest/pause.ts';

test('whoever is stopped while it waits says why it was stopped', async () => {
  const reason = new Error('the run had no time left');
  const stop = new AbortController();
  const waiting = pause(60_000, stop.signal);
  stop.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(pause(60_000, stop.signal)).rejects.toBe(reason);
});
