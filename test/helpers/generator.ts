export interface Generator {
  /** A whole number from 0 to below the limit. */
  below(limit: number): number;
  pick<T>(from: readonly T[]): T;
  shuffle<T>(items: readonly T[]): readonly T[];
}

/** Random with a fixed seed, so that a failure can be seen again. */
export function generator(seed: number): Generator {
  let state = seed;
  const below = (limit: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * limit);
  };
  return {
    below,
    pick: from => from[below(from.length)]!,
    shuffle: items =>
      items
        .map(item => [below(1_000_000), item] as const)
        .toSorted(([a], [b]) => a - b)
        .map(([, item]) => item),
  };
}
