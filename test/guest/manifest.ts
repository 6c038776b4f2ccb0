import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Path → mode, owner, size, time and content of everything below some folders of a guest. */
export type Manifest = ReadonlyMap<string, string>;

/** A folder that is not there is empty. */
export function takeManifest(root: string, folders: readonly string[]): Manifest {
  return new Map(folders.flatMap(folder => tree(root, folder)));
}

/** One line for each path that came, went or differs. */
export function differences(before: Manifest, after: Manifest): readonly string[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return paths
    .filter(path => before.get(path) !== after.get(path))
    .map(path => `${path}: ${before.get(path) ?? 'absent'} → ${after.get(path) ?? 'absent'}`);
}

function tree(root: string, path: string): readonly (readonly [string, string])[] {
  const at = join(root, path);
  const stat = lstatSync(at, { throwIfNoEntry: false });
  if (!stat) return [];
  const below = stat.isDirectory() ? readdirSync(at).flatMap(name => tree(root, join(path, name))) : [];
  const content = stat.isSymbolicLink() ? readlinkSync(at) : stat.isFile() ? sha256(at) : '';
  // how large a folder is depends on the file system; what is in it is told below
  const size = stat.isDirectory() ? '-' : stat.size;
  const traits = [stat.mode.toString(8), `${stat.uid}:${stat.gid}`, size, stat.mtime.toISOString(), content];
  return [[path, traits.join(' ')], ...below];
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
