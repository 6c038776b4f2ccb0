import { AgentError } from '../errors.ts';
import { SHELLS } from '../report/completion.ts';
import { EXIT } from './exit.ts';
import type { CommonOptions, Io } from './io.ts';
import { commandTree } from './program.ts';
import { wordsOf } from './words.ts';

/** What a shell must know to complete the words of this program. */
export async function completionCommand(
  { argument }: CommonOptions & { readonly argument: string },
  io: Io,
): Promise<number> {
  const write = Object.hasOwn(SHELLS, argument) ? SHELLS[argument] : undefined;
  if (write === undefined) {
    throw new AgentError(`completion ${argument}: there are ${Object.keys(SHELLS).join(', ')}`, { fault: 'usage' });
  }
  io.data(write(wordsOf(commandTree())).trimEnd());
  return EXIT.settled;
}
