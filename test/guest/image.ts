import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readdir, rename, rm, stat, statfs, utimes } from 'node:fs/promises';
import { arch } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { execa } from 'execa';
import { NEEDED_MODULES, NEEDLESS_MODULES } from './modules.ts';
import { NotRun } from './not-run.ts';

/** What a Debian root is made of; its hash is the image's name in the cache. */
export interface ImageList {
  readonly suite: string;
  readonly packages: readonly string[];
  /** Parts of the archive beside main. */
  readonly components?: readonly string[];
  /** Their files alone, of which no script has been run: a root from which programs are called, and that never boots. */
  readonly unpacked?: true;
}

/** Where images and running guests live: VGPU_GUEST_TEST_CACHE, else a folder of the user's or the system's cache. */
export const CACHE =
  process.env.VGPU_GUEST_TEST_CACHE ?? join(process.env.XDG_CACHE_HOME ?? '/var/cache', 'vgpu-guest-test');
export const DEBIAN_ARCHITECTURE = arch() === 'arm64' ? 'arm64' : 'amd64';

const MIRROR = process.env.VGPU_GUEST_TEST_MIRROR ?? 'http://deb.debian.org/debian';
const ROOM_BYTES = 6 * 1024 ** 3;
const KEEP_UNUSED_MS = 30 * 86_400_000;
const BUILD_LIMIT_MS = 40 * 60_000;
/** Of the kernel's headers those of other architectures: as many files as all others together. */
const OTHER_ARCHITECTURES = `/usr/src/linux-headers-*/arch/${DEBIAN_ARCHITECTURE === 'amd64' ? '[!x]' : '[!a]'}*/*`;
// what fills a root and no test reads, and fsyncs that a throw-away root does not need
const LEAN = [
  '--aptopt=Apt::Install-Recommends "false"',
  '--dpkgopt=force-unsafe-io',
  '--dpkgopt=path-exclude=/usr/share/man/*',
  '--dpkgopt=path-exclude=/usr/share/doc/*',
  '--dpkgopt=path-exclude=/usr/share/locale/*',
  '--aptopt=Acquire::Languages "none"',
  `--dpkgopt=path-exclude=${OTHER_ARCHITECTURES}`,
  ...NEEDLESS_MODULES.map(pattern => `--dpkgopt=path-exclude=${pattern}`),
  ...NEEDED_MODULES.map(pattern => `--dpkgopt=path-include=${pattern}`),
];
/** The initrd that comes with the kernel of an image is packed fast: most guests make their own before they need one. */
const QUICK_INITRD = [
  `--essential-hook=mkdir -p "$1/etc/dracut.conf.d"; echo 'compress="gzip -1"' >"$1/etc/dracut.conf.d/quick.conf"`,
  '--customize-hook=rm "$1/etc/dracut.conf.d/quick.conf"',
];

/** Debian's packages of the programs that guests are built and booted with. */
const PACKAGE_OF: Readonly<Record<string, string>> = {
  debugfs: 'e2fsprogs',
  'dpkg-deb': 'dpkg',
  mke2fs: 'e2fsprogs',
  nsenter: 'util-linux',
  'qemu-img': 'qemu-utils',
  rpmbuild: 'rpm',
  script: 'bsdutils',
  setpriv: 'util-linux',
  strip: 'binutils',
  'systemd-nspawn': 'systemd-container',
  xz: 'xz-utils',
};

/** A machine on which guests are to be built. */
export interface BuildMachine {
  readonly isRoot: boolean;
  /** Programs that are needed and not there. */
  readonly missing: readonly string[];
  readonly cache: string;
  readonly freeBytes: number;
}

/** Says what this machine lacks for guests of its own, before anything is built. */
export async function requireMachine(programs: readonly string[]): Promise<void> {
  const there = await Promise.all(programs.map(isOnPath));
  const missing = programs.filter((_, index) => !there[index]);
  const isRoot = process.getuid?.() === 0;
  const freeBytes = isRoot ? await freeIn(CACHE) : 0;
  const lack = whatIsLacking({ isRoot, missing, cache: CACHE, freeBytes });
  if (lack) throw new NotRun(lack);
}

/** The first thing that keeps a machine from building guests, and what helps. */
export function whatIsLacking({ isRoot, missing, cache, freeBytes }: BuildMachine): string | undefined {
  if (!isRoot) return 'guests are built and booted by root: run it as root';
  if (missing.length > 0) {
    const packages = [...new Set(missing.map(program => PACKAGE_OF[program] ?? program))].join(' ');
    return `${missing.join(', ')} not installed: apt-get install ${packages} (on Debian or Ubuntu)`;
  }
  if (freeBytes < ROOM_BYTES) {
    return `${cache} has less than 6 GiB free: make room or set VGPU_GUEST_TEST_CACHE`;
  }
  return undefined;
}

async function freeIn(folder: string): Promise<number> {
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** The root of an image, from the cache or built now; nobody writes into it. */
export async function openImage(list: ImageList, log: (line: string) => void, signal: AbortSignal): Promise<string> {
  const root = join(CACHE, `image-${hashOf(list, await dateOfMirror(list.suite, signal))}`);
  await removeUnused();
  await keepInCache(root, `an image of Debian ${list.suite}`, log, async draft => {
    const include = `--include=${list.packages.join(',')}`;
    const source = `deb ${MIRROR} ${list.suite} ${['main', ...(list.components ?? [])].join(' ')}`;
    const variant = `--variant=${list.unpacked ? 'extract' : 'minbase'}`;
    const build = [variant, '--mode=root', '--format=directory', include, ...LEAN, ...hooksOf(list), list.suite];
    await execa('mmdebstrap', [...build, draft, source], {
      stdin: 'ignore',
      timeout: BUILD_LIMIT_MS,
      cancelSignal: signal,
    });
  });
  return root;
}

/** What another image becomes by a change to a copy of it. */
export interface Derivation {
  readonly name: string;
  /** The root of the image that is changed. */
  readonly from: string;
  /** Everything that decides what comes of it: its hash is part of the image's name in the cache. */
  readonly recipe: string;
  readonly change: (root: string) => Promise<void>;
}

/** The root of a changed image, from the cache or built now; nobody writes into it. */
export async function deriveImage(
  { name, from, recipe, change }: Derivation,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256')
    .update(JSON.stringify([basename(from), recipe]))
    .digest('hex');
  const root = join(CACHE, `image-${hash.slice(0, 12)}`);
  await keepInCache(root, `an image of ${name}`, log, async draft => {
    await execa('cp', ['--archive', '--reflink=auto', from, draft], { cancelSignal: signal });
    await change(draft);
  });
  return root;
}

/** Its time is that of its last use. */
async function keepInCache(
  root: string,
  what: string,
  log: (line: string) => void,
  build: (draft: string) => Promise<void>,
): Promise<void> {
  if (await exists(root)) return utimes(root, new Date(), new Date());
  const folder = await mkdtemp(join(CACHE, 'draft-'));
  const draft = join(folder, 'root');
  const startedMs = performance.now();
  log(`building ${what}, once: this takes minutes`);
  try {
    await build(draft);
    // what was only unpacked has the time of its packages
    await utimes(draft, new Date(), new Date());
    // another run may have been faster
    await rename(draft, root).catch(async error => {
      if (!(await exists(root))) throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  log(`built ${what} in ${Math.round((performance.now() - startedMs) / 1000)} s: ${root}`);
}

/** Images of older lists and point releases; the time of a root is that of its last use. */
async function removeUnused(): Promise<void> {
  for (const name of await readdir(CACHE)) {
    const path = join(CACHE, name);
    if (!name.startsWith('image-') || Date.now() - (await stat(path)).mtimeMs < KEEP_UNUSED_MS) continue;
    await rm(path, { recursive: true, force: true });
  }
}

/** A point release takes packages of the older one from the mirror, so that an old image could not install its kernel's headers. */
async function dateOfMirror(suite: string, signal: AbortSignal): Promise<string> {
  const url = `${MIRROR}/dists/${suite}/InRelease`;
  const within = AbortSignal.any([signal, AbortSignal.timeout(20_000)]);
  try {
    const answer = await fetch(url, { signal: within });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    const [, date] = /^Date: (.+)$/m.exec(await answer.text()) ?? [];
    if (!date) throw new Error('no date in it');
    return date;
  } catch (cause) {
    signal.throwIfAborted();
    throw new NotRun(`the package mirror does not answer: ${url} (VGPU_GUEST_TEST_MIRROR names another one)`, {
      cause,
    });
  }
}

function hooksOf({ packages }: ImageList): readonly string[] {
  return packages.includes('dracut') ? QUICK_INITRD : [];
}

function hashOf(list: ImageList, mirrorDate: string): string {
  const recipe = JSON.stringify([MIRROR, mirrorDate, DEBIAN_ARCHITECTURE, LEAN, hooksOf(list), list]);
  return createHash('sha256').update(recipe).digest('hex').slice(0, 12);
}

async function isOnPath(program: string): Promise<boolean> {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return (await Promise.all(folders.map(folder => exists(join(folder, program))))).includes(true);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
