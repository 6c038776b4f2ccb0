import { existsSync, rmSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { arch } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';

const PROJECT = resolve(import.meta.dirname, '../..');
const CACHE = join(PROJECT, '.cache/packages');
/** Of this run alone: others may build beside it. */
const FOLDER = join(CACHE, String(process.pid));
const LIMIT_MS = 10 * 60_000;
/** The environment variable by which whoever has built them gives their folder to those that it starts. */
export const GIVEN = 'VGPU_GUEST_TEST_PACKAGES';
/** What packages are built with, besides Debian's own. */
export const PACKAGE_PROGRAMS = ['dpkg-deb', 'rpmbuild', 'strip'];

let built: Promise<string> | undefined;

/** How the names of those for this machine's kind of guest end. */
const ENDING =
  arch() === 'arm64' ? { deb: '_arm64.deb', rpm: '.aarch64.rpm' } : { deb: '_amd64.deb', rpm: '.x86_64.rpm' };

/** The package for this machine's kind of guest: the given one, or one of the sources as they are now. */
export async function buildPackage(kind: 'deb' | 'rpm', signal: AbortSignal): Promise<string> {
  built ??= openPackages(signal);
  const folder = await built;
  const name = (await readdir(folder)).find(file => file.endsWith(ENDING[kind]));
  if (!name) throw new Error(`${folder} has no *${ENDING[kind]}`);
  return join(folder, name);
}

/** What dpkg --verify says, without what the images of the tests leave out of every package. */
export function isVerified(told: string): boolean {
  const lines = told.split('\n').filter(line => line && !/^missing +\/usr\/share\/(?:doc|man)\//.test(line));
  if (lines.length > 0) console.log(lines.join('\n'));
  return lines.length === 0;
}

/** The folder with both: the one that is given, or one in which they are packed fast, once in a run of tests, and which goes with this process. */
export async function openPackages(signal: AbortSignal): Promise<string> {
  return process.env[GIVEN] ?? (await buildPackages(signal));
}

async function buildPackages(signal: AbortSignal): Promise<string> {
  process.on('exit', () => rmSync(FOLDER, { recursive: true, force: true }));
  await removeLeftovers();
  const script = join(PROJECT, 'scripts/release/main.ts');
  const units = join(PROJECT, 'scripts/release/units-as-text.ts');
  const options = ['--quick', '--architecture', arch(), '--output', FOLDER];
  const how = { cwd: PROJECT, stdin: 'ignore', timeout: LIMIT_MS, cancelSignal: signal } as const;
  await execa(process.execPath, ['--import', units, script, ...options], how);
  return FOLDER;
}

/** Packages of runs that were killed before they could tidy up. */
async function removeLeftovers(): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  for (const name of await readdir(CACHE)) {
    if (!existsSync(`/proc/${name}`)) await rm(join(CACHE, name), { recursive: true, force: true });
  }
}
