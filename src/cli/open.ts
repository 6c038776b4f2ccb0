import { AgentError } from '../errors.ts';
import type { Guest, GuestView } from '../guest/guest.ts';
import { openEyes, openGuest } from '../guest/open-guest.ts';
import type { CommonOptions, Io } from './io.ts';

/** Eyes only. Half of what there is to see of a guest, root alone can see. */
export function openEyesFor({ root }: CommonOptions, { env, stop, hurry, patience = 1 }: Io): GuestView {
  if (root === '/' && process.geteuid?.() !== 0) {
    throw new AgentError('only root can look at all of this guest', { fault: 'not-root', remedy: 'run it with sudo' });
  }
  return openEyes({ root, env, stop, hurry, patience });
}

export function openGuestFor({ root }: CommonOptions, { env, stop, hurry, patience = 1 }: Io): Guest {
  return openGuest({ root, env, stop, hurry, patience });
}
