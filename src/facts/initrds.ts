import type { Look } from './facts.ts';

export interface InitrdsFact {
  readonly todo: true;
}

export async function collectInitrds(_look: Look): Promise<InitrdsFact> {
  throw new Error('not written yet');
}
