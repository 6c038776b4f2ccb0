import type { Verdict } from '../change.ts';
import type { Config } from '../config/schema.ts';
import type { Facts } from '../facts/facts.ts';

/** A judge: reads the facts that it names and says how the guest stands. No await, no side effect. */
export interface Step<K extends keyof Facts = keyof Facts> {
  /** Its file's name and its word in every log line. */
  readonly id: string;
  readonly title: string;
  /** A fact that is not named here cannot be read. */
  readonly reads: readonly K[];
  /** `ahead`: the steps before this one with changes due, so that a printed plan can look past them; empty in apply. */
  judge(config: Config, facts: Pick<Facts, K>, ahead: ReadonlySet<string>): Verdict;
}

/** A step with its facts' types taken from `reads`. */
export function defineStep<const K extends keyof Facts>(step: Step<K>): Step<K> {
  return step;
}
