import { type Change, due, settled, warned } from '../../change.ts';
import type { Facts } from '../../facts/facts.ts';
import { defineStep } from '../step.ts';
import {
  changesOf,
  emptied,
  filesOf,
  type RevertOptions,
  refuseUnreadable,
  standingOf,
  warningsOf,
} from './changed-files.ts';
import { removeDriver } from './remove-driver.ts';

const READS = ['record', 'driver', 'installedDriver', 'system'] as const;
type Seen = Pick<Facts, (typeof READS)[number]>;

/** While NVIDIA's driver is there, nouveau would take the GPU from it at the next boot. */
export const restoreBlacklist = (options: RevertOptions) =>
  defineStep({
    id: 'restore-blacklist',
    title: 'Let nouveau have the GPU again',
    reads: READS,
    judge(_config, facts, ahead) {
      const { record, system } = facts;
      const refusal = refuseUnreadable(record);
      if (refusal) return refusal;
      const files = filesOf(record, 'driver');
      if (files.length === 0) return settled('nothing is recorded that would keep nouveau away');
      const driver = ahead.has(REMOVE_DRIVER) ? undefined : present(facts);
      if (driver !== undefined)
        return settled(`${files.map(({ path }) => path).join(', ')} stay: driver ${driver} needs them`);
      if (system.readOnly) return { is: 'blocked', ...system.readOnly };
      const changes = changesOf(files, options);
      const removed = changes.flatMap(change => (change.kind === 'remove' ? [change.path] : []));
      const mark: Change = { kind: 'mark-boot', because: 'at the next boot nouveau may take the GPU again' };
      const rest = [...changes, ...emptied(record, removed)];
      const back = files.filter(file => standingOf(file, options).is === 'back').map(({ path }) => path);
      const verdict = rest.length > 0 ? due(mark, ...rest) : settled(`as before: ${back.join(', ') || 'none of them'}`);
      return warned(verdict, warningsOf(files, options));
    },
  });

const REMOVE_DRIVER = removeDriver({ driver: false, packages: false, force: false }).id;

/** For whichever kernel, whichever way it came. */
export function present({ driver, installedDriver }: Pick<Seen, 'driver' | 'installedDriver'>): string | undefined {
  if (driver.installed ?? driver.onDisk) return driver.installed ?? driver.onDisk;
  const [kernel] = installedDriver.kernels;
  return kernel === undefined ? undefined : `for ${kernel}`;
}
