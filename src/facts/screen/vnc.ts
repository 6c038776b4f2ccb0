import type { FileStat } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';

/** What a remote view of the screen needs. */
export interface VncFact {
  readonly program: boolean;
  /** The file that `vnc.passwordFile` names; undefined: there is none, or none is named. */
  readonly passwordFile: FileStat | undefined;
}

export const X11VNC = '/usr/bin/x11vnc';

export async function collectVnc({ guest, config }: Look): Promise<VncFact> {
  const named = config.vnc?.passwordFile;
  const [program, passwordFile] = await Promise.all([guest.stat(X11VNC), named ? guest.stat(named) : undefined]);
  return { program: program?.kind === 'file', passwordFile };
}
