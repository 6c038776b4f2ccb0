import {
  type Anchor,
  type Misfit,
  optionOf,
  quoted,
  readDevice,
  type XorgDevice,
  type XorgOption,
} from './xorg-device.ts';
import { bare, keywordOf, type Position, positionAt, type Span, type Token, tokenize } from './xorg-tokens.ts';

/** What a configuration file of the X server says of what is shown where. */
export type XorgConf =
  | ({
      readonly is: 'parsed';
      /** X ends a string at the end of its line and goes on, so this is no fault to it, but hardly what was meant. */
      readonly unclosedQuote: Position | undefined;
    } & XorgSections)
  /** X would not start with it. */
  | { readonly is: 'faulty'; readonly at: Position; readonly problem: string };

/** Sections in the order in which they stand. */
export interface XorgSections {
  readonly devices: readonly XorgDevice[];
  readonly screens: readonly XorgScreen[];
  readonly layouts: readonly XorgLayout[];
  /** The last section "ServerFlags": it takes the place of all before it. */
  readonly flags: { readonly defaultLayout: string | undefined } | undefined;
}

/** A section "Screen". */
export interface XorgScreen {
  readonly identifier: string;
  /** Names of Devices; undefined: X takes the first one. */
  readonly device: string | undefined;
  readonly gpuDevices: readonly string[];
  readonly displays: readonly XorgDisplay[];
  /** Those of its Displays first, which are stronger; of several with one name the first counts. */
  readonly options: readonly XorgOption[];
  readonly matchSeat: string | undefined;
  readonly anchor: Anchor;
  /** Its EndSection. */
  readonly end: Span;
}

/** A subsection "Display" of a Screen. */
interface XorgDisplay {
  readonly virtual: { readonly width: number; readonly height: number; readonly at: Span } | undefined;
  /** Its EndSubSection. */
  readonly end: Span;
}

/** A section "ServerLayout", with names of Screens and of Devices. */
interface XorgLayout {
  readonly identifier: string;
  readonly screens: readonly string[];
  readonly inactive: readonly string[];
  readonly matchSeat: string | undefined;
}

/**
 * Reads the file by the grammar of the X server's own scanner and parser (X server 21.1, hw/xfree86/parser): tokens, not lines.
 * Device sections are checked word by word; of all others only the frame is.
 */
export function parseXorgConf(text: string): XorgConf {
  const nul = text.indexOf('\0');
  if (nul >= 0)
    return { is: 'faulty', at: positionAt(text, nul), problem: 'a NUL byte hides the rest of its line from X' };
  const tokens = tokenize(text);
  const sections: Section[] = [];
  for (let at = 0; at < tokens.length; ) {
    const section = readSection(tokens, at);
    if ('problem' in section) {
      return { is: 'faulty', at: positionAt(text, tokens[section.at]?.start ?? text.length), problem: section.problem };
    }
    sections.push(section);
    at = section.next;
  }
  const unclosed = tokens.find(token => token.unclosed);
  return {
    is: 'parsed',
    devices: sections.flatMap(({ device }) => device ?? []),
    screens: sections.flatMap(({ screen }) => screen ?? []),
    layouts: sections.flatMap(({ layout }) => layout ?? []),
    flags: sections.findLast(({ flags }) => flags)?.flags,
    unclosedQuote: unclosed && positionAt(text, unclosed.start),
  };
}

interface Section {
  readonly next: number;
  readonly device?: XorgDevice;
  readonly screen?: XorgScreen | undefined;
  readonly layout?: XorgLayout;
  readonly flags?: { readonly defaultLayout: string | undefined };
}
/** Read.c; X refuses a section of any other name. */
const SECTIONS: ReadonlySet<string> = new Set(
  'device dri extensions files inputclass inputdevice modes module monitor outputclass pointer screen serverflags serverlayout vendor videoadaptor'.split(
    ' ',
  ),
);

function readSection(tokens: readonly Token[], at: number): Section | Misfit {
  const [keyword, name] = [tokens[at]!, tokens[at + 1]];
  if (keywordOf(keyword) !== 'section') return { at, problem: `${quoted(keyword)} stands outside of every section` };
  if (name?.kind !== 'string') return { at: at + 1, problem: 'Section needs a name in quotes' };
  const section = bare(name.text);
  if (!SECTIONS.has(section)) return { at: at + 1, problem: `X knows no section "${name.text}"` };
  if (section === 'device') return readDevice(tokens, at + 2);
  const frame = readFrame(tokens, at + 2, section);
  if ('problem' in frame) return frame;
  return { next: frame.next, ...meaningOf(section, frame) };
}

/** A keyword and the values behind it, `inside` a subsection or not. */
interface Entry {
  readonly keyword: Token;
  readonly values: readonly Token[];
  readonly inside: boolean;
}

interface Frame {
  readonly next: number;
  readonly entries: readonly Entry[];
  readonly end: Token;
}

/** All that the other sections have in common. */
function readFrame(tokens: readonly Token[], first: number, section: string): Frame | Misfit {
  const entries: Entry[] = [];
  let inside = false;
  for (let at = first; at < tokens.length; ) {
    const keyword = tokens[at]!;
    const word = keywordOf(keyword);
    if (word === 'section') return { at, problem: 'EndSection is missing' };
    if (word === 'endsection')
      return inside ? { at, problem: 'EndSubSection is missing' } : { next: at + 1, entries, end: keyword };
    if (word === 'subsection') inside = true;
    let next = at + 1;
    while (next < tokens.length && tokens[next]!.kind !== 'word') next++;
    entries.push({ keyword, values: tokens.slice(at + 1, next), inside });
    // a subsection of a Module ends at any word that it does not know (Module.c)
    if (word === 'endsubsection' || (section === 'module' && !['subsection', 'option'].includes(word))) inside = false;
    at = next;
  }
  return { at: tokens.length, problem: 'EndSection is missing' };
}

function meaningOf(section: string, frame: Frame): Omit<Section, 'next'> {
  switch (section) {
    case 'screen':
      return { screen: screenOf(frame) };
    case 'serverlayout':
      return { layout: layoutOf(frame) };
    case 'serverflags':
      return { flags: { defaultLayout: defaultLayoutOf(frame) } };
    default:
      return {};
  }
}

/** A Screen without a name is a fault, which X finds by itself. */
function screenOf({ entries, end }: Frame): XorgScreen | undefined {
  const own = entries.filter(({ inside }) => !inside);
  const identifier = own.find(({ keyword }) => keywordOf(keyword) === 'identifier');
  const [name] = identifier?.values ?? [];
  if (!identifier || name?.kind !== 'string') return undefined;
  return {
    identifier: name.text,
    device: namesIn(own, 'device').at(-1),
    gpuDevices: namesIn(own, 'gpudevice'),
    displays: displaysIn(entries),
    options: [...entries.filter(({ inside }) => inside), ...own].flatMap(optionIn),
    matchSeat: namesIn(own, 'matchseat').at(-1),
    anchor: { keyword: identifier.keyword, value: name },
    end,
  };
}

function displaysIn(entries: readonly Entry[]): readonly XorgDisplay[] {
  return entries.flatMap(({ keyword: end }, last) => {
    if (keywordOf(end) !== 'endsubsection') return [];
    const first = entries.findLastIndex(({ keyword }, at) => at < last && keywordOf(keyword) === 'subsection');
    const virtual = entries.slice(first, last).findLast(({ keyword }) => keywordOf(keyword) === 'virtual');
    const [width, height] = virtual?.values ?? [];
    return width?.kind === 'number' && height?.kind === 'number'
      ? {
          virtual: { width: numberOf(width), height: numberOf(height), at: { start: width.start, end: height.end } },
          end,
        }
      : { virtual: undefined, end };
  });
}

/** As strtoul reads it: a zero in front makes it octal. */
function numberOf({ text }: Token): number {
  return /^0\d/.test(text) ? Number.parseInt(text, 8) : Number.parseInt(text, text.startsWith('0x') ? 16 : 10);
}

function layoutOf({ entries }: Frame): XorgLayout {
  return {
    identifier: namesIn(entries, 'identifier')[0] ?? '',
    screens: namesIn(entries, 'screen'),
    inactive: namesIn(entries, 'inactive'),
    matchSeat: namesIn(entries, 'matchseat').at(-1),
  };
}

/** As an Option, of which the first counts, or as a keyword, which takes its place (Flags.c). */
function defaultLayoutOf({ entries }: Frame): string | undefined {
  const named = entries.flatMap(optionIn).find(({ name }) => bare(name) === 'defaultserverlayout');
  return namesIn(entries, 'defaultserverlayout').at(-1) ?? named?.value;
}

function optionIn({ keyword, values: [name, value] }: Entry): readonly XorgOption[] {
  if (keywordOf(keyword) !== 'option' || name?.kind !== 'string') return [];
  return [optionOf(name, value?.kind === 'string' ? value : undefined)];
}

/** The first text behind each such keyword: a Screen of a layout may have its number before its name. */
function namesIn(entries: readonly Entry[], word: string): readonly string[] {
  const such = entries.filter(({ keyword }) => keywordOf(keyword) === word);
  return such.flatMap(({ values }) => values.find(({ kind }) => kind === 'string')?.text ?? []);
}
