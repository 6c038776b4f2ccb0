/** A place in a text, as an editor counts it: from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** What a configuration file of the X server says of its Devices. */
export type XorgConf =
  | {
      readonly is: 'parsed';
      readonly devices: readonly XorgDevice[];
      /** X ends a string at the end of its line and goes on, so this is no fault to it, but hardly what was meant. */
      readonly unclosedQuote: Position | undefined;
    }
  /** X would not start with it. */
  | { readonly is: 'faulty'; readonly at: Position; readonly problem: string };

/** A section "Device". */
export interface XorgDevice {
  readonly identifier: string;
  readonly driver: string | undefined;
  /** The text between the quotes; of several the last, as X takes it. */
  readonly busId: string | undefined;
  /** Where that text stands, without its quotes. */
  readonly busIdAt: Span | undefined;
  /** The Driver keyword with its value (Identifier where there is no Driver): a new BusID goes behind it. */
  readonly anchor: { readonly keyword: Span; readonly value: Span };
}

/** Offsets into the text, in characters; `end` is behind the last one. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads the file by the grammar of the X server's own scanner (X server 21.1, hw/xfree86/parser): tokens, not lines.
 * Device sections are checked word by word; of all others only the frame is.
 */
export function parseXorgConf(text: string): XorgConf {
  const tokens = tokenize(text);
  const devices: XorgDevice[] = [];
  for (let at = 0; at < tokens.length; ) {
    const section = readSection(tokens, at);
    if ('problem' in section) {
      return { is: 'faulty', at: positionAt(text, tokens[section.at]?.start ?? text.length), problem: section.problem };
    }
    if (section.device) devices.push(section.device);
    at = section.next;
  }
  const unclosed = tokens.find(token => token.unclosed);
  return { is: 'parsed', devices, unclosedQuote: unclosed && positionAt(text, unclosed.start) };
}

/** The text with this BusID in one Device, which `parseXorgConf` has found in it. Every other character stays as it is. */
export function setBusId(text: string, device: XorgDevice, busId: string): string {
  if (device.busIdAt) return splice(text, device.busIdAt, busId);
  const { keyword, value } = device.anchor;
  const rest = /^([^\r\n]*)(\r\n|\n|\r)/.exec(text.slice(value.end));
  // the section goes on in the same line
  if (!rest || /^[ \t]*[^ \t#]/.test(rest[1]!))
    return splice(text, { start: value.end, end: value.end }, ` BusID "${busId}"`);
  const indentation = /^[ \t]*/.exec(text.slice(lineStart(text, keyword.start)))![0];
  const lineEnd = value.end + rest[1]!.length;
  const line = `${rest[2]}${indentation}BusID${gap(text, device.anchor)}"${busId}"`;
  return splice(text, { start: lineEnd, end: lineEnd }, line);
}

/**
 * A file for one GPU and nothing else. AllowEmptyInitialConfiguration: the nvidia driver's X starts although no monitor
 * is there (README of the driver, appendix B).
 */
export function minimalXorgConf(busId: string): string {
  return `# made by vgpu-guest, because xorg.manage is always

Section "ServerLayout"
    Identifier     "Layout0"
    Screen      0  "Screen0"
EndSection

Section "Device"
    Identifier     "Device0"
    Driver         "nvidia"
    BusID          "${busId}"
EndSection

Section "Screen"
    Identifier     "Screen0"
    Device         "Device0"
    DefaultDepth    24
    Option         "AllowEmptyInitialConfiguration" "True"
EndSection
`;
}

/** Whether X takes two names for the same: it looks at neither case, blanks nor underscores (xf86nameCompare). */
export function sameXorgName(one: string, other: string): boolean {
  return bare(one) === bare(other);
}

type Token = Span & {
  readonly kind: 'word' | 'string' | 'number' | 'mark';
  readonly text: string;
  readonly unclosed: boolean;
};
type Section = { readonly next: number; readonly device?: XorgDevice };
/** `at` is the token that does not fit; behind the last one it is the end of the text. */
type Misfit = { readonly at: number; readonly problem: string };

/** As xf86getToken reads: a comment and a string end with the line, a word ends at a blank or `#` but not at a quote. */
const TOKEN =
  /#[^\r\n]*|"(?<string>[^"\r\n]*)(?<quote>"?)|(?<number>0x[\d.xa-f]*|\d[\d.x]*)|(?<mark>[,-](?![a-z]))|(?<word>[^ \t\r\n][^ \t\r\n#]*)/gi;

/** Read.c; X refuses a section of any other name. */
const SECTIONS: ReadonlySet<string> = new Set(
  'device dri extensions files inputclass inputdevice modes module monitor outputclass pointer screen serverflags serverlayout vendor videoadaptor'.split(
    ' ',
  ),
);

/** Device.c; X refuses any other word in a Device. */
const DEVICE_KEYWORDS: ReadonlyMap<string, 'string' | 'number' | 'numbers' | 'option'> = new Map([
  ...'identifier vendorname boardname chipset card driver ramdac clockchip matchseat busid'
    .split(' ')
    .map(word => [word, 'string'] as const),
  ...'videoram biosbase membase iobase chipid chiprev irq screen'.split(' ').map(word => [word, 'number'] as const),
  ['dacspeed', 'numbers'],
  ['clocks', 'numbers'],
  ['option', 'option'],
]);

function tokenize(text: string): readonly Token[] {
  return [...text.matchAll(TOKEN)].flatMap(({ 0: all, index: start, groups }) => {
    const { string, quote, number, mark, word } = groups as Record<string, string | undefined>;
    const span = { start, end: start + all.length, unclosed: quote === '' };
    if (string !== undefined) return { ...span, kind: 'string', text: string };
    if (number !== undefined) return { ...span, kind: 'number', text: number };
    if (mark !== undefined) return { ...span, kind: 'mark', text: mark };
    return word === undefined ? [] : { ...span, kind: 'word', text: word };
  });
}

function readSection(tokens: readonly Token[], at: number): Section | Misfit {
  const [keyword, name] = [tokens[at]!, tokens[at + 1]];
  if (keywordOf(keyword) !== 'section') return { at, problem: `${quoted(keyword)} stands outside of every section` };
  if (name?.kind !== 'string') return { at: at + 1, problem: 'Section needs a name in quotes' };
  const section = bare(name.text);
  if (!SECTIONS.has(section)) return { at: at + 1, problem: `X knows no section "${name.text}"` };
  return section === 'device' ? readDevice(tokens, at + 2) : skipSection(tokens, at + 2);
}

function readDevice(tokens: readonly Token[], first: number): Section | Misfit {
  const found = new Map<string, { keyword: Token; value: Token }>();
  let at = first;
  for (;;) {
    const keyword = tokens[at];
    const value = tokens[at + 1];
    const word = keywordOf(keyword);
    if (!keyword || word === 'section') return { at, problem: 'EndSection is missing' };
    if (word === 'endsection') break;
    const takes = DEVICE_KEYWORDS.get(word);
    if (!takes) return { at, problem: `X knows no ${quoted(keyword)} in a Device` };
    if ((takes === 'string' || takes === 'number') && value?.kind !== takes) {
      return { at: at + 1, problem: `${keyword.text} needs a ${takes === 'string' ? 'text in quotes' : 'number'}` };
    }
    if (word === 'identifier' && found.has(word))
      return { at, problem: 'a Device has one Identifier, and this is a second' };
    if (value) found.set(word, { keyword, value });
    at += 1 + valueCount(tokens, at + 1, takes);
  }
  const identifier = found.get('identifier');
  if (!identifier) return { at, problem: 'this Device has no Identifier' };
  const driver = found.get('driver');
  const busId = found.get('busid')?.value;
  const device = {
    identifier: identifier.value.text,
    driver: driver?.value.text,
    busId: busId?.text,
    busIdAt: busId && { start: busId.start + 1, end: busId.start + 1 + busId.text.length },
    anchor: driver ?? identifier,
  };
  return { next: at + 1, device };
}

/** How many tokens a Device's keyword takes with it. X reads an Option's name whatever it is, and its value only when it is a string. */
function valueCount(
  tokens: readonly Token[],
  first: number,
  takes: 'string' | 'number' | 'numbers' | 'option',
): number {
  if (takes === 'numbers') {
    let count = 0;
    while (tokens[first + count]?.kind === 'number') count++;
    return count;
  }
  return takes === 'option' && tokens[first]?.kind === 'string' && tokens[first + 1]?.kind === 'string' ? 2 : 1;
}

function skipSection(tokens: readonly Token[], first: number): Section | Misfit {
  let subSection = false;
  for (let at = first; at < tokens.length; at++) {
    const word = keywordOf(tokens[at]);
    if (word === 'section') return { at, problem: 'EndSection is missing' };
    if (word === 'endsection') return subSection ? { at, problem: 'EndSubSection is missing' } : { next: at + 1 };
    if (word === 'subsection') subSection = true;
    if (word === 'endsubsection') subSection = false;
  }
  return { at: tokens.length, problem: 'EndSection is missing' };
}

function keywordOf(token: Token | undefined): string {
  return token?.kind === 'word' ? bare(token.text) : '';
}

function bare(name: string): string {
  return name.replace(/[ \t_]/g, '').toLowerCase();
}

function quoted({ kind, text }: Token): string {
  return kind === 'string' ? `"${text}"` : text;
}

/** The blanks before the new value, so that it stands below the one above. */
function gap(text: string, { keyword, value }: XorgDevice['anchor']): string {
  const blanks = text.slice(keyword.end, value.start);
  if (!/^[ \t]+$/.test(blanks)) return ' ';
  return blanks.includes('\t') ? blanks : blanks.padStart(value.start - keyword.start - 'BusID'.length);
}

function lineStart(text: string, offset: number): number {
  const before = text.slice(0, offset);
  return Math.max(before.lastIndexOf('\n'), before.lastIndexOf('\r')) + 1;
}

function positionAt(text: string, offset: number): Position {
  return { line: text.slice(0, offset).split(/\r\n|\n|\r/).length, column: offset - lineStart(text, offset) + 1 };
}

function splice(text: string, { start, end }: Span, piece: string): string {
  return text.slice(0, start) + piece + text.slice(end);
}
