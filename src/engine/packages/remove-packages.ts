import type { Config } from '../../config/schema.ts';
import { AgentError } from '../../errors.ts';
import type { Family } from '../../facts/families.ts';
import { findRemovable } from '../../facts/revert/added-packages.ts';
import type { Guest } from '../../guest/guest.ts';
import type { Tell } from '../tell.ts';
import { uninstallPackages, unknownFamily } from './install-packages.ts';

/** Takes packages away, if that still touches no other one. */
export async function removePackages(
  guest: Guest,
  packages: readonly string[],
  { family, config, tell }: { readonly family: Family | undefined; readonly config: Config; readonly tell: Tell },
): Promise<void> {
  if (!family) throw unknownFamily('remove', packages);
  const { removable, problem } = await findRemovable(guest, family, packages);
  const kept = packages.filter(name => !removable.includes(name));
  if (kept.length > 0) {
    throw new AgentError(`nothing is removed: ${problem ?? `others need ${kept.join(', ')} by now`}`, {
      remedy: 'run vgpu-guest revert again, which looks at the packages anew',
    });
  }
  await uninstallPackages(guest, { family, packages, lockTimeoutMs: config.lockTimeoutMs, tell });
}
