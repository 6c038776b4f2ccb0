import type { InitrdBuilder } from '../../change.ts';
import { compareReleases } from '../../formats/driver/kernel-release.ts';
import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';
import type { Family } from '../families.ts';

/** The initrd images of the kernels that matter: the running one, and newer ones that the next boot may take. */
export interface InitrdsFact {
  /** undefined: no program that makes an initrd is there. */
  readonly builder: InitrdBuilder | undefined;
  readonly images: readonly InitrdImage[];
  /** Room in /boot. */
  readonly freeBytes: number | undefined;
  /** dracut's drop-in of this program. */
  readonly dropIn: { readonly text: string; readonly changedUs: number } | undefined;
}

export interface InitrdImage {
  readonly kernel: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedUs: number;
}

/** dracut reads every *.conf here; the file tells it what to put into each image, now and at every kernel update. */
export const DRACUT_DROP_IN = '/etc/dracut.conf.d/50-vgpu-guest.conf';

export async function collectInitrds({ guest, fact }: Look): Promise<InitrdsFact> {
  const { family, kernel } = await fact('system');
  const [builder, kernels, freeBytes, text, stat] = await Promise.all([
    findBuilder(guest),
    guest.list('/lib/modules'),
    guest.freeBytes('/boot'),
    guest.readText(DRACUT_DROP_IN),
    guest.stat(DRACUT_DROP_IN),
  ]);
  const matter = kernels.filter(release => release === kernel || compareReleases(release, kernel) > 0);
  return {
    builder,
    images: await findImages(guest, family, matter),
    freeBytes,
    dropIn: text !== undefined && stat ? { text, changedUs: stat.changedUs } : undefined,
  };
}

/** Those of these kernels that are there. */
export async function findImages(
  guest: GuestView,
  family: Family | undefined,
  kernels: readonly string[],
): Promise<readonly InitrdImage[]> {
  const images = await Promise.all(kernels.map(release => lookAtImage(guest, family, release)));
  return images.filter(image => image !== undefined);
}

/** Both can be installed: Debian's update-initramfs is then dracut's own and says so. */
async function findBuilder(guest: GuestView): Promise<InitrdBuilder | undefined> {
  const [dracut, mkinitramfs, updateInitramfs, mkinitrd] = await Promise.all([
    firstOf(guest, '/usr/bin/dracut', '/usr/sbin/dracut', '/sbin/dracut'),
    firstOf(guest, '/usr/sbin/mkinitramfs'),
    guest.readText('/usr/sbin/update-initramfs'),
    firstOf(guest, '/sbin/mkinitrd', '/usr/sbin/mkinitrd'),
  ]);
  if (mkinitramfs && !(dracut && updateInitramfs?.includes('dracut'))) return 'initramfs-tools';
  if (dracut) return 'dracut';
  return mkinitrd ? 'mkinitrd' : undefined;
}

async function firstOf(guest: GuestView, ...paths: readonly string[]): Promise<boolean> {
  return (await Promise.all(paths.map(path => guest.stat(path)))).some(Boolean);
}

async function lookAtImage(
  guest: GuestView,
  family: Family | undefined,
  kernel: string,
): Promise<InitrdImage | undefined> {
  const path = family?.initrdImage(kernel);
  const stat = path === undefined ? undefined : await guest.stat(path);
  return path && stat ? { kernel, path, sizeBytes: stat.sizeBytes, modifiedUs: stat.modifiedUs } : undefined;
}
