import type { Guest } from '../../src/guest/guest.ts';

/** The power is gone. */
export class PowerCut extends Error {}

/** Also where something was to be put back after it, which then failed as well. */
export function isPowerCut(error: unknown): boolean {
  return error instanceof PowerCut || (error instanceof SuppressedError && isPowerCut(error.error));
}

const HANDS = [
  ...([
    'writeText',
    'copyFile',
    'setMode',
    'setModified',
    'setOwner',
    'makeDirectory',
    'rename',
    'keepCopy',
    'remove',
  ] as const),
  ...(['removeFolder', 'removeEmptyFolder', 'run'] as const),
];

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
