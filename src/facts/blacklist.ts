import type { Look } from './facts.ts';

export interface BlacklistFact {
  readonly todo: true;
}

export async function collectBlacklist(_look: Look): Promise<BlacklistFact> {
  throw new Error('not written yet');
}
