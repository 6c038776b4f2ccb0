import { blocked, type Change, due, settled } from '../../change.ts';
import { type CarryingImage, KEPT_SUFFIX, MODPROBE_FOLDER } from '../../facts/driver/carried.ts';
import type { ChangedFile } from '../../facts/record.ts';
import { roomMissing } from '../driver/rebuild-initrd.ts';
import { defineStep } from '../step.ts';
import { filesOf, type RevertOptions, refuseUnreadable, standingOf } from './changed-files.ts';
import { present, restoreBlacklist } from './restore-blacklist.ts';

/** Every image of whichever kernel that still has what was put back on disk. */
export const restoreInitrd = (options: RevertOptions) =>
  defineStep({
    id: 'restore-initrd',
    title: 'Take the blacklist out of the initrd',
    reads: ['record', 'carried', 'initrds', 'driver', 'installedDriver'],
    judge(_config, { record, carried, initrds: { builder, freeBytes }, ...driver }, ahead) {
      const refusal = refuseUnreadable(record);
      if (refusal) return refusal;
      const isAhead = ahead.has(restoreBlacklist(options).id);
      if (present(driver) && !ahead.has('remove-driver')) return settled('the initrd is as the driver needs it');
      const files = filesOf(record, 'driver').filter(({ path }) => path.startsWith(MODPROBE_FOLDER));
      const going = files.filter(file => isAhead || standingOf(file, options).is === 'back');
      const stale = carried.images.filter(image => isStale(image, going, isAhead));
      if (stale.length === 0 && carried.kept.length === 0) return settled('no initrd carries what was put back');
      if (stale.length > 0 && !builder)
        return blocked(
          'an initrd carries the nouveau blacklist, and no dracut, mkinitramfs or mkinitrd is there',
          'install dracut',
        );
      const keptBytes = carried.kept.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      const shortage = roomMissing(stale, freeBytes === undefined ? undefined : freeBytes + keptBytes);
      if (shortage && stale.length > 0) return shortage;

      const lacks = going.filter(({ before }) => before === null).map(({ path }) => path);
      const rebuilds = stale.flatMap(({ kernel, path: image }): Change[] => [
        {
          kind: 'rebuild-initrd',
          kernel,
          image,
          builder: builder ?? 'dracut',
          lacks,
          because: `${image} carries what keeps nouveau away`,
        },
        removeKept(`${image}${KEPT_SUFFIX}`),
      ]);
      // they make room for the new ones
      const [first, ...rest] = [...carried.kept.map(({ path }) => removeKept(path)), ...rebuilds];
      return first ? due(first, ...rest) : settled('no initrd carries what was put back');
    },
  });

function removeKept(path: string): Change {
  return { kind: 'remove', path, because: 'vgpu-guest has left it beside the initrd' };
}

/** It holds a file that is gone, or one that was put back after it was built. */
function isStale({ carries, modifiedUs }: CarryingImage, going: readonly ChangedFile[], isAhead: boolean): boolean {
  if (going.length === 0) return false;
  if (carries === undefined) return true;
  return going.some(
    ({ path, before, now }) =>
      carries.includes(path) && (before === null || isAhead || modifiedUs < (now?.changedUs ?? 0)),
  );
}
