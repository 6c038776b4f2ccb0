import { type Change, due, settled } from '../../change.ts';
import type { Facts } from '../../facts/facts.ts';
import { GRIDD_UNIT, isRunning } from '../../facts/license/gridd.ts';
import { defineStep } from '../step.ts';
import { type RevertOptions, refuseUnreadable } from './changed-files.ts';

/** Only nvidia-gridd is one that this program enables, and stops for a while. */
export const restoreServices = (options: RevertOptions) =>
  defineStep({
    id: 'restore-services',
    title: 'Let nvidia-gridd be as it was',
    reads: ['record', 'gridd'],
    judge(_config, { record, gridd: { unit } }, ahead) {
      const refusal = refuseUnreadable(record);
      if (refusal) return refusal;
      const before = record.record.units[GRIDD_UNIT];
      const [first, ...rest] = changesFor(before, unit, ahead);
      if (first) return due(first, ...rest);
      if (!before) return settled('nvidia-gridd was left alone');
      return settled(options.driver ? 'nvidia-gridd went with its driver' : 'nvidia-gridd is as it was');
    },
  });

function changesFor(
  before: { readonly enabled: string; readonly active: string } | undefined,
  unit: Facts['gridd']['unit'],
  ahead: ReadonlySet<string>,
): readonly Change[] {
  if (!before || unit.load !== 'loaded' || ahead.has('remove-driver')) return [];
  const isStopped = !isRunning(unit) || ahead.has('return-license');
  const changes: Change[] = [];
  if (before.enabled === 'disabled' && unit.enabled === 'enabled')
    changes.push({ kind: 'service', unit: GRIDD_UNIT, action: 'disable', because: 'nvidia-gridd was not enabled' });
  if (before.active === 'active' && isStopped)
    changes.push({ kind: 'service', unit: GRIDD_UNIT, action: 'start', because: 'nvidia-gridd ran before' });
  return changes;
}
