import type { Guest } from '../../src/guest/guest.ts';

/** The power is gone. */
export class PowerCut extends Error {}

const HANDS = ['writeText', 'copyFile', 'setMode', 'makeDirectory', 'rename', 'keepCopy', 'remove', 'run'] as const;

/**
 * A guest whose power goes before its deed number `cutBefore` (counted from 1): that deed and every later one, also those of a `finally`, are
 * not done any more. `done` counts the deeds that were.
 */
export function withPowerCut(guest: Guest, cutBefore: number): { guest: Guest; done: () => number } {
  let deeds = 0;
  const cut =
    (hand: (...args: never[]) => Promise<unknown>) =>
    async (...args: never[]) => {
      if (deeds + 1 >= cutBefore) throw new PowerCut(`before deed ${cutBefore}`);
      deeds++;
      return await hand(...args);
    };
  const hands = Object.fromEntries(HANDS.map(name => [name, cut(guest[name] as never)]));
  return { guest: { ...guest, ...hands }, done: () => deeds };
}
