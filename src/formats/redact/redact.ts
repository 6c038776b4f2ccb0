import { removeBlocks } from './blocks.ts';
import { removeKnown } from './known.ts';
import { type RedactRule, RULES } from './rules.ts';

/** A text for others, and what was taken out of it. */
export interface Redacted {
  readonly text: string;
  /** Rule → how often. */
  readonly removed: ReadonlyMap<string, number>;
}

/** What stands in the place of a secret. */
export function removedMark(id: string): string {
  return `<removed:${id}>`;
}

/**
 * The text without secrets: those that are `known` from the guest itself, in whole and in pieces, and everything that looks like one.
 * Terminal sequences and invisible signs go as well, since they can stand in the middle of a word. Doing it twice is doing it once.
 */
export function redact(text: string, known: readonly string[] = []): Redacted {
  const removed = new Map<string, number>();
  const count = (id: string, times = 1) => void (times > 0 && removed.set(id, (removed.get(id) ?? 0) + times));
  let clean = removeBlocks(removeKnown(withoutInvisible(text), known, count), count);
  // what one rule leaves may be what another one looks for
  for (let before = '', pass = 0; before !== clean && pass < MOST_PASSES; pass++) {
    before = clean;
    for (const rule of RULES) clean = applyRule(rule, clean, count);
  }
  return { text: clean, removed };
}

const MOST_PASSES = 4;

function applyRule({ id, pattern, spares }: RedactRule, text: string, count: (id: string) => void): string {
  return text.replace(pattern, (whole: string, ...rest: readonly unknown[]) => {
    const groups = rest.at(-1) as Readonly<Record<string, string | undefined>>;
    const { before = '', secret = '', after = '' } = groups;
    if (secret === removedMark(id) || spares?.(groups)) return whole;
    count(id);
    return `${before}${removedMark(id)}${after}`;
  });
}

/** The same for every text within data that JSON can tell. */
export function redactDeep(
  value: unknown,
  known: readonly string[] = [],
): { value: unknown; removed: Redacted['removed'] } {
  const removed = new Map<string, number>();
  const clean = (text: string): string => {
    const found = redact(text, known);
    for (const [id, times] of found.removed) removed.set(id, (removed.get(id) ?? 0) + times);
    return found.text;
  };
  const visit = (at: unknown, key = ''): unknown => {
    if (typeof at === 'string') return cleanUnder(key, at);
    if (Array.isArray(at)) return at.map(item => visit(item, key));
    if (typeof at !== 'object' || at === null) return at;
    return Object.fromEntries(Object.entries(at).map(([name, inner]) => [clean(name), visit(inner, name)]));
  };
  /** The name above it says what a bare value is. */
  const cleanUnder = (key: string, text: string): string => {
    if (key === '' || text.includes('\n')) return clean(text);
    const lead = `${key}=`;
    const line = clean(`${lead}${text}`);
    return line.startsWith(lead) ? line.slice(lead.length) : clean(text);
  };
  return { value: visit(value), removed };
}

const TERMINAL =
  /(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]{0,1024}(?:\x07|\x1b\\|\x9c)|\x1b[ -/]{0,4}[0-~]/g;
const INVISIBLE = /[\0-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g;

function withoutInvisible(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(TERMINAL, '').replace(INVISIBLE, '');
}
