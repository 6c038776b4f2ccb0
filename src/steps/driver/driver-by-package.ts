import { type Change, due, type InstallDriver, type Verdict, warned } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import type { PresentPackage } from '../../facts/driver/driver-package.ts';
import { PACKAGE_STORE } from '../../facts/driver/room.ts';
import type { Facts } from '../../facts/facts.ts';
import { dkmsAhead, forgetLeftover } from './driver-by-dkms.ts';
import { chooseWorkshop, refuseSurroundings } from './driver-preflight.ts';
import { installPrerequisites } from './install-prerequisites.ts';
import { INSTALLER_LOG, installerArgv } from './installer-options.ts';
import { type Signing, signingOfPackage } from './module-signing.ts';

type Seen = Pick<
  Facts,
  | 'driver'
  | 'system'
  | 'kernels'
  | 'secureBoot'
  | 'screen'
  | 'gpuUsers'
  | 'distributionDriver'
  | 'foothold'
  | 'room'
  | 'gpus'
  | 'prerequisites'
>;

/** By a package that is here and has been read through. */
export function installPackage(
  given: PresentPackage,
  because: string,
  config: Config,
  seen: Seen,
  before: ReadonlySet<string>,
): Verdict {
  const refusal = refuseSurroundings(seen);
  if (refusal) return refusal;
  const signing = signingOfPackage(config, seen, given.version);
  if (signing.is === 'impossible') return signing.verdict;
  const copy = placeOfCopy(given);
  const workshop = chooseWorkshop(given, copy ? 'copied' : 'in-place', seen);
  if ('refusal' in workshop) return workshop.refusal;
  const { path, version, content } = given;
  const install: InstallDriver & Change = {
    kind: 'install-driver',
    argv: installerArgv(given, config, {
      path: copy ?? path,
      workshop: workshop.path,
      signing,
      hasLibglvnd: hasLibglvnd(seen, before),
    }),
    log: INSTALLER_LOG,
    version,
    package: { path, sha256: content?.sha256, ...(copy ? { copy } : {}) },
    workshop: workshop.path,
    leaveGraphical: seen.screen.xServers.length > 0,
    ...replaced(version, seen),
    because,
  };
  const next = config.driver.dkms ? seen.kernels.next : undefined;
  const isBuildable = next && (next.headers || before.has(installPrerequisites.id)) && next.onDisk !== version;
  // what DKMS had of this version is gone by then
  const ahead = isBuildable ? dkmsAhead(version, next, { ...seen, driver: { ...seen.driver, dkms: [] } }) : [];
  const [first = install, ...rest] = [...forgetLeftover(version, seen), install];
  return warned(due(first, ...rest, ...ahead), [...warningOf(signing), ...newerThanHost(version, seen)]);
}

/** The driver that is lost when this one does not work. */
function replaced(version: string, { driver: { installed } }: Pick<Seen, 'driver'>) {
  return installed !== undefined && installed !== version ? { replaces: installed } : {};
}

/** The package's own wrapper leaves its name without quotes, and what others can change is not run as root. */
function placeOfCopy({ path, content }: PresentPackage): string | undefined {
  if (content?.exposed === undefined && !/[\s*?[\]\\]/.test(path)) return undefined;
  const name = path.slice(path.lastIndexOf('/') + 1).replace(/[^\w.+-]/g, '_');
  return `${PACKAGE_STORE}/${content?.sha256 ?? 'unread'}/${name}`;
}

/** What a plan can say of a package that is still to be downloaded. */
export function installWhatComes(
  { path, namedVersion = '0' }: Extract<Facts['driverPackage'], { is: 'remote' }>,
  because: string,
  config: Config,
  seen: Seen,
  before: ReadonlySet<string>,
): Verdict {
  const refusal = refuseSurroundings(seen);
  if (refusal) return refusal;
  const signing = signingOfPackage(config, seen, namedVersion);
  if (signing.is === 'impossible') return signing.verdict;
  const workshop = seen.room.workshops.find(({ noexec }) => !noexec)?.path ?? '';
  return due({
    kind: 'install-driver',
    argv: installerArgv({ version: namedVersion, options: undefined }, config, {
      path,
      workshop,
      signing,
      hasLibglvnd: hasLibglvnd(seen, before),
    }),
    log: INSTALLER_LOG,
    version: namedVersion,
    package: { path, sha256: config.driver.sha256?.toLowerCase() },
    workshop,
    leaveGraphical: seen.screen.xServers.length > 0,
    ...replaced(namedVersion, seen),
    because,
  });
}

/** Its development files, which the driver is built with, bring all of it. */
function hasLibglvnd({ prerequisites, system }: Seen, before: ReadonlySet<string>): boolean {
  const isMissing = prerequisites.missing.some(({ name }) => name.startsWith('libglvnd'));
  return system.family !== undefined && (!isMissing || before.has(installPrerequisites.id));
}

function warningOf(signing: Signing): readonly string[] {
  return signing.is === 'by-installer' && signing.warning ? [signing.warning] : [];
}

/** NVIDIA supports guest drivers of the host's branch and of the one before; that is read from the vGPU itself, where it tells. */
export function newerThanHost(version: string, { gpus }: Pick<Seen, 'gpus'>): readonly string[] {
  const host = gpus.find(gpu => gpu.host)?.host;
  if (!host || Number.parseInt(version, 10) <= Number.parseInt(host.version, 10)) return [];
  return [
    `driver ${version} is of a newer branch than the host's ${host.version}, which may refuse it: use the -grid.run of the vGPU release that the host runs`,
  ];
}
