import { blacklistedModules } from '../formats/modprobe-conf.ts';
import type { GuestView } from '../guest/guest.ts';
import type { Look } from './facts.ts';

/** Which files keep the kernel from giving the GPU to a driver that is not NVIDIA's. */
export interface BlacklistFact {
  /** The file of this distribution's custom; undefined text: it is not there. */
  readonly own: { readonly path: string; readonly text: string | undefined } | undefined;
  /** Modules of this guest's kernels that would take the GPU. */
  readonly rivals: readonly string[];
  /** The first effective file that blacklists each rival. */
  readonly holders: ReadonlyMap<string, ModprobeFile>;
}

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

/** nova is the kernel's second driver for these GPUs; where it was built, it takes them just as nouveau does. */
const NOVA_FOLDER = 'kernel/drivers/gpu/nova-core';
const NOUVEAU = ['nouveau'];
const NOUVEAU_AND_NOVA = ['nouveau', 'nova_core', 'nova_drm'];

export async function collectBlacklist({ guest, fact }: Look): Promise<BlacklistFact> {
  const [{ family }, kernels, files] = await Promise.all([
    fact('system'),
    guest.list('/lib/modules'),
    effectiveFiles(guest),
  ]);
  const nova = await Promise.all(kernels.map(kernel => guest.stat(`/lib/modules/${kernel}/${NOVA_FOLDER}`)));
  const rivals = nova.some(Boolean) ? NOUVEAU_AND_NOVA : NOUVEAU;
  const path = family?.blacklistPath;
  const holders = rivals.flatMap(rival => {
    const holder = files.find(file => blacklistedModules(file.text).has(rival));
    return holder ? [[rival, holder] as const] : [];
  });
  return {
    own: path ? { path, text: files.find(file => file.path === path)?.text } : undefined,
    rivals,
    holders: new Map(holders),
  };
}

async function effectiveFiles(guest: GuestView): Promise<readonly ModprobeFile[]> {
  const names = await Promise.all(FOLDERS.map(folder => guest.list(folder)));
  const paths = new Map<string, string>();
  for (const [index, folder] of FOLDERS.entries()) {
    for (const name of names[index] ?? []) {
      if (name.endsWith('.conf') && !paths.has(name)) paths.set(name, `${folder}/${name}`);
    }
  }
  const files = await Promise.all([...paths.values()].map(path => readFile(guest, path)));
  return files.filter(file => file !== undefined);
}

async function readFile(guest: GuestView, path: string): Promise<ModprobeFile | undefined> {
  const [text, stat] = await Promise.all([guest.readText(path), guest.stat(path)]);
  return text !== undefined && stat ? { path, text, changedUs: stat.changedUs } : undefined;
}
