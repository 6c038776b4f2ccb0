import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { buildStandInRun } from '../../helpers/stand-in-run.ts';
import { makeToken } from '../../helpers/token.ts';
import { type Container, createContainer } from '../container.ts';
import { GRANTING_SERVICE, HARDWARE, plugIn, powerOn } from '../hardware.ts';
import { DEBIAN_ARCHITECTURE, openImage } from '../image.ts';
import { takeManifest } from '../manifest.ts';
import { buildPackage } from '../packages.ts';
import type { RealGuest } from '../real-guest.ts';

export const PROJECT = resolve(import.meta.dirname, '../../..');
export const MINUTE_MS = 60_000;
/** The names that the examples have for them. */
const PACKAGE = 'NVIDIA-Linux-x86_64-570.211.01-grid.run';
export const TOKEN = 'client_configuration_token.tok';
export const CONFIG = '/etc/vgpu-guest/config.yaml';
export const PROGRAM_LOG = '/var/log/vgpu-guest.log';
/** What the bed binds into a guest that runs the built program, which has no Node of its own. */
export const NODE = { from: process.execPath, to: '/usr/lib/vgpu-guest/node' };
const REPOSITORY = '/srv/packages';
const REPOSITORY_LIST = 'sources.list.d/vgpu-guest.list';
const MARKER = '/var/lib/vgpu-guest/resume.json';
export const RESUME_UNIT = 'vgpu-guest-resume.service';

/** A Debian that boots, with all that the driver's build needs: what is tried here begins after apt. */
const BASE = [
  ...['systemd', 'systemd-sysv', 'udev', 'kmod', 'dbus', 'zstd', 'initramfs-tools'],
  ...[`linux-image-${DEBIAN_ARCHITECTURE}`, `linux-headers-${DEBIAN_ARCHITECTURE}`],
  ...['dkms', 'gcc', 'make', 'libc6-dev', 'libglvnd-dev', 'pkg-config'],
];
const UNTOUCHED = [
  '/etc',
  '/boot',
  '/opt',
  '/usr/lib/modules',
  '/usr/src/nvidia-570.211.01',
  '/var/lib/vgpu-guest',
  '/var/lib/dkms',
];
/** An initrd of a few modules is built in a second or two, and most of them in twenty. */
const LEAN_INITRD = 'MODULES=list\n';

export interface CallerGuestOptions {
  readonly caller: string;
  /** The caller's own, on top of the base. */
  readonly packages: readonly string[];
  /** The program is there, or it is in a repository of the guest's. */
  readonly program: 'there' | 'in-repository';
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

/** The image of guests that are called in this way. */
export function openCallerImage(
  packages: readonly string[],
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<string> {
  return openImage({ suite: 'bookworm', packages: [...BASE, ...packages] }, log, signal);
}

/** A guest that has not booted yet, with nothing of the journey done. */
export async function createCallerGuest(options: CallerGuestOptions): Promise<Container> {
  const { caller, packages, program, log, signal } = options;
  const image = await openCallerImage(packages, log, signal);
  const binds = program === 'there' ? [NODE] : [];
  const name = `vgpu-guest-${caller}`;
  const guest = await createContainer({ name, image, seenAs: HARDWARE, binds, powerOn, log, signal });
  await plugIn(guest.root);
  if (program === 'there') await bringProgram(guest);
  else await addRepository(guest, await buildPackage('deb', signal));
  await guest.write('/etc/initramfs-tools/conf.d/lean', LEAN_INITRD, 0o644);
  await guest.write(...GRANTING_SERVICE, 0o644);
  return guest;
}

/** The built program, for a guest that gets it from no package. */
export async function bringProgram(guest: Container): Promise<void> {
  await guest.copyIn(join(PROJECT, 'dist/vgpu-guest.mjs'), '/usr/lib/vgpu-guest/vgpu-guest.mjs', 0o644);
  await guest.write(
    '/usr/bin/vgpu-guest',
    // what the executable that ships has in it: V8 need not compile the program at every start
    `#!/bin/sh\nexport NODE_COMPILE_CACHE=/var/cache/compiled\nexec ${NODE.to} /usr/lib/vgpu-guest/vgpu-guest.mjs "$@"\n`,
    0o755,
  );
}

/** A repository with the released package, as an operator publishes it to the guests. */
async function addRepository(guest: Container, deb: string): Promise<void> {
  const bytes = await readFile(deb);
  const { stdout: fields } = await execa('dpkg-deb', ['--field', deb]);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const entry = `${fields}\nFilename: ./vgpu-guest.deb\nSize: ${bytes.length}\nSHA256: ${sha256}\n`;
  await guest.write(`${REPOSITORY}/vgpu-guest.deb`, bytes, 0o644);
  await guest.write(`${REPOSITORY}/Packages`, entry, 0o644);
  await guest.write(`/etc/apt/${REPOSITORY_LIST}`, `deb [trusted=yes] file:${REPOSITORY} ./\n`, 0o644);
}

/** The guest's apt knows what is in the repository, and asks no other one. */
export async function readRepository(guest: Container): Promise<void> {
  const only = ['-o', `Dir::Etc::SourceList=${REPOSITORY_LIST}`, '-o', 'Dir::Etc::SourceParts=-'];
  await guest.succeed(['apt-get', ...only, 'update']);
}

/** The package and a token, as an operator has them. */
export async function layOut(guest: RealGuest, folder: string): Promise<void> {
  await layOutPackage(guest, folder);
  await guest.write(`${folder}/${TOKEN}`, makeToken(), 0o600);
}

export async function layOutPackage(guest: RealGuest, folder: string): Promise<void> {
  const { name, bytes } = buildStandInRun();
  if (name !== PACKAGE) throw new Error(`the examples name ${PACKAGE}, and the stand-in is ${name}`);
  await guest.write(`${folder}/${PACKAGE}`, bytes, 0o644);
}

/** The text of a file in examples/. */
export function example(name: string): Promise<string> {
  return readFile(join(PROJECT, 'examples', name), 'utf8');
}

/** The marker and the unit by which a boot goes on are gone again; a unit that a package has brought is disabled again. */
export async function isResumed(guest: RealGuest): Promise<void> {
  await guest.fail(['test', '-e', MARKER], 1);
  const { code } = await guest.execute(['test', '-e', `/usr/lib/systemd/system/${RESUME_UNIT}`]);
  const { stdout } = await guest.execute(['systemctl', 'list-unit-files', '--no-legend', RESUME_UNIT]);
  assert.equal(stdout.split(/\s+/)[1] ?? 'gone', code === 0 ? 'disabled' : 'gone');
  await guest.fail(['test', '-e', `/etc/systemd/system/${RESUME_UNIT}`], 1);
}

export async function isLicensed(guest: RealGuest): Promise<void> {
  const status = JSON.parse(await guest.succeed(['vgpu-guest', 'status', '--json'], { deadlineMs: 3 * MINUTE_MS }));
  assert.equal(status.license.state, 'licensed');
}

/** Enough of the token to know it again. */
export async function readToken(guest: RealGuest, folder: string): Promise<string> {
  return (await guest.succeed(['cat', `${folder}/${TOKEN}`])).slice(0, 100);
}

/** What a caller that only asks leaves as it is. */
export function manifestOf(guest: Container): ReturnType<typeof takeManifest> {
  return takeManifest(guest.root, UNTOUCHED);
}
