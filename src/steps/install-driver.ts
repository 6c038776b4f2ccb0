import { type Argv, blocked, type Change, due, type InstallDriver, settled, type Verdict, warned } from '../change.ts';
import type { Config } from '../config/schema.ts';
import { isDriverInPlace, isRegistered } from '../facts/driver.ts';
import type { PresentPackage } from '../facts/driver-package.ts';
import type { Facts } from '../facts/facts.ts';
import type { NextKernel } from '../facts/kernels.ts';
import { PACKAGE_STORE } from '../facts/room.ts';
import { chooseWorkshop, refusePackage, refuseSurroundings, SET_PACKAGE } from './driver-preflight.ts';
import { hostPackage } from './gates.ts';
import { installPrerequisites } from './install-prerequisites.ts';
import { INSTALLER_LOG, installerArgv } from './installer-options.ts';
import { type Signing, signingOfDkms, signingOfPackage } from './module-signing.ts';
import { defineStep } from './step.ts';
import { allowNvidiaModules } from './unsupported-modules.ts';

const READS = [
  ...(['system', 'gpus', 'driverPackage', 'driver', 'smi', 'screen', 'modprobe', 'kernels'] as const),
  ...(['secureBoot', 'room', 'gpuUsers', 'distributionDriver', 'driverTrouble'] as const),
] as const;
type Seen = Pick<Facts, (typeof READS)[number]>;

const MODPROBE_TIMEOUT_MS = 120_000;
/** DKMS compiles all modules: minutes on a small guest. */
const DKMS_TIMEOUT_MS = 1_800_000;

export const installDriver = defineStep({
  id: 'install-driver',
  title: 'Install and load the NVIDIA driver',
  reads: READS,
  judge(config, seen, before) {
    const refusal = hostPackage(seen) ?? refusePackage(config, seen);
    if (refusal) return refusal;
    const { driverPackage, driver, smi } = seen;
    const asked = askedVersion(driverPackage);
    const isBare = !driver.onDisk && !driver.loaded;
    if (asked === undefined && driverPackage.is !== 'remote' && isBare) return loadable(bringBack(seen), seen);
    if (driverPackage.is === 'remote' ? !isHere(asked, config, seen) : asked && !isDriverInPlace(asked, config, seen)) {
      return loadable(putInPlace(asked, config, seen, before), seen);
    }
    if (!driver.loaded) return loadable(due(load(`driver ${driver.onDisk} is installed and not loaded`)), seen);
    if (driver.onDisk && driver.onDisk !== driver.loaded) {
      return due({ kind: 'reboot', because: `driver ${driver.loaded} is in memory, and ${driver.onDisk} is on disk` });
    }
    if (!smi.answers) return doesNotWork(driver.loaded, smi.problem, seen);
    if (smi.driverVersion !== driver.loaded) {
      return blocked(
        `driver ${driver.loaded} is loaded, but nvidia-smi speaks of ${smi.driverVersion}`,
        'remove other NVIDIA packages (a CUDA repository brings a driver of its own), reboot, and run vgpu-guest apply again',
      );
    }
    if (driverPackage.is === 'not-asked-for')
      return settled(`driver ${driver.loaded} is loaded, and no other is asked for`);
    const ahead = config.driver.dkms ? buildAhead(driver.loaded, seen) : undefined;
    if (ahead) return ahead;
    const gone = driverPackage.is === 'missing' ? 'the package is gone, its ' : '';
    const how = config.driver.dkms
      ? `installed, loaded and registered with DKMS for ${kernelsOf(seen).join(' and ')}`
      : 'installed and loaded';
    const warnings = [
      ...newerThanHost(driver.loaded, seen),
      ...(config.driver.dkms ? lacksNext(driver.loaded, seen) : []),
    ];
    return warned(settled(`${gone}driver ${driver.loaded} is ${how}`), warnings);
  },
});

/** What modprobe would refuse has to be allowed first. */
function loadable(verdict: Verdict, { modprobe }: Seen): Verdict {
  const allow = allowNvidiaModules(modprobe);
  if (verdict.is !== 'due' || !allow) return verdict;
  return { ...verdict, changes: [allow, ...verdict.changes] };
}

function askedVersion(given: Facts['driverPackage']): string | undefined {
  if (given.is === 'present') return given.version;
  return given.is === 'missing' || given.is === 'remote' ? given.namedVersion : undefined;
}

/** A package that need not be downloaded, because what its name says is in place. */
function isHere(named: string | undefined, config: Config, seen: Seen): boolean {
  return named !== undefined && isDriverInPlace(named, config, seen);
}

function doesNotWork(version: string, problem: string, { driverTrouble }: Seen): Verdict {
  const because = `driver ${version} is loaded, but nvidia-smi says: ${problem}`;
  if (!driverTrouble) {
    return blocked(
      because,
      'see what the kernel says (dmesg | grep NVRM); the driver has to be of the same vGPU release as the host',
    );
  }
  const { from, fault } = driverTrouble;
  return blocked(`${because}; ${from} has why: ${fault.line.trim()} (${fault.cause})`, fault.remedy);
}

/** The driver's modules are gone, as after a kernel update; without a package only DKMS can build them again. */
function bringBack(seen: Seen): Verdict {
  const { driver, system } = seen;
  const known = driver.dkms?.find(({ status }) => status !== 'broken');
  if (!known) return blocked('no NVIDIA driver is installed, and no driver package is given', SET_PACKAGE);
  return buildByDkms(known.version, seen, `driver ${known.version} has no modules for ${system.kernel}`);
}

/** By DKMS where it has the source and only this kernel's modules are wanting, else by the package. */
function putInPlace(version: string | undefined, config: Config, seen: Seen, before: ReadonlySet<string>): Verdict {
  const { driver, system, driverPackage } = seen;
  const because = whatIsWanting(version, config, seen);
  const modulesOnly =
    driver.onDisk !== version ||
    (config.driver.dkms && version !== undefined && !isRegistered(driver, version, system.kernel));
  if (version !== undefined && driver.installed === version && modulesOnly && hasSource(version, seen)) {
    return buildByDkms(version, seen, because);
  }
  if (driverPackage.is === 'present') return installPackage(driverPackage, because, config, seen, before);
  if (driverPackage.is === 'remote') return installWhatComes(driverPackage, because, config, seen);
  const path = driverPackage.is === 'missing' ? driverPackage.path : 'the package';
  return blocked(`${because}, and ${path} is not there`, `copy the driver package to ${path}`);
}

function hasSource(version: string, { driver }: Pick<Seen, 'driver'>): boolean {
  const entries = driver.dkms?.filter(entry => entry.version === version) ?? [];
  return entries.length > 0 && entries.every(({ status }) => status !== 'broken');
}

function whatIsWanting(version: string | undefined, config: Config, { driver, system }: Seen): string {
  const { installed, onDisk } = driver;
  if (!installed)
    return onDisk ? `driver ${onDisk} does not come from a .run package` : 'no NVIDIA driver is installed';
  if (version === undefined) return `driver ${installed} is installed, and what is asked for is not downloaded yet`;
  if (installed !== version) return `driver ${installed} is installed, and ${version} is asked for`;
  if (!onDisk) return `driver ${version} has no modules for ${system.kernel}`;
  if (onDisk !== version) return `driver ${version} is installed, but its module on disk is ${onDisk}`;
  if (!config.driver.dkms || isRegistered(driver, version, system.kernel))
    return `driver ${version} has lost nvidia-smi`;
  return `driver ${version} is not registered with DKMS for ${system.kernel}`;
}

function buildByDkms(version: string, seen: Seen, because: string): Verdict {
  const signing = signingOfDkms(seen);
  if (signing.is === 'impossible') return signing.verdict;
  const build = dkmsInstall(version, seen.system.kernel, seen, because);
  return seen.driver.loaded ? due(build) : due(build, load(`driver ${version} is not loaded`));
}

/** The kernel that the next boot takes gets its modules now, while somebody is there to see whether they can be built. */
function buildAhead(version: string, seen: Seen): Verdict | undefined {
  const next = seen.kernels.next;
  if (!next?.headers || next.failedBuild || next.onDisk === version || !hasSource(version, seen)) return undefined;
  // without a key the driver of today still works, and doctor tells what the next boot lacks
  return signingOfDkms(seen).is === 'impossible' ? undefined : due(dkmsAhead(version, next, seen));
}

function dkmsAhead(version: string, next: NextKernel, seen: Seen): Change {
  const has = next.onDisk ? `driver ${next.onDisk}` : 'no driver';
  const because = `the next boot takes ${next.release} (${next.from}), which has ${has}`;
  const tolerated = `the next boot takes ${next.release}, and would be without driver ${version}`;
  return { ...dkmsInstall(version, next.release, seen, because), tolerated };
}

/** What is known to be wanting, and cannot be mended here. */
function lacksNext(version: string, { kernels: { next } }: Seen): readonly string[] {
  if (!next || next.onDisk === version) return [];
  const why = next.failedBuild
    ? `DKMS could not build it: ${next.failedBuild}`
    : next.headers
      ? 'vgpu-guest doctor says why'
      : 'its headers are not there';
  return [`the next boot takes ${next.release} (${next.from}), which has not got driver ${version}: ${why}`];
}

function dkmsInstall(version: string, kernel: string, { driver }: Pick<Seen, 'driver'>, because: string) {
  // DKMS refuses what it has installed before, even when the modules have been taken away since
  const force = isRegistered(driver, version, kernel) ? ['--force'] : [];
  const argv: Argv = ['dkms', 'install', '-m', 'nvidia', '-v', version, '-k', kernel, ...force];
  return { kind: 'run', argv, timeoutMs: DKMS_TIMEOUT_MS, because } as const;
}

function load(because: string): Change {
  return { kind: 'run', argv: ['modprobe', 'nvidia'], timeoutMs: MODPROBE_TIMEOUT_MS, because };
}

function installPackage(
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
  const install: InstallDriver = {
    kind: 'install-driver',
    argv: installerArgv(given, config, { path: copy ?? path, workshop: workshop.path, signing }),
    log: INSTALLER_LOG,
    version,
    package: { path, sha256: content?.sha256, ...(copy ? { copy } : {}) },
    workshop: workshop.path,
    leaveGraphical: seen.screen.xServers.length > 0,
    ...replaced(version, seen),
  };
  const next = config.driver.dkms ? seen.kernels.next : undefined;
  const isBuildable = next && (next.headers || before.has(installPrerequisites.id)) && next.onDisk !== version;
  const ahead = isBuildable ? [dkmsAhead(version, next, seen)] : [];
  return warned(due({ ...install, because }, ...ahead), [...warningOf(signing), ...newerThanHost(version, seen)]);
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
function installWhatComes(
  { path, namedVersion = '0' }: Extract<Facts['driverPackage'], { is: 'remote' }>,
  because: string,
  config: Config,
  seen: Seen,
): Verdict {
  const refusal = refuseSurroundings(seen);
  if (refusal) return refusal;
  const signing = signingOfPackage(config, seen, namedVersion);
  if (signing.is === 'impossible') return signing.verdict;
  const workshop = seen.room.workshops.find(({ noexec }) => !noexec)?.path ?? '';
  return due({
    kind: 'install-driver',
    argv: installerArgv({ version: namedVersion, options: undefined }, config, { path, workshop, signing }),
    log: INSTALLER_LOG,
    version: namedVersion,
    package: { path, sha256: config.driver.sha256?.toLowerCase() },
    workshop,
    leaveGraphical: seen.screen.xServers.length > 0,
    ...replaced(namedVersion, seen),
    because,
  });
}

function warningOf(signing: Signing): readonly string[] {
  return signing.is === 'by-installer' && signing.warning ? [signing.warning] : [];
}

/** NVIDIA supports guest drivers of the host's branch and of the one before; that is read from the vGPU itself, where it tells. */
function newerThanHost(version: string, { gpus }: Pick<Seen, 'gpus'>): readonly string[] {
  const host = gpus.find(gpu => gpu.host)?.host;
  if (!host || Number.parseInt(version, 10) <= Number.parseInt(host.version, 10)) return [];
  return [
    `driver ${version} is of a newer branch than the host's ${host.version}, which may refuse it: use the -grid.run of the vGPU release that the host runs`,
  ];
}

/** Those that have the driver, the running one first. */
function kernelsOf({ system, kernels: { next } }: Seen): readonly string[] {
  return next?.onDisk ? [system.kernel, next.release] : [system.kernel];
}
