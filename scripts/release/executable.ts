import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';
import { inject } from 'postject';
import { bundle } from '../bundle.ts';
import { type Architecture, nodeFolder } from './node-binary.ts';

/** What Node looks for in itself; the fuse says that there is something to be found. */
const RESOURCE = 'NODE_SEA_BLOB';
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const STRIP = { x64: 'x86_64-linux-gnu-strip', arm64: 'aarch64-linux-gnu-strip' } as const;

/** The program as one CommonJS file, since a single executable takes no other; names stay, so that a stack says something. */
export async function bundleForExecutable(folder: string): Promise<Metafile> {
  return await bundle({
    outfile: join(folder, 'vgpu-guest.cjs'),
    format: 'cjs',
    minifyWhitespace: true,
    minifySyntax: true,
    // with a code cache there is no import() at run time
    supported: { 'dynamic-import': false },
    legalComments: 'none',
  });
}

/** The pinned Node with the bundle of this folder in it. */
export async function buildExecutable(folder: string, architecture: Architecture): Promise<string> {
  const own = join(folder, architecture);
  const executable = join(own, 'vgpu-guest');
  mkdirSync(own, { recursive: true });
  execFileSync(STRIP[architecture], ['-o', executable, join(nodeFolder(architecture), 'bin/node')]);
  await quietly(() => inject(executable, RESOURCE, blob(folder, own, architecture), { sentinelFuse: FUSE }));
  chmodSync(executable, 0o755);
  return executable;
}

/** Made by the Node that runs this, which is the pinned one. Its code cache is of use to the same architecture only. */
function blob(folder: string, own: string, architecture: Architecture): Buffer {
  const config = {
    // relative: the blob keeps this name, and must not keep where it was built
    main: 'vgpu-guest.cjs',
    output: join(own, 'blob'),
    disableExperimentalSEAWarning: true,
    useCodeCache: process.arch === architecture,
    // a program that runs as root takes no orders from NODE_OPTIONS
    execArgvExtension: 'none',
  };
  writeFileSync(join(own, 'sea.json'), JSON.stringify(config));
  // V8 lays its tables out by a random seed; with a fixed one the same sources give the same bytes, and the cache is still taken
  const argv = ['--random-seed=1', '--experimental-sea-config', join(own, 'sea.json')];
  execFileSync(process.execPath, argv, { cwd: folder, stdio: 'pipe' });
  return readFileSync(config.output);
}

/** postject's library warns of every section whose name it cannot find, and finds all that it needs. */
async function quietly(work: () => Promise<void>): Promise<void> {
  const { warn, error, log } = console;
  const drop = (...words: readonly unknown[]) => {
    if (!/^warning: Can't find string offset for section name/.test(String(words[0]))) error(...words);
  };
  Object.assign(console, { warn: drop, error: drop, log: drop });
  try {
    await work();
  } finally {
    Object.assign(console, { warn, error, log });
  }
}
