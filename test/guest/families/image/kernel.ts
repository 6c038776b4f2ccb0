import { mkdir, readdir, readFile, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { kernelOf } from '../../hardware.ts';
import { move } from './debian.ts';
import type { Inside } from './inside.ts';

/** How a family names and keeps its kernel. */
export interface KernelTraits {
  readonly release: string;
  /** The program that its modules are compressed with; it is given their names. */
  readonly compressor: readonly [string, ...string[]];
  /** Where the links of the module folder lead, whether or not something is there. */
  readonly build: string;
  readonly source: string;
}

/** A kernel of Debian's becomes the family's: another name, compressed modules. What is inside of the modules stays as it was. */
export async function renameKernel(root: string, inside: Inside, traits: KernelTraits): Promise<void> {
  const { release, compressor, build, source } = traits;
  const debian = await kernelOf(root);
  const modules = join(root, 'usr/lib/modules', release);
  await rename(join(root, 'usr/lib/modules', debian), modules);
  for (const name of ['build', 'source']) await rm(join(modules, name), { force: true });
  await symlink(build, join(modules, 'build'));
  await symlink(source, join(modules, 'source'));
  for (const name of ['vmlinuz', 'config'])
    await rename(join(root, 'boot', `${name}-${debian}`), join(root, 'boot', `${name}-${release}`));
  // Debian's stump of a symbol table would only confuse depmod
  for (const name of ['boot/System.map-', 'boot/initrd.img-']) await rm(join(root, name + debian), { force: true });
  for (const name of ['vmlinuz', 'vmlinuz.old', 'initrd.img', 'initrd.img.old'])
    await rm(join(root, name), { force: true });
  const entries = await readdir(modules, { recursive: true, withFileTypes: true });
  const files = entries.filter(({ name }) => name.endsWith('.ko')).map(file => join(file.parentPath, file.name));
  const names = files.map(file => file.slice(root.length));
  for (let at = 0; at < names.length; at += AT_ONCE) await inside([...compressor, ...names.slice(at, at + AT_ONCE)]);
}

/** Far below what a command line may hold. */
const AT_ONCE = 1_000;

/** Debian's headers that all its kernels share, without the architectures that nobody asks for. */
export async function takeSources(root: string, to: string): Promise<void> {
  await move(await findOne(root, 'usr/src', /^linux-headers-.*-common$/), to);
  for (const name of ['scripts', 'tools']) await unlink(join(to, name));
  for (const name of await readdir(join(to, 'arch')))
    if (name !== 'x86') await rm(join(to, 'arch', name), { recursive: true });
}

/** Debian's headers of this very kernel and the programs to build with; modules that are built here carry its new name. */
export async function takeBuildTree(root: string, to: string, release: string): Promise<void> {
  const headers = await findOne(root, 'usr/src', /^linux-headers-.*-amd64$/);
  const programs = await findOne(root, 'usr/lib', /^linux-kbuild-/);
  for (const name of ['Makefile', 'scripts', 'tools']) await unlink(join(headers, name));
  await merge(headers, to);
  for (const name of ['scripts', 'tools']) await rename(join(programs, name), join(to, name));
  const rewrite = async (name: string, text: (old: string) => string) =>
    writeFile(join(to, name), text(await readFile(join(to, name), 'utf8')));
  await rewrite('include/config/kernel.release', () => `${release}\n`);
  await rewrite('include/generated/utsrelease.h', () => `#define UTS_RELEASE "${release}"\n`);
  await rewrite('.kernelvariables', old => old.replace(/^(override KERNELRELEASE = ).*$/m, `$1${release}`));
}

async function findOne(root: string, folder: string, pattern: RegExp): Promise<string> {
  const name = (await readdir(join(root, folder))).find(each => pattern.test(each));
  if (!name) throw new Error(`no ${pattern} in ${folder} of ${root}`);
  return join(root, folder, name);
}

/** Folders of the same name become one. */
async function merge(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    await (entry.isDirectory() ? merge(source, target) : rename(source, target));
  }
}
