import { harmless } from './visible.ts';

/** Text as whoever reads this process's output can take it, and nothing in it that is foreign can harm them. */
export type Spell = (text: string) => string;

/**
 * Signs of ours that are not ASCII are written with ASCII where nothing says that UTF-8 is read: a reader in the C locale, such as Ruby's
 * in Puppet, refuses the rest. systemd and cloud-init start programs without any locale, which is the C locale too.
 */
export function spellingFor(env: NodeJS.ProcessEnv): Spell {
  return readsUtf8(env) ? harmless : text => inAscii(harmless(text));
}

/** By POSIX the first of these that is set and not empty names the encoding. */
function readsUtf8({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): boolean {
  return /\.utf-?8\b/i.test(LC_ALL || LC_CTYPE || LANG || '');
}

const SIGNS: Readonly<Record<string, string>> = {
  '→': '->',
  '…': '...',
  '✓': '+',
  '✗': 'x',
  '‘': "'",
  '’': "'",
  '“': '"',
  '”': '"',
  '–': '-',
  '—': '-',
};

/** What is not ours, such as a letter in a file's name, can still be told from any other. */
function inAscii(text: string): string {
  return text.replace(/[^\0-\x7f]/g, sign => SIGNS[sign] ?? `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
