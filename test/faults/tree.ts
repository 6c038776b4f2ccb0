import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { FolderGuest } from '../helpers/folder-guest.ts';

export type Tree = Readonly<Record<string, string>>;

/** What is said of a run, and the record of what it wrote on the way: another text each time. */
const OF_THE_RUN = new Set(['/var/lib/vgpu-guest/last-report.json', '/var/lib/vgpu-guest/changes.json']);

export function treeOf(guest: FolderGuest): Tree {
  return Object.fromEntries(Object.entries(guest.manifest()).filter(([path]) => !OF_THE_RUN.has(path)));
}

/** As a manifest shows it. */
export function digestOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16);
}

/** One line for each path that differs. */
export function differences(expected: Tree, found: Tree): readonly string[] {
  const paths = [...new Set([...Object.keys(expected), ...Object.keys(found)])].sort();
  return paths
    .filter(path => expected[path] !== found[path])
    .map(path => `${path}: ${found[path] ?? 'absent'}, and should be ${expected[path] ?? 'absent'}`);
}
