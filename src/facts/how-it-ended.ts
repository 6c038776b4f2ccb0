import { exitCodeWords } from '../formats/signals.ts';
import type { Outcome } from '../guest/guest.ts';

/** Of the last line of what gave no answer; it may be of any kind and length. */
const MOST_LETTERS = 200;

/** `dkms status: exit code 4 (its last line)`, of a program that gave no answer. */
export function howItEnded(name: string, { code, stdout, stderr }: Outcome): string {
  const said = (stderr || stdout).trim().split('\n').at(-1)?.slice(0, MOST_LETTERS);
  return `${name}: ${exitCodeWords(code)}${said ? ` (${said})` : ''}`;
}
