/** A place in a text, as an editor counts it: from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Offsets into the text, in characters; `end` is behind the last one. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** What the X server's scanner finds in a configuration file; comments are left out. */
export type Token = Span & {
  readonly kind: 'word' | 'string' | 'number' | 'mark';
  readonly text: string;
  readonly unclosed: boolean;
};

/**
 * Reads by the grammar of the X server's own scanner (xf86getToken of hw/xfree86/parser/scan.c, X server 21.1): a comment and a string
 * end with the line, a word ends at a blank or `#` but not at a quote.
 */
export function tokenize(text: string): readonly Token[] {
  return [...text.matchAll(TOKEN)].flatMap(({ 0: all, index: start, groups }) => {
    const { string, quote, number, mark, word } = groups as Record<string, string | undefined>;
    const span = { start, end: start + all.length, unclosed: quote === '' };
    if (string !== undefined) return { ...span, kind: 'string', text: string };
    if (number !== undefined) return { ...span, kind: 'number', text: number };
    if (mark !== undefined) return { ...span, kind: 'mark', text: mark };
    return word === undefined ? [] : { ...span, kind: 'word', text: word };
  });
}

const TOKEN =
  /#[^\r\n]*|"(?<string>[^"\r\n]*)(?<quote>"?)|(?<number>0x[\d.xa-f]*|\d[\d.x]*)|(?<mark>[,-](?![a-z]))|(?<word>[^ \t\r\n][^ \t\r\n#]*)/gi;

/** The keyword that X takes a token for; empty: none. */
export function keywordOf(token: Token | undefined): string {
  return token?.kind === 'word' ? bare(token.text) : '';
}

/** Whether X takes two names for the same: it looks at neither case, blanks nor underscores (xf86nameCompare). */
export function sameXorgName(one: string, other: string): boolean {
  return bare(one) === bare(other);
}

export function bare(name: string): string {
  return name.replace(/[ \t_]/g, '').replace(/[A-Z]+/g, letters => letters.toLowerCase());
}

/** A string's text, without its quotes. */
export function within({ start, text }: Token): Span {
  return { start: start + 1, end: start + 1 + text.length };
}

export function lineStart(text: string, offset: number): number {
  const before = text.slice(0, offset);
  return Math.max(before.lastIndexOf('\n'), before.lastIndexOf('\r')) + 1;
}

export function positionAt(text: string, offset: number): Position {
  return { line: text.slice(0, offset).split(/\r\n|\n|\r/).length, column: offset - lineStart(text, offset) + 1 };
}

export function splice(text: string, { start, end }: Span, piece: string): string {
  return text.slice(0, start) + piece + text.slice(end);
}
