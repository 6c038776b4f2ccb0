import type { InitrdBuilder } from '../../change.ts';
import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';
import { findImages, type InitrdImage } from './initrds.ts';

/** Which initrd images carry files that this program has put into /etc/modprobe.d. */
export interface CarriedFact {
  readonly images: readonly CarryingImage[];
  /** Old images that were kept beside the ones that this program has built, and new ones in whose building the power went. */
  readonly kept: readonly { readonly path: string; readonly sizeBytes: number }[];
}

export interface CarryingImage extends InitrdImage {
  /** undefined: it cannot be read. */
  readonly carries: readonly string[] | undefined;
}

/** Reading an image means unpacking it. */
const LIST_TIMEOUT_MS = 120_000;
export const KEPT_SUFFIX = '.before-vgpu-guest';
const CUT = /^\.init.*\.vgpu-guest$/;
export const MODPROBE_FOLDER = '/etc/modprobe.d/';

export async function collectCarried({ guest, fact }: Look): Promise<CarriedFact> {
  const [{ files }, { builder }, { family }] = await Promise.all([fact('record'), fact('initrds'), fact('system')]);
  const paths = files.map(({ path }) => path).filter(path => path.startsWith(MODPROBE_FOLDER));
  const names = (await guest.list('/boot')).filter(name => name.endsWith(KEPT_SUFFIX) || CUT.test(name));
  const kept = await Promise.all(
    names.map(async name => ({
      path: `/boot/${name}`,
      sizeBytes: (await guest.stat(`/boot/${name}`))?.sizeBytes ?? 0,
    })),
  );
  if (paths.length === 0 || !builder) return { images: [], kept };
  const images = await findImages(guest, family, await guest.list('/lib/modules'));
  const carrying: CarryingImage[] = [];
  // one after the other: each is unpacked
  for (const image of images) carrying.push({ ...image, carries: await carriedBy(guest, builder, image.path, paths) });
  return { images: carrying, kept };
}

async function carriedBy(
  guest: GuestView,
  builder: InitrdBuilder,
  image: string,
  paths: readonly string[],
): Promise<readonly string[] | undefined> {
  const { code, stdout } = await guest.query([listerOf(builder), image], LIST_TIMEOUT_MS);
  return code === 0 ? paths.filter(path => isListed(stdout, path)) : undefined;
}

/** The program that lists what is in an image. */
export function listerOf(builder: InitrdBuilder): 'lsinitramfs' | 'lsinitrd' {
  return builder === 'initramfs-tools' ? 'lsinitramfs' : 'lsinitrd';
}

/** lsinitramfs prints bare names, lsinitrd those of `ls -l`. */
export function isListed(list: string, path: string): boolean {
  const inside = path.slice(1);
  return list.split('\n').some(line => line === inside || line.endsWith(` ${inside}`));
}
