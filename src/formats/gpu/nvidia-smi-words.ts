/**
 * The line in which nvidia-smi refuses a setting; undefined: it does not. It may end with 0 all the same: `Setting applications clocks is not
 * supported for GPU 0000:01:00.0.` or `Unable to set … for GPU 00000000:01:00.0: Not Supported`, and below that `Treating as warning
 * and moving on.` and `All done.` (recorded for clocks and driver models; for ECC taken to be the same).
 */
export function refusalOf(text: string): string | undefined {
  const lines = text.split('\n').map(line => line.trim());
  const named = lines.find(line => REFUSAL.test(line));
  if (named !== undefined) return named;
  const after = lines.indexOf('Treating as warning and moving on.');
  return after < 0 ? undefined : lines[Math.max(0, after - 1)];
}

const REFUSAL = /not supported|insufficient permissions?|^unable to /i;
