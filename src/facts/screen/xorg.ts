import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';

/** The X server's configuration files, in the order in which X reads them. */
export interface XorgFact {
  /** *.conf of /usr/share/X11/xorg.conf.d, then of /etc/X11/xorg.conf.d. */
  readonly dropIns: readonly XorgFile[];
  /** /etc/X11/xorg.conf, or the file that X takes in its place; undefined: there is none. */
  readonly conf: XorgFile | undefined;
  /** nvidia-xconfig is there, which NVIDIA's driver brings. */
  readonly nvidiaXconfig: boolean;
  /** When the newest of these files was changed; undefined: there is none. */
  readonly changedUs: number | undefined;
}

export interface XorgFile {
  /** The file behind all links: it is what a patch must change. */
  readonly path: string;
  readonly text: string;
  /** It is not UTF-8, which X does not mind: each byte is one character of the text. */
  readonly encoding?: 'latin1';
}

/** What the X server reads where nobody names another file (xorg.conf(5)). */
export const XORG_CONF = '/etc/X11/xorg.conf';
/** Where it looks then (ALL_CONFIGPATH of hw/xfree86/common/xf86Config.c, with /usr for its project root); the first one counts. */
const OTHER_CONFS = ['/etc/xorg.conf', '/usr/etc/X11/xorg.conf', '/usr/lib/X11/xorg.conf'];
const NVIDIA_XCONFIG = '/usr/bin/nvidia-xconfig';
const DROP_IN_DIRECTORIES = ['/usr/share/X11/xorg.conf.d', '/etc/X11/xorg.conf.d'];
/** More than such a file has, and than `readText` takes. */
const LIMIT_BYTES = 1024 * 1024;
/** CONFIG_MAX_FILES of hw/xfree86/parser/scan.c: X opens no more than these. */
const MOST_FILES = 64;

export async function collectXorg({ guest }: Look): Promise<XorgFact> {
  const listed = await Promise.all(DROP_IN_DIRECTORIES.map(directory => dropInsOf(guest, directory)));
  const [confs, dropIns, tool] = await Promise.all([
    Promise.all([XORG_CONF, ...OTHER_CONFS].map(path => readConf(guest, path))),
    Promise.all(
      listed
        .flat()
        .slice(0, MOST_FILES)
        .map(path => readFile(guest, path)),
    ),
    guest.stat(NVIDIA_XCONFIG),
  ]);
  const conf = confs.find(file => file !== undefined);
  const there = dropIns.filter(file => file !== undefined);
  const stats = await Promise.all([...there, ...(conf ? [conf] : [])].map(({ path }) => guest.stat(path)));
  const times = stats.flatMap(stat => (stat ? [stat.changedUs] : []));
  return {
    dropIns: there,
    conf,
    nvidiaXconfig: tool?.kind === 'file',
    changedUs: times.length > 0 ? Math.max(...times) : undefined,
  };
}

/** Hidden files and other names are not read (ConfigFilter in scan.c). */
async function dropInsOf(guest: GuestView, directory: string): Promise<readonly string[]> {
  const names = await guest.list(directory);
  return names.filter(name => /^[^.].*\.conf$/s.test(name)).map(name => `${directory}/${name}`);
}

/** A link to /dev/null, and even a folder, keeps X from looking further, and has nothing in it. */
async function readConf(guest: GuestView, path: string): Promise<XorgFile | undefined> {
  const stat = await guest.stat(path);
  return stat && stat.kind !== 'file' ? { path, text: '' } : await readFile(guest, path);
}

async function readFile(guest: GuestView, path: string): Promise<XorgFile | undefined> {
  // a pipe would never end, and X reads nothing from a folder
  if ((await guest.stat(path))?.kind !== 'file') return undefined;
  const [text, found] = await Promise.all([guest.readText(path), guest.realPath(path)]);
  const real = found ?? path;
  if (!text?.includes('\uFFFD')) return text === undefined ? undefined : { path: real, text };
  const bytes = await guest.readStart(path, LIMIT_BYTES);
  return bytes === undefined ? undefined : { path: real, text: bytes, encoding: 'latin1' };
}
