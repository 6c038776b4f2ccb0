import { due, settled } from '../../change.ts';
import type { Facts } from '../../facts/facts.ts';
import { GRIDD_CONF, GRIDD_UNIT, isRunning } from '../../facts/license/gridd.ts';
import { defineStep } from '../step.ts';
import { filesOf, type RevertOptions, refuseUnreadable, standingOf } from './changed-files.ts';

/** A daemon that is stopped gives its license back; one whose files are taken away keeps it until the lease is over. */
export const returnLicense = (options: RevertOptions) =>
  defineStep({
    id: 'return-license',
    title: 'Give the license back',
    reads: ['gridd', 'record', 'driver'],
    judge(_config, facts) {
      const { gridd, record } = facts;
      const refusal = refuseUnreadable(record);
      if (refusal) return refusal;
      if (!isRunning(gridd.unit)) return settled('nvidia-gridd does not run, and holds no license');
      const goes = options.driver && facts.driver.installed !== undefined;
      if (!goes && !isItsBusiness(facts, options)) return settled('nothing of nvidia-gridd is to be put back');
      const because = goes ? 'nvidia-gridd goes with its driver' : 'nvidia-gridd runs by what apply has made of it';
      return due({ kind: 'service', unit: GRIDD_UNIT, action: 'stop', because });
    },
  });

/** A file that it reads is to go back, or it did not run before. */
function isItsBusiness({ record }: Pick<Facts, 'record'>, options: RevertOptions): boolean {
  const before = record.record.units[GRIDD_UNIT];
  if (before && before.active !== 'active') return true;
  const folder = GRIDD_CONF.slice(0, GRIDD_CONF.lastIndexOf('/') + 1);
  const its = filesOf(record, 'others').filter(({ path }) => path.startsWith(folder) || path.endsWith('.tok'));
  return its.some(file => standingOf(file, options).is === 'due');
}
