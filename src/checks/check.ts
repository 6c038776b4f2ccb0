import { stripVTControlCharacters } from 'node:util';
import type { Config } from '../config/schema.ts';
import type { Facts } from '../facts/facts.ts';

/** Something that is wrong with the guest, or will be. */
export interface Finding {
  readonly id: string;
  /** error: no license can come, or stay, or no picture, until somebody acts. */
  readonly severity: 'error' | 'warning' | 'info';
  /** How the guest stands, a present-tense sentence. */
  readonly summary: string;
  /** Why it stands so; "may" where that is inferred and not seen. */
  readonly cause: string;
  /** What to do, with the commands of this guest. */
  readonly remedy: string;
  readonly evidence: readonly Evidence[];
}

/** What was seen, raw: the line or the value, and the file or the command that shows it. */
export interface Evidence {
  readonly at: string;
  readonly shows: string;
}

/** What a check says; its id is the finding's. */
export type Found = Omit<Finding, 'id'>;

/** A judge of one fault: pure, like a step, and it changes nothing. */
interface Check<K extends keyof Facts = keyof Facts> {
  readonly id: string;
  /** Numbers in `CAUSES` that it answers. */
  readonly causes: readonly number[];
  judge(config: Config, facts: Pick<Facts, K>): Found | undefined;
}

/** Part of the guest that is looked at, with all that can be wrong with it; one file each. */
export interface Subject<K extends keyof Facts = keyof Facts> {
  readonly id: string;
  /** In a few words, `the clock`. */
  readonly title: string;
  /** A fact that is not named here cannot be read. */
  readonly reads: readonly K[];
  /** How it stands, in a few words, whether or not anything is wrong. */
  saw(config: Config, facts: Pick<Facts, K>): Sight;
  readonly checks: readonly Check<K>[];
}

export type Sight =
  | { readonly is: 'seen'; readonly text: string }
  | { readonly is: 'unknown'; readonly because: string };

/** A subject with its facts' types taken from `reads`. */
export function defineSubject<const K extends keyof Facts>(subject: Subject<K>): Subject<K> {
  return subject;
}

export function seen(text: string): Sight {
  return { is: 'seen', text: clean(text) };
}

export function unknown(because: string): Sight {
  return { is: 'unknown', because };
}

/** Evidence from a foreign mouth: one line, of bounded length, that moves no cursor and holds no secret. */
export function evidence(at: string, shows: string): Evidence {
  return { at: clean(at), shows: clean(shows) };
}

const LONGEST = 400;

function clean(text: string): string {
  // what is behind it is not shown, and a line without an end would take its time
  const line = stripVTControlCharacters(text.slice(0, 4 * LONGEST))
    .replace(/[\0-\x1f\x7f-\x9f]+/g, ' ')
    .replace(/[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}/g, '***')
    .replace(/(\w:\/\/)[^/@\s]+@/g, '$1***@')
    .trim();
  return line.length > LONGEST || text.length > 4 * LONGEST ? `${line.slice(0, LONGEST)} …` : line;
}
