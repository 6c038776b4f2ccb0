import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Path → mode, owner, size, times and content of everything below these folders of a guest. */
export type Manifest = ReadonlyMap<string, string>;

export async function takeManifest(root: string, folders: readonly string[]): Promise<Manifest> {
  const manifest = new Map<string, string>();
  for (const folder of folders) await addTree(manifest, root, folder);
  return manifest;
}

/** One line for each path that came, went or differs. */
export function differences(before: Manifest, after: Manifest): readonly string[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return paths
    .filter(path => before.get(path) !== after.get(path))
    .map(path => `${path}: ${before.get(path) ?? 'absent'} → ${after.get(path) ?? 'absent'}`);
}

async function addTree(manifest: Map<string, string>, root: string, path: string): Promise<void> {
  const at = join(root, path);
  const stat = await lstat(at).catch(() => undefined);
  if (!stat) return;
  const content = stat.isSymbolicLink()
    ? await readlink(at)
    : stat.isFile()
      ? createHash('sha256')
          .update(await readFile(at))
          .digest('hex')
      : '';
  const owner = `${stat.uid}:${stat.gid}`;
  manifest.set(path, [stat.mode.toString(8), owner, stat.size, stat.mtime.toISOString(), content].join(' '));
  if (stat.isDirectory()) for (const name of await readdir(at)) await addTree(manifest, root, join(path, name));
}
