/** VGPU_GUEST_FUZZ=N looks N times as often, at long texts, and from another seed each time. */
const times = Number(process.env.VGPU_GUEST_FUZZ ?? '') || 0;

export const isLong = times > 0;

/** The same seed in every ordinary run, so that a failure is about the change that brought it; fast-check prints it. */
export function runs(numRuns: number): { readonly numRuns: number; readonly seed?: number } {
  const seed = Number(process.env.VGPU_GUEST_FUZZ_SEED ?? '') || undefined;
  if (isLong) return { numRuns: numRuns * times, ...(seed === undefined ? {} : { seed }) };
  return { numRuns, seed: seed ?? 20_261_121 };
}
