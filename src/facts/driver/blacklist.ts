import { blacklistedModules } from '../../formats/driver/modprobe-conf.ts';
import type { Look } from '../facts.ts';
import type { ModprobeFile } from './modprobe.ts';

/** Which files keep the kernel from giving the GPU to a driver that is not NVIDIA's. */
export interface BlacklistFact {
  /** The file of this distribution's custom; undefined text: it is not there. */
  readonly own: { readonly path: string; readonly text: string | undefined } | undefined;
  /** Modules of this guest's kernels that would take the GPU. */
  readonly rivals: readonly string[];
  /** The first effective file that blacklists each rival. */
  readonly holders: ReadonlyMap<string, ModprobeFile>;
}

/** nova is the kernel's second driver for these GPUs; where it was built, it takes them just as nouveau does. */
const NOVA_FOLDER = 'kernel/drivers/gpu/nova-core';
const NOUVEAU = ['nouveau'];
const NOUVEAU_AND_NOVA = ['nouveau', 'nova_core', 'nova_drm'];

export async function collectBlacklist({ guest, fact }: Look): Promise<BlacklistFact> {
  const [{ family }, kernels, files] = await Promise.all([
    fact('system'),
    guest.list('/lib/modules'),
    fact('modprobe'),
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
