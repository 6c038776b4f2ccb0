import type { GuestView } from '../../guest/guest.ts';
import { STATE_DIRECTORY } from '../record.ts';

/** There from before the installer of a .run package runs until all that it has written is on the disk. */
export const BEGUN_INSTALL = `${STATE_DIRECTORY}/installing.json`;

/** An installation that nobody has seen the end of. */
export interface BegunInstall {
  readonly version: string;
  /** Since another boot it was cut: a file whose name is on the disk may have lost its content with the power. */
  readonly bootId: string;
  /** A signal has ended its installer, wherever that was. */
  readonly isKilled?: true;
}

/** What a cut installation was cut by. */
export type Cut = 'signal' | 'boot';

export const CUT_BY: Readonly<Record<Cut, string>> = {
  signal: 'a signal',
  boot: 'a reboot, a reset or a loss of power',
};

export async function lookAtBegunInstall(guest: GuestView): Promise<BegunInstall | undefined> {
  const text = await guest.readText(BEGUN_INSTALL);
  if (text === undefined) return undefined;
  try {
    const { version, bootId, isKilled } = JSON.parse(text);
    return { version: String(version), bootId: String(bootId), ...(isKilled === true ? { isKilled } : {}) };
  } catch {
    return undefined; // not what this program wrote
  }
}
