import { stripVTControlCharacters, styleText } from 'node:util';
import { ownSequence } from './visible.ts';

type Style = Parameters<typeof styleText>[0];

/** Colors for one stream: only on a terminal, and not where NO_COLOR or --no-color says otherwise. They show once `Spell` has seen them. */
export type Paint = (style: Style, text: string) => string;

export function paintFor(stream: NodeJS.WriteStream, color: boolean): Paint {
  return (style, text) => {
    const [begin = '', end = ''] = color ? styleText(style, '|', { stream }).split('|') : [];
    return `${ownSequence(begin)}${text}${ownSequence(end)}`;
  };
}

/** Foreign text for a terminal: no escape sequences, no control characters. */
export function printable(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '')
    .replaceAll('\t', ' ');
}

/** 41250 → `41.3 s`, 125000 → `2 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1_000)} s`;
}

/** Further lines of a text stand below its first one, two columns in. */
export function indent(text: string, by = '  '): string {
  return text.replaceAll('\n', `\n${by}`);
}
