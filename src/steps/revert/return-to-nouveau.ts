import { due, settled } from '../../change.ts';
import { defineStep } from '../step.ts';
import { restoreBlacklist } from './restore-blacklist.ts';

/** A driver in memory goes with the boot, and nouveau takes a GPU when the guest boots. */
export const returnToNouveau = defineStep({
  id: 'return-to-nouveau',
  title: 'Boot as it was',
  reads: ['reverted', 'driver', 'gpus', 'blacklist', 'smi'],
  judge(_config, { reverted, driver, gpus, blacklist, smi }, ahead) {
    const isAhead = ['remove-driver', RESTORE_BLACKLIST, 'restore-ecc'].some(id => ahead.has(id));
    if (!reverted.inThisBoot && !isAhead) return settled('nothing waits for a boot');
    const gone = driver.onDisk === undefined || ahead.has('remove-driver');
    if (driver.loaded !== undefined && gone && !ahead.has('remove-driver'))
      return due({ kind: 'reboot', because: `driver ${driver.loaded} is gone from disk, and still in memory` });
    const isFree = !blacklist.holders.has('nouveau') || ahead.has(RESTORE_BLACKLIST);
    const lonely = gpus.find(gpu => gpu.driver === undefined || (gpu.driver === 'nvidia' && gone));
    if (lonely && gone && isFree && reverted.hasNouveau)
      return due({ kind: 'reboot', because: `nouveau takes the GPU ${lonely.address} again when the guest boots` });
    if (ahead.has('restore-ecc')) return due({ kind: 'reboot', because: 'ECC is as it was from the next boot on' });
    const waiting = smi.answers && smi.gpus.find(({ ecc }) => ecc && ecc.current !== ecc.pending);
    if (waiting) {
      const { address, ecc } = waiting;
      return due({
        kind: 'reboot',
        because: `ECC of the GPU ${address} is ${ecc?.current} until a reboot, then ${ecc?.pending}`,
      });
    }
    return settled('the next boot is as this one');
  },
});

const RESTORE_BLACKLIST = restoreBlacklist({ driver: false, packages: false, force: false }).id;
