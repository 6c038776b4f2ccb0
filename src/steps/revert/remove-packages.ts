import { blocked, due, settled, warned } from '../../change.ts';
import { defineStep } from '../step.ts';
import { type RevertOptions, refuseUnreadable } from './changed-files.ts';
import { present } from './restore-blacklist.ts';

/** What the driver was built with. Others may have come to need it since. */
export const removePackages = (options: RevertOptions) =>
  defineStep({
    id: 'remove-packages',
    title: 'Remove the packages that came with the driver',
    reads: ['addedPackages', 'record', 'driver', 'installedDriver', 'system'],
    judge(_config, { addedPackages: added, record, system, ...driver }, ahead) {
      const refusal = refuseUnreadable(record);
      if (refusal) return refusal;
      const { there, removable, needed, problem } = added;
      if (there.length === 0) return settled('no package is there that vgpu-guest has installed');
      if (!options.packages)
        return warned(settled('no package is asked to go'), [
          `packages stay that vgpu-guest has installed (${there.join(', ')}): revert --driver --packages takes them away`,
        ]);
      const version = present(driver);
      if (version !== undefined && !ahead.has('remove-driver'))
        return blocked(
          `driver ${version} stays, and a new kernel's modules of it are built with these packages`,
          'give --driver as well, or leave --packages out',
        );
      if (system.readOnly) return { is: 'blocked', ...system.readOnly };
      if (problem)
        return blocked(
          `whether others need ${there.join(', ')} cannot be told: ${problem}`,
          'mend the package manager, or leave --packages out and remove them by hand',
        );
      const warnings = needed.map(({ name, by }) => `${name} stays: it is needed by ${by.join(', ')}`);
      const [first] = removable;
      if (!first) return warned(settled('others need every package that vgpu-guest has installed'), warnings);
      const because = `vgpu-guest has installed them, and nothing else needs them`;
      return warned(due({ kind: 'remove-packages', packages: removable, because }), warnings);
    },
  });
