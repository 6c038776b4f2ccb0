import type { Look } from './facts.ts';

/** Whether somebody looks at a screen of this guest. */
export interface ScreenFact {
  /** graphical.target is active. */
  readonly graphical: boolean;
  /** Display numbers of running X servers (lock files whose process is alive). */
  readonly xServers: readonly number[];
}

export async function collectScreen(_look: Look): Promise<ScreenFact> {
  throw new Error('not written yet');
}
