import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../root.ts';

export type Architecture = 'x64' | 'arm64';

/** The lockfile, as far as a release goes by it. */
interface Lockfile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly license?: string;
}

export const lockfile = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lockfile;

/** The folder of the pinned Node for an architecture: npm installs only the one that it runs on, so the other is fetched. */
export function nodeFolder(architecture: Architecture): string {
  const name = `node-linux-${architecture}`;
  const locked = lockfile.packages[`node_modules/${name}`];
  if (locked?.integrity === undefined) throw new Error(`package-lock.json does not pin ${name}`);
  const installed = join(ROOT, 'node_modules', name);
  if (existsSync(join(installed, 'bin/node'))) return installed;
  return unpacked(name, locked.version, locked.integrity);
}

/** Kept in .cache/, and looked at again each time: what is not what the lockfile says is never built in. */
function unpacked(name: string, version: string, integrity: string): string {
  const cache = join(ROOT, '.cache/node');
  const tarball = join(cache, `${name}-${version}.tgz`);
  mkdirSync(cache, { recursive: true });
  if (!existsSync(tarball) || integrityOf(tarball) !== integrity) {
    execFileSync('npm', ['pack', `${name}@${version}`, '--silent', '--pack-destination', cache], { stdio: 'inherit' });
    if (integrityOf(tarball) !== integrity) throw new Error(`${tarball} is not what package-lock.json pins`);
  }
  const folder = join(cache, `${name}-${version}`);
  if (!existsSync(folder)) {
    const partial = `${folder}.${process.pid}`;
    mkdirSync(partial, { recursive: true });
    execFileSync('tar', ['-xzf', tarball, '-C', partial, '--strip-components=1']);
    renameSync(partial, folder);
  }
  return folder;
}

function integrityOf(file: string): string {
  return `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
}
