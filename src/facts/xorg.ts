import type { GuestView } from '../guest/guest.ts';
import type { Look } from './facts.ts';

/** The X server's configuration files, in the order in which X reads them. */
export interface XorgFact {
  /** *.conf of /usr/share/X11/xorg.conf.d, then of /etc/X11/xorg.conf.d. */
  readonly dropIns: readonly XorgFile[];
  /** /etc/X11/xorg.conf; undefined: there is none. */
  readonly conf: XorgFile | undefined;
}

export interface XorgFile {
  /** The file behind all links: it is what a patch must change. */
  readonly path: string;
  readonly text: string;
}

/** What the X server reads where nobody names another file (xorg.conf(5)). */
export const XORG_CONF = '/etc/X11/xorg.conf';
const DROP_IN_DIRECTORIES = ['/usr/share/X11/xorg.conf.d', '/etc/X11/xorg.conf.d'];
/** CONFIG_MAX_FILES of hw/xfree86/parser/scan.c: X opens no more than these. */
const MOST_FILES = 64;

export async function collectXorg({ guest }: Look): Promise<XorgFact> {
  const listed = await Promise.all(DROP_IN_DIRECTORIES.map(directory => dropInsOf(guest, directory)));
  const [conf, ...dropIns] = await Promise.all(
    [XORG_CONF, ...listed.flat().slice(0, MOST_FILES)].map(path => readFile(guest, path)),
  );
  return { dropIns: dropIns.filter(file => file !== undefined), conf };
}

/** Hidden files and other names are not read (ConfigFilter in scan.c). */
async function dropInsOf(guest: GuestView, directory: string): Promise<readonly string[]> {
  const names = await guest.list(directory);
  return names.filter(name => /^[^.].*\.conf$/s.test(name)).map(name => `${directory}/${name}`);
}

async function readFile(guest: GuestView, path: string): Promise<XorgFile | undefined> {
  // a pipe would never end, and X reads nothing from a folder
  if ((await guest.stat(path))?.kind !== 'file') return undefined;
  const [text, real] = await Promise.all([guest.readText(path), guest.realPath(path)]);
  return text === undefined ? undefined : { path: real ?? path, text };
}
