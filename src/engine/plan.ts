import type { Verdict } from '../change.ts';
import type { Config } from '../config/schema.ts';
import { collect, type Facts, type Look } from '../facts/facts.ts';
import type { Step } from '../steps/step.ts';

/** What each step says, in the order of the journey. */
export type Plan = readonly { readonly step: Step; readonly verdict: Verdict }[];

/** Every step judged once. Steps with changes due are `ahead` of the later ones, which look past them. */
export function plan(steps: readonly Step[], config: Config, facts: Facts): Plan {
  const ahead = new Set<string>();
  return steps.map(step => {
    const verdict = step.judge(config, facts, ahead);
    if (verdict.is === 'due') ahead.add(step.id);
    return { step, verdict };
  });
}

/** One look at everything that these steps read. */
export async function lookForAll(steps: readonly Step[], look: Look): Promise<Facts> {
  const keys = new Set(steps.flatMap(step => step.reads));
  return (await collect(look, [...keys])) as Facts;
}

/** The guest goes on only after a reboot: the first step that is not settled asks for one before anything else. */
export function rebootNeeded(planned: Plan): boolean {
  const next = planned.find(({ verdict }) => verdict.is !== 'settled')?.verdict;
  return next?.is === 'due' && next.changes[0].kind === 'reboot';
}
