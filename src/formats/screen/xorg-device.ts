import { keywordOf, type Span, type Token, within } from './xorg-tokens.ts';

/** A section "Device". */
export interface XorgDevice {
  readonly identifier: string;
  readonly driver: string | undefined;
  /** The text between the quotes; of several the last, as X takes it. */
  readonly busId: string | undefined;
  /** Where that text stands, without its quotes. */
  readonly busIdAt: Span | undefined;
  /** Of several with one name the first counts. */
  readonly options: readonly XorgOption[];
  /** The seat whose X server it is for; undefined: any. */
  readonly matchSeat: string | undefined;
  /** The text of its Identifier, without quotes. */
  readonly identifierAt: Span;
  /** All of it, from Section to EndSection. */
  readonly at: Span;
  /** The Driver keyword with its value (Identifier where there is no Driver): a new line goes behind it. */
  readonly anchor: Anchor;
}

/** A keyword with its value. */
export interface Anchor {
  readonly keyword: Span;
  readonly value: Span;
}

/** Name and value of a keyword "Option". */
export interface XorgOption {
  readonly name: string;
  readonly nameAt: Span;
  /** undefined: the name stands alone, which X takes for yes. */
  readonly value: string | undefined;
  readonly valueAt: Span | undefined;
}

/** `at` is the token that does not fit; behind the last one it is the end of the text. */
export type Misfit = { readonly at: number; readonly problem: string };

/** The section whose words begin at `first`, behind its name. */
export function readDevice(
  tokens: readonly Token[],
  first: number,
): { readonly next: number; readonly device: XorgDevice } | Misfit {
  const found = new Map<string, { keyword: Token; value: Token }>();
  const options: XorgOption[] = [];
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
    const count = valueCount(tokens, at + 1, takes);
    if (takes === 'option' && value?.kind === 'string')
      options.push(optionOf(value, count > 1 ? tokens[at + 2] : undefined));
    at += 1 + count;
  }
  const identifier = found.get('identifier');
  if (!identifier) return { at, problem: 'this Device has no Identifier' };
  const driver = found.get('driver');
  const busId = found.get('busid')?.value;
  const device = {
    identifier: identifier.value.text,
    driver: driver?.value.text,
    busId: busId?.text,
    busIdAt: busId && within(busId),
    options,
    matchSeat: found.get('matchseat')?.value.text,
    identifierAt: within(identifier.value),
    at: { start: tokens[first - 2]!.start, end: tokens[at]!.end },
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

export function optionOf(name: Token, value: Token | undefined): XorgOption {
  return { name: name.text, nameAt: name, value: value?.text, valueAt: value && within(value) };
}

export function quoted({ kind, text }: Token): string {
  return kind === 'string' ? `"${text}"` : text;
}
