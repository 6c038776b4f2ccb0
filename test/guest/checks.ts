/** A sentence about the guest and what shows that it is true. */
export type Check = readonly [title: string, prove: () => Promise<void>];

export interface Tally {
  readonly passed: number;
  readonly failed: number;
}

/**
 * Checks that build on one another, in order. The first failure ends them; what was not reached counts as failed,
 * so that a total never shrinks in silence. `onFailure` keeps the evidence while the guest is still there.
 */
export async function runInOrder(
  subject: string,
  checks: readonly Check[],
  onFailure: (error: unknown) => Promise<void>,
): Promise<Tally> {
  for (const [index, [title, prove]] of checks.entries()) {
    const startedMs = performance.now();
    try {
      await prove();
      print('ok', subject, title, startedMs);
    } catch (error) {
      print('NOT OK', subject, title, startedMs);
      console.log(indent(told(error)));
      await onFailure(error);
      for (const [notReached] of checks.slice(index + 1)) console.log(`not reached  ${subject}: ${notReached}`);
      return { passed: index, failed: checks.length - index };
    }
  }
  return { passed: checks.length, failed: 0 };
}

/** With what it came from, which often says most. */
function told(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\nbecause of ${told(error.cause)}`;
}

export function indent(text: string): string {
  return text.replace(/^/gm, '    ');
}

function print(word: string, subject: string, title: string, startedMs: number): void {
  console.log(`${word}  ${subject}: ${title}  (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
}
