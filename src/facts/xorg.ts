import type { Look } from './facts.ts';

/** The X server's configuration files, in the order in which X reads them. */
export interface XorgFact {
  /** /etc/X11/xorg.conf; undefined: there is none. `path` is the file behind a link. */
  readonly conf: { readonly path: string; readonly text: string } | undefined;
  /** *.conf of /usr/share/X11/xorg.conf.d, then of /etc/X11/xorg.conf.d. */
  readonly dropIns: readonly { readonly path: string; readonly text: string }[];
}

export async function collectXorg(_look: Look): Promise<XorgFact> {
  throw new Error('not written yet');
}
