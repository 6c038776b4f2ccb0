import type { Look } from '../facts.ts';
import { namesOf } from '../prerequisites.ts';
import { isDriverInPlace } from './driver.ts';

/** A driver that the distribution's package manager has installed, beside which a .run package does not belong. */
export interface DistributionDriverFact {
  readonly packages: readonly string[];
  /** How they are removed. */
  readonly remove: string | undefined;
  /** The file by which the distribution tells nvidia-installer to stay away. */
  readonly marker: string | undefined;
}

const MARKER = '/usr/lib/nvidia/alternate-install-present';

/** Asked for only where a package is to be installed. */
export async function collectDistributionDriver({ guest, config, fact }: Look): Promise<DistributionDriverFact> {
  const [given, driver, smi, system] = await Promise.all([
    fact('driverPackage'),
    fact('driver'),
    fact('smi'),
    fact('system'),
  ]);
  const none = { packages: [], remove: undefined, marker: undefined };
  if (given.is !== 'present' || isDriverInPlace(given.version, config, { driver, smi, system })) return none;
  const [marker, names] = await Promise.all([
    guest.stat(MARKER),
    system.family ? namesOf(guest, system.family.driverPackages.list) : new Set<string>(),
  ]);
  const packages = [...names].filter(name => system.family?.driverPackages.names.test(name)).sort();
  return {
    packages,
    remove: packages.length > 0 ? system.family?.driverPackages.remove(packages) : undefined,
    marker: marker ? MARKER : undefined,
  };
}
