import type { Look } from '../facts.ts';

/** What a `revert` of this boot has done that only the next boot completes. */
export interface RevertedFact {
  /** In this boot the driver, or what kept nouveau away, was taken away. */
  readonly inThisBoot: boolean;
  /** The running kernel has nouveau, for the next boot to load. */
  readonly hasNouveau: boolean;
}

/** In /run, which a boot empties. */
export const REVERTED = '/run/vgpu-guest/reverted';

export async function collectReverted({ guest, fact }: Look): Promise<RevertedFact> {
  const { kernel } = await fact('system');
  const [mark, nouveau] = await Promise.all([
    guest.stat(REVERTED),
    guest.query(['modinfo', '-F', 'filename', '-k', kernel, 'nouveau']),
  ]);
  return { inThisBoot: mark !== undefined, hasNouveau: nouveau.code === 0 };
}
