import { createHash } from 'node:crypto';
import { access, copyFile, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { CACHE } from '../image.ts';

/** The kernel module `silicon` for a kernel whose headers lie in a Debian root; built with this machine's compiler, or from the cache. */
export async function buildSilicon(options: { root: string; kernel: string; signal: AbortSignal }): Promise<string> {
  const { root, kernel, signal } = options;
  const headers = join(root, 'usr/src', `linux-headers-${kernel}`);
  const folder = join(CACHE, `silicon-${await hashOf(headers)}`);
  const module = join(folder, 'silicon.ko');
  if (await exists(module)) return module;

  const draft = await mkdtemp(join(CACHE, 'silicon-draft-'));
  try {
    await Promise.all(SOURCES.map(name => copyFile(join(import.meta.dirname, name), join(draft, name))));
    const makefile = await commonMakefile(root, headers);
    await execa('make', ['-C', headers, '-f', makefile, `M=${draft}`, 'modules'], {
      stdin: 'ignore',
      timeout: BUILD_LIMIT_MS,
      cancelSignal: signal,
    });
    // another run may have been faster
    await rename(draft, folder).catch(async error => {
      if (!(await exists(module))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return module;
}

const SOURCES = ['Kbuild', 'gpu.c'];
const BUILD_LIMIT_MS = 5 * 60_000;

/** A kernel takes a module by its release and by the checksums of what it exports. */
async function hashOf(headers: string): Promise<string> {
  const files = [
    ...SOURCES.map(name => join(import.meta.dirname, name)),
    ...['Module.symvers', '.config', 'include/generated/utsrelease.h'].map(name => join(headers, name)),
  ];
  const hash = createHash('sha256');
  for (const bytes of await Promise.all(files.map(path => readFile(path)))) hash.update(bytes);
  return hash.digest('hex').slice(0, 12);
}

/** Debian's headers include it by an absolute path, which here lies inside the root; kbuild takes the source tree from where it finds it. */
async function commonMakefile(root: string, headers: string): Promise<string> {
  const path = join(headers, 'Makefile');
  const [, common] = /^include (\/\S+\/Makefile)$/m.exec(await readFile(path, 'utf8')) ?? [];
  if (!common) throw new Error(`${path} is not one of Debian's headers: it includes no other Makefile`);
  return join(root, common);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
