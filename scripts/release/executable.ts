import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { inject } from 'postject';
import { bundle } from '../bundle.ts';
import { ROOT } from '../root.ts';
import { compileAhead, STEADY } from './compile-ahead.ts';
import { type Architecture, nodeFolder } from './node-binary.ts';

/** What Node looks for in itself; the fuse says that there is something to be found. */
const RESOURCE = 'NODE_SEA_BLOB';
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const PROGRAM = 'vgpu-guest.cjs';
const START = 'scripts/release/start.ts';
const STRIP = { x64: 'x86_64-linux-gnu-strip', arm64: 'aarch64-linux-gnu-strip' } as const;

/** The program as one CommonJS file, since a single executable takes no other; names stay, so that a stack says something. */
export async function bundleForExecutable(folder: string): Promise<Metafile> {
  const outfile = join(folder, PROGRAM);
  const metafile = await bundle({
    outfile,
    format: 'cjs',
    minifyWhitespace: true,
    minifySyntax: true,
    // a script has no import(), and no require but the one that it is given
    supported: { 'dynamic-import': false },
    banner: { js: '(function (require) {' },
    footer: { js: '})' },
    legalComments: 'none',
  });
  const text = readFileSync(outfile, 'utf8');
  if (/[^\0-\xff]/.test(text)) throw new Error(`${outfile} is not Latin-1, which a start reads fastest`);
  writeFileSync(outfile, text, 'latin1');
  await build({
    absWorkingDir: ROOT,
    entryPoints: [START],
    outfile: join(folder, 'start.cjs'),
    bundle: true,
    platform: 'node',
    target: 'node24',
  });
  return metafile;
}

/** The pinned Node with the bundle of this folder in it. */
export async function buildExecutable(folder: string, architecture: Architecture): Promise<string> {
  const own = join(folder, architecture);
  const executable = join(own, 'vgpu-guest');
  mkdirSync(own, { recursive: true });
  execFileSync(STRIP[architecture], ['-o', executable, join(nodeFolder(architecture), 'bin/node')]);
  const resource = await blob(folder, own, architecture);
  await quietly(() => inject(executable, RESOURCE, resource, { sentinelFuse: FUSE }));
  chmodSync(executable, 0o755);
  return executable;
}

/** Made by the Node that runs this, which is the pinned one. What it compiles is of use to the same architecture only. */
async function blob(folder: string, own: string, architecture: Architecture): Promise<Buffer> {
  const isOurs = process.arch === architecture;
  const code = join(own, 'code');
  if (isOurs) await compileAhead(join(folder, PROGRAM), code);
  const config = {
    // relative: the blob keeps this name, and must not keep where it was built
    main: 'start.cjs',
    output: join(own, 'blob'),
    disableExperimentalSEAWarning: true,
    useCodeCache: isOurs,
    // a program that runs as root takes no orders from NODE_OPTIONS
    execArgvExtension: 'none',
    assets: { program: PROGRAM, ...(isOurs ? { code } : {}) },
  };
  writeFileSync(join(own, 'sea.json'), JSON.stringify(config));
  const argv = [STEADY, '--experimental-sea-config', join(own, 'sea.json')];
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
