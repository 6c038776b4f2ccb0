import { closest } from 'fastest-levenshtein';
import { AgentError } from '../errors.ts';
import { journey } from '../steps/index.ts';
import type { Step } from '../steps/step.ts';

/** The journey, or the part of it that --only and --skip leave. */
export function selectSteps(only: readonly string[] = [], skip: readonly string[] = []): readonly Step[] {
  const known = journey.map(step => step.id);
  for (const id of [...only, ...skip]) {
    if (!known.includes(id)) {
      throw new AgentError(`there is no step ${id}, did you mean ${closest(id, known)}? (steps: ${known.join(', ')})`, {
        fault: 'usage',
      });
    }
  }
  return journey.filter(({ id }) => (only.length === 0 || only.includes(id)) && !skip.includes(id));
}
