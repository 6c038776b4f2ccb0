import type { Argv } from '../change.ts';
import { AgentError } from '../errors.ts';
import { exitCodeWords } from '../formats/signals.ts';
import type { Outcome } from '../guest/guest.ts';

/** Lines of a program's output that go into an error; the log file has all of them. */
const QUOTED_LINES = 5;
const NOT_THERE = 127;
const SIGKILL = 137;

/** `dracut … ended with exit code 1`, and below it the last words of the program. */
export function failedCommand(argv: Argv, outcome: Outcome, remedy = remedyFor(argv, outcome)): AgentError {
  const isThere = outcome.code !== NOT_THERE;
  const how = isThere ? `ended with ${exitCodeWords(outcome.code)}` : 'is not there';
  const words = (outcome.stderr.trim() || outcome.stdout.trim()).split('\n').slice(-QUOTED_LINES);
  const quoted = words.filter(Boolean).map(line => `\n  ${line}`);
  return new AgentError(`${isThere ? argv.join(' ') : argv[0]} ${how}${quoted.join('')}`, { remedy });
}

/** What helps whatever the program is: a step that knows more says so itself. */
export function remedyFor(argv: Argv, { code }: Pick<Outcome, 'code'>): string {
  const [program] = argv;
  const words = argv.join(' ');
  if (code === NOT_THERE) return `reinstall the package that ${program} belongs to, then ${AGAIN}`;
  if (code === SIGKILL)
    return `journalctl -b -k says whether the kernel killed ${program} for want of memory; then ${AGAIN}`;
  if (code > 128) return `see whether ${words} crashes by hand as well, and reinstall ${program} if so; then ${AGAIN}`;
  return `see what it says, run ${words} by hand until it ends well, then ${AGAIN}`;
}

const AGAIN = 'run the same command of vgpu-guest again';
