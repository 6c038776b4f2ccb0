import type { Requirement } from './families.ts';
import type { Look } from './facts.ts';

/** What the driver's build needs and the guest has not got. */
export interface PrerequisitesFact {
  /** undefined: none of the family's package managers is there. */
  readonly manager: string | undefined;
  readonly missing: readonly Requirement[];
}

export async function collectPrerequisites(_look: Look): Promise<PrerequisitesFact> {
  throw new Error('not written yet');
}
