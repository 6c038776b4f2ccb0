import type { Argv } from '../change.ts';
import { AgentError } from '../errors.ts';
import { exitCodeWords } from '../formats/signals.ts';
import type { Outcome } from '../guest/guest.ts';

/** Lines of a program's output that go into an error; the log file has all of them. */
const QUOTED_LINES = 5;

/** `dracut … ended with exit code 1`, and below it the last words of the program. */
export function failedCommand(argv: Argv, outcome: Outcome, remedy?: string): AgentError {
  const how = outcome.code === 127 ? 'is not there' : `ended with ${exitCodeWords(outcome.code)}`;
  const words = (outcome.stderr.trim() || outcome.stdout.trim()).split('\n').slice(-QUOTED_LINES);
  const quoted = words.filter(Boolean).map(line => `\n  ${line}`);
  return new AgentError(`${outcome.code === 127 ? argv[0] : argv.join(' ')} ${how}${quoted.join('')}`, { remedy });
}
