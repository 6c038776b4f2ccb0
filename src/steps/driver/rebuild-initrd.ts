import { blocked, type Change, due, settled } from '../../change.ts';
import type { BlacklistFact } from '../../facts/driver/blacklist.ts';
import { DRACUT_DROP_IN, type InitrdImage } from '../../facts/driver/initrds.ts';
import { defineStep } from '../step.ts';
import { blacklistNouveau } from './blacklist-nouveau.ts';

/** A new image is built beside the old one and may be larger; dracut needs some room while it writes. */
const ROOM_FACTOR = 1.3;

export const rebuildInitrd = defineStep({
  id: 'rebuild-initrd',
  title: 'Take the blacklist into the initrd',
  reads: ['blacklist', 'initrds'],
  judge(_config, { blacklist, initrds: { builder, images, freeBytes, dropIn } }, ahead) {
    const holder = blacklist.holders.get('nouveau');
    const path = holder?.path ?? blacklist.own?.path;
    if (!path) return settled('nothing is blacklisted, so nothing goes into the initrd');
    if (images.length === 0) return settled('no initrd image lies in /boot, so none can load nouveau');

    const wanted = builder === 'dracut' ? dracutDropIn(path) : undefined;
    const dropInDue = wanted !== undefined && dropIn?.text !== wanted;
    const newerUs =
      dropInDue || ahead.has(blacklistNouveau.id)
        ? Infinity
        : Math.max(newestUs(blacklist), wanted ? (dropIn?.changedUs ?? 0) : 0);
    const stale = images.filter(image => image.modifiedUs < newerUs);
    if (stale.length === 0) {
      return settled(
        `${images.map(image => image.path).join(', ')} ${images.length > 1 ? 'are' : 'is'} newer than the nouveau blacklist`,
      );
    }
    if (!builder) {
      return blocked(
        'the initrd is older than the nouveau blacklist, and no dracut, mkinitramfs or mkinitrd is there',
        'install dracut',
      );
    }
    const shortage = roomMissing(stale, freeBytes);
    if (shortage) return shortage;

    const rebuilds = stale.map(
      ({ kernel, path: image }): Change => ({
        kind: 'rebuild-initrd',
        kernel,
        image,
        builder,
        holds: path,
        because: `${image} is older than the nouveau blacklist`,
      }),
    );
    const [first, ...rest] = rebuilds;
    if (!first) return settled('no initrd is older than the nouveau blacklist');
    if (!dropInDue) return due(first, ...rest);
    return due(
      {
        kind: 'write',
        path: DRACUT_DROP_IN,
        text: wanted,
        because: 'dracut leaves /etc/modprobe.d out of images that are not for this guest alone',
      },
      ...rebuilds,
    );
  },
});

/** Kernel updates build their images with it too. The blanks inside the quotes are dracut's syntax. */
function dracutDropIn(path: string): string {
  return `# vgpu-guest: the nouveau blacklist belongs into every initrd\ninstall_items+=" ${path} "\n`;
}

function newestUs(blacklist: BlacklistFact): number {
  return Math.max(0, ...[...blacklist.holders.values()].map(file => file.changedUs));
}

/** Refuses where a new image would not fit beside the old one. */
export function roomMissing(stale: readonly InitrdImage[], freeBytes: number | undefined) {
  const neededBytes = Math.ceil(ROOM_FACTOR * stale.reduce((sum, image) => sum + image.sizeBytes, 0));
  if (freeBytes === undefined || freeBytes >= neededBytes) return undefined;
  return blocked(
    `/boot has ${megabytes(freeBytes)} MB free, and a new initrd beside the old one needs ${megabytes(neededBytes)} MB`,
    'remove kernels that are not needed any more (zypper purge-kernels, dnf remove --oldinstallonly, apt autoremove), then run it again',
  );
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / 1_000_000);
}
