import { blocked, type Change, due, settled, warned } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import { isDriverInPlace } from '../../facts/driver/driver.ts';
import type { Facts } from '../../facts/facts.ts';
import type { Requirement } from '../../facts/families.ts';
import { isUrl } from '../../formats/url.ts';
import { hostPackage, notAGuest, notChangeable } from '../gates.ts';
import { defineStep } from '../step.ts';
import { refusePackage, SET_PACKAGE } from './driver-preflight.ts';

/** What the driver's modules are built with. Here, before anything is changed, a machine is refused that is none for this program. */
export const installPrerequisites = defineStep({
  id: 'install-prerequisites',
  title: 'Install what the driver is built with',
  reads: ['system', 'gpus', 'smi', 'driverPackage', 'driver', 'prerequisites'],
  judge(config, facts) {
    const refusal = notAGuest(facts) ?? hostPackage(facts) ?? refuseDownloaded(config, facts);
    if (refusal) return refusal;
    const { system, driverPackage, driver, prerequisites } = facts;
    if (driverPackage.is === 'not-asked-for') {
      const present = presentVersion(facts);
      if (present) return settled(`driver ${present} is there and no other is asked for, so nothing has to be built`);
      if (!driver.dkms?.length) return noDriver;
    }
    const locked = notChangeable(facts);
    if (locked) return locked;

    const fetch = fetchPackage(config, facts);
    const { manager, missing, later, offered } = prerequisites;
    const wanted = missing.length > 0 ? missing : later.filter(({ ask }) => offered.has(ask));
    if (wanted.length === 0 && fetch) return due(fetch);
    if (wanted.length === 0) {
      const there = settled(`all that a driver for ${system.kernel} is built with is there`);
      return warned(there, later.map(lostAtNextKernel));
    }
    const names = wanted.map(({ name }) => name).join(', ');
    if (!config.driver.dkms && isLoaded(facts)) return settled('the driver is built and DKMS is not asked for');
    if (manager) {
      const packages = wanted.map(({ ask }) => ask);
      const welcome = missing.length > 0 ? later.map(({ ask }) => ask) : [];
      const ofLater = welcome.length > 0 ? `, and for later kernels ${welcome.join(', ')}` : '';
      const because = `not installed: ${names}${ofLater}`;
      const install: Change = {
        kind: 'install-packages',
        packages,
        ...(welcome.length > 0 ? { welcome } : {}),
        because,
      };
      return fetch ? due(fetch, install) : due(install);
    }
    return blocked(`not installed: ${names}, and there is no package manager`, `install them by hand: ${names}`);
  },
});

/** The driver of this kernel needs none of it, and no repository that the guest knows has it. */
function lostAtNextKernel({ name, follows }: Requirement): string {
  return follows
    ? `${name} is not installed: the next kernel update comes without headers, and without a driver`
    : `${name} is not installed: the next boot takes that kernel, for which no driver can be built`;
}

const noDriver = blocked('no NVIDIA driver is installed, and no driver package is given', SET_PACKAGE);

/** What has only now been downloaded was judged by its name so far. */
function refuseDownloaded(config: Config, facts: Pick<Facts, 'driverPackage' | 'driver'>) {
  return isUrl(config.driver.package ?? '') ? refusePackage(config, facts) : undefined;
}

/** First of all, so that the package can be judged while nothing else is changed. */
function fetchPackage(config: Config, facts: Pick<Facts, 'driverPackage' | 'driver' | 'smi' | 'system'>) {
  const { driverPackage: given } = facts;
  if (given.is !== 'remote') return undefined;
  if (given.namedVersion && isDriverInPlace(given.namedVersion, config, facts)) return undefined;
  const { url: from, path } = given;
  const because = `${given.namedVersion ? `driver ${given.namedVersion}` : 'the driver package'} is not downloaded yet`;
  return { kind: 'fetch-package', from, path, sha256: config.driver.sha256?.toLowerCase() ?? '', because } as const;
}

/** A driver that the running kernel has or can load. */
function presentVersion({ driver, smi }: Pick<Facts, 'driver' | 'smi'>): string | undefined {
  return driver.loaded ?? driver.onDisk ?? (smi.answers ? smi.driverVersion : undefined);
}

function isLoaded({ driverPackage, driver }: Pick<Facts, 'driverPackage' | 'driver'>): boolean {
  if (driverPackage.is !== 'present') return false;
  return [driver.installed, driver.onDisk, driver.loaded].every(version => version === driverPackage.version);
}
