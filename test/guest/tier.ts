import { availableParallelism } from 'node:os';
import type { Tally } from './checks.ts';
import { NotRun } from './not-run.ts';

/** Runs tests as a program: signals end them, the last line counts them, and what could not be run is not passed. */
export async function runAsProgram(
  main: (argv: readonly string[], signal: AbortSignal) => Promise<Tally>,
): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  }
  try {
    const { passed, failed } = await main(process.argv.slice(2), stop.signal);
    process.exitCode = passed > 0 && failed === 0 ? 0 : 1;
    console.log(`${passed} passed, ${failed} failed`);
  } catch (error) {
    process.exitCode = 1;
    const { passed, failed } = notPlayed(error);
    console.log(`${passed} passed, ${failed} failed`);
  }
}

/** One story that was not played is one that failed. */
function notPlayed(error: unknown): Tally {
  console.log(error instanceof NotRun ? `not run: ${error.message}` : error);
  return { passed: 0, failed: 1 };
}

/** Plays stories of guests, as many at once as this machine has processors, in the order in which they are given. */
export async function playInLanes(stories: readonly (() => Promise<Tally>)[]): Promise<Tally> {
  const waiting = [...stories];
  const tallies: Tally[] = [];
  const lane = async () => {
    for (let story = waiting.shift(); story; story = waiting.shift()) tallies.push(await story().catch(notPlayed));
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), waiting.length) }, lane));
  return total(tallies);
}

/** The stories with these names, or all. */
export function chooseByName<T extends { readonly name: string }>(
  all: readonly T[],
  names: readonly string[],
): readonly T[] {
  const strange = names.filter(name => !all.some(story => story.name === name));
  if (strange.length > 0)
    throw new NotRun(`no ${strange.join(', ')} here, but ${all.map(({ name }) => name).join(', ')}`);
  return all.filter(({ name }) => names.length === 0 || names.includes(name));
}

function total(tallies: readonly Tally[]): Tally {
  return tallies.reduce((sum, { passed, failed }) => ({ passed: sum.passed + passed, failed: sum.failed + failed }), {
    passed: 0,
    failed: 0,
  });
}
