import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DEBIAN_ARCHITECTURE, deriveImage, openImage } from '../../image.ts';
import { NotRun } from '../../not-run.ts';
import { dropPackages, takePackages } from './debian.ts';
import type { Family } from './family.ts';
import { type Inside, openInside } from './inside.ts';
import { renameKernel } from './kernel.ts';
import {
  buildRpms,
  INSTALLED_FROM,
  installRpms,
  openStage,
  type Repository,
  type Rpm,
  repositoryFile,
  SERVED,
  WORKSHOP,
} from './rpm.ts';

/** Both families' guests are made of this: what they are to have, what their repositories will have, and what builds these. */
const INGREDIENTS = [
  ...['systemd', 'systemd-sysv', 'udev', 'kmod', 'dbus', 'zstd', 'xz-utils', 'python3', 'linux-image-amd64'],
  ...['rpm', 'zypper', 'dnf', 'dracut', 'createrepo-c'],
  ...['linux-headers-amd64', 'dkms', 'gcc', 'make', 'patch', 'libc6-dev', 'libelf-dev', 'libglvnd-core-dev'],
];
/** What no guest of another family has, and what was only needed to build. */
const DEBIANS_OWN = ['apt', 'dpkg', 'dpkg-dev', 'libdpkg-perl', 'debian-archive-keyring', 'createrepo-c'];
const LEFTOVERS = [
  ...['/etc/apt', '/etc/dpkg', '/etc/debian_version', '/var/lib/apt', '/var/lib/dpkg', '/var/cache/apt'],
  // hooks of Debian's kernel packages, and its way to a cc
  ...['/etc/kernel/postinst.d', '/etc/kernel/postrm.d', '/etc/kernel/prerm.d', '/etc/kernel/header_postinst.d'],
  ...['cc', 'c89', 'c99', 'cpp'].map(name => `/etc/alternatives/${name}`),
  ...['/usr/bin/cc', '/usr/bin/c89', '/usr/bin/c99', '/usr/lib/cpp'],
];

const EVERY_FAMILY = {
  // Debian's rpm lectures whoever installs with it, and so does zypper then
  '/etc/popt': 'rpm alias -i --install --force-debian\nrpm alias -U --upgrade --force-debian\n',
  // a boot splash brings the drivers of the GPUs that are there into the initrd; this is its part of it
  '/etc/dracut.conf.d/10-boot-splash.conf': 'add_dracutmodules+=" drm "\n',
};

/** The root of a family's bare guest, from the cache or made now of a Debian. */
export async function openFamilyImage(
  family: Family,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<string> {
  if (DEBIAN_ARCHITECTURE !== 'amd64') throw new NotRun('the guests of SUSE and Red Hat are made for x86_64 only');
  const from = await openImage({ suite: 'bookworm', packages: INGREDIENTS }, log, signal);
  const recipe = await readRecipe(family);
  const change = (root: string) =>
    become(family, root, openInside(root, `vgpu-guest-${family.id}-${process.pid}`, signal));
  return deriveImage({ name: `the family ${family.id}`, from, recipe, change }, log, signal);
}

/** Every line that an image comes of. */
async function readRecipe(family: Family): Promise<string> {
  const names = (await readdir(import.meta.dirname)).sort();
  const sources = await Promise.all(names.map(name => readFile(join(import.meta.dirname, name), 'utf8')));
  return JSON.stringify([family.id, family.traits, sources]);
}

async function become(family: Family, root: string, inside: Inside): Promise<void> {
  const { databasePath, files, installed, kernel, links, repositories, strange, traits } = family;
  await renameKernel(root, inside, kernel);
  await useDatabase(root, databasePath);
  await buildRpms(root, inside, installed, INSTALLED_FROM);
  await installRpms(root, inside, INSTALLED_FROM);
  for (const repository of repositories) await serve(root, inside, repository);

  await dropPackages(root, [...DEBIANS_OWN, ...strange]);
  for (const name of await readdir(join(root, 'usr/src'))) await rm(join(root, 'usr/src', name), { recursive: true });
  for (const path of [...LEFTOVERS, WORKSHOP]) await rm(join(root, path), { recursive: true, force: true });
  await rm(join(root, 'etc/os-release'), { force: true });
  const all = { '/etc/os-release': traits.osRelease, ...EVERY_FAMILY, ...files, ...repositoryFiles(family) };
  for (const [path, text] of Object.entries(all)) await place(root, path, text);
  for (const [path, target] of Object.entries(links ?? {})) await symlink(target, join(root, path));
  await inside(['depmod', kernel.release]);
  await inside(['dracut', traits.initrd.replace('KERNEL', kernel.release), kernel.release]);
}

/** Debian's rpm has its database in the home of whoever calls it. */
async function useDatabase(root: string, path: string): Promise<void> {
  const macros = join(root, 'usr/lib/rpm/macros');
  const text = await readFile(macros, 'utf8');
  await writeFile(macros, text.replace(/^(%_dbpath\s+).*$/m, `$1${path}`));
  if (path === '/var/lib/rpm') return;
  await rm(join(root, 'var/lib/rpm'), { recursive: true });
  await mkdir(join(root, path), { recursive: true });
  await symlink(`../..${path}`, join(root, 'var/lib/rpm'));
}

/** What the packages of a repository bring is in them from then on, and no longer in the guest. */
async function serve(root: string, inside: Inside, { id, packages }: Repository): Promise<void> {
  for (const rpm of packages) await fill(root, rpm);
  await buildRpms(root, inside, packages, `${SERVED}/${id}`);
  await inside(['createrepo_c', '--quiet', `${SERVED}/${id}`]);
}

async function fill(root: string, rpm: Rpm): Promise<void> {
  const stage = await openStage(root, rpm);
  await takePackages(root, rpm.brings ?? [], stage);
  await rpm.take?.(root, stage);
  for (const [path, target] of Object.entries(rpm.links ?? {})) {
    await mkdir(dirname(join(stage, path)), { recursive: true });
    await symlink(target, join(stage, path));
  }
}

function repositoryFiles({ repositories, repositoryFolder }: Family): Readonly<Record<string, string>> {
  return Object.fromEntries(
    repositories.map(repository => [
      `${repositoryFolder}/${repository.id}.repo`,
      repositoryFile(repository, repository.off ? 'off' : 'on'),
    ]),
  );
}

async function place(root: string, path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}
