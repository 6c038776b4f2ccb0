import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';

/** A file that modprobe reads. */
export interface ModprobeFile {
  readonly path: string;
  readonly text: string;
  readonly changedUs: number;
}

/** modprobe.d(5): a file of an earlier folder masks those of the same name in later ones. */
const FOLDERS = [
  '/etc/modprobe.d',
  '/run/modprobe.d',
  '/usr/local/lib/modprobe.d',
  '/usr/lib/modprobe.d',
  '/lib/modprobe.d',
];

/** Every file that counts, in the order of names in which modprobe reads them. */
export async function collectModprobe({ guest }: Look): Promise<readonly ModprobeFile[]> {
  const names = await Promise.all(FOLDERS.map(folder => guest.list(folder)));
  const paths = new Map<string, string>();
  for (const [index, folder] of FOLDERS.entries()) {
    for (const name of names[index] ?? []) {
      if (name.endsWith('.conf') && !paths.has(name)) paths.set(name, `${folder}/${name}`);
    }
  }
  const inOrder = [...paths].toSorted(([one], [other]) => (one < other ? -1 : 1));
  const files = await Promise.all(inOrder.map(([, path]) => readFile(guest, path)));
  return files.filter(file => file !== undefined);
}

async function readFile(guest: GuestView, path: string): Promise<ModprobeFile | undefined> {
  const [text, stat] = await Promise.all([guest.readText(path), guest.stat(path)]);
  return text !== undefined && stat ? { path, text, changedUs: stat.changedUs } : undefined;
}
