import { blocked, type Change, due, settled, type Verdict, warned } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import { CUT_BY } from '../../facts/driver/begun-install.ts';
import { isDriverInPlace, isRegistered, lostFile } from '../../facts/driver/driver.ts';
import type { Facts } from '../../facts/facts.ts';
import { hostPackage } from '../gates.ts';
import { defineStep } from '../step.ts';
import { buildAhead, buildByDkms, hasSource, kernelsOf, lacksNext, load } from './driver-by-dkms.ts';
import { installPackage, installWhatComes, newerThanHost } from './driver-by-package.ts';
import { refusePackage, SET_PACKAGE } from './driver-preflight.ts';
import { allowNvidiaModules } from './unsupported-modules.ts';

const READS = [
  ...(['system', 'gpus', 'driverPackage', 'driver', 'smi', 'screen', 'modprobe', 'kernels'] as const),
  ...(['secureBoot', 'room', 'gpuUsers', 'distributionDriver', 'driverTrouble', 'foothold'] as const),
  'prerequisites',
] as const;
type Seen = Pick<Facts, (typeof READS)[number]>;

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
    const unknown = asked === undefined ? undefined : notKnown(asked, config, seen);
    if (unknown) return unknown;
    if (driverPackage.is === 'remote' ? !isHere(asked, config, seen) : asked && !isDriverInPlace(asked, config, seen)) {
      return loadable(putInPlace(asked, config, seen, before), seen);
    }
    if (driver.begun && !driver.begun.cut) return due(endInstall(driver.begun.version));
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
      ...ofOtherKind(config, driver),
      ...newerThanHost(driver.loaded, seen),
      ...(config.driver.dkms ? lacksNext(driver.loaded, seen) : []),
    ];
    return warned(settled(`${gone}driver ${driver.loaded} is ${how}`), warnings);
  },
});

/** To be installed again for that alone, a driver would have to be taken away that works. */
function ofOtherKind(config: Config, { loaded, isOpen }: Seen['driver']): readonly string[] {
  const asked = config.driver.kernelModules;
  if (!asked || isOpen === undefined || isOpen === (asked === 'open')) return [];
  return [
    `the kernel modules of driver ${loaded} are ${isOpen ? 'the open ones' : 'not the open ones'}, and driver.kernelModules asks for ${asked}: vgpu-guest revert --driver and then vgpu-guest apply install these`,
  ];
}

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

function endInstall(version: string): Change {
  const because = `the run that installed driver ${version} was ended before it saw all of it on the disk`;
  return { kind: 'end-install', because };
}

/** A driver that works is not touched for what nobody could say of it. */
function notKnown(asked: string, config: Config, { driver, smi }: Seen): Verdict | undefined {
  const { installed, loaded, onDisk, dkms = [], unanswered = {} } = driver;
  const works = installed === asked && loaded === asked && (onDisk ?? asked) === asked && smi.answers;
  // an entry of it is an answer, whatever came after
  const isWithDkms = config.driver.dkms && !dkms.some(({ version }) => version === asked);
  const open = [onDisk ? undefined : unanswered.modinfo, isWithDkms ? unanswered.dkms : undefined].filter(Boolean);
  if (!works || open.length === 0) return undefined;
  return blocked(
    `driver ${asked} is installed and loaded, and whether all of it is in place is not known: ${open.join(', ')}`,
    'run what has failed by hand, and mend what it complains about; then run vgpu-guest apply again',
  );
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
  const { driver, system, driverPackage, smi } = seen;
  const because = whatIsWanting(version, seen);
  const lacksModules =
    driver.onDisk !== version ||
    (config.driver.dkms && version !== undefined && !isRegistered(driver, version, system.kernel));
  // an installation that was ended in the middle has its log and its source in place before its programs
  const modulesOnly = lacksModules && lostOf(smi) === undefined && !driver.begun?.cut;
  if (version !== undefined && driver.installed === version && modulesOnly && hasSource(version, seen)) {
    return buildByDkms(version, seen, because);
  }
  if (driverPackage.is === 'present') return installPackage(driverPackage, because, config, seen, before);
  if (driverPackage.is === 'remote') return installWhatComes(driverPackage, because, config, seen, before);
  const path = driverPackage.is === 'missing' ? driverPackage.path : 'the package';
  return blocked(`${because}, and ${path} is not there`, `copy the driver package to ${path}`);
}

function whatIsWanting(version: string | undefined, { driver, system, smi }: Seen): string {
  const { installed, onDisk, begun } = driver;
  if (begun?.cut) {
    return `the installation of driver ${begun.version} was cut by ${CUT_BY[begun.cut]}, so that any of its files may be damaged`;
  }
  if (!installed)
    return onDisk ? `driver ${onDisk} does not come from a .run package` : 'no NVIDIA driver is installed';
  if (version === undefined) return `driver ${installed} is installed, and what is asked for is not downloaded yet`;
  if (installed !== version) return `driver ${installed} is installed, and ${version} is asked for`;
  const lost = lostOf(smi);
  if (lost) return `driver ${version} has lost ${lost}`;
  if (!onDisk) return `driver ${version} has no modules for ${system.kernel}`;
  if (onDisk !== version) return `driver ${version} is installed, but its module on disk is ${onDisk}`;
  return `driver ${version} is not registered with DKMS for ${system.kernel}`;
}

function lostOf(smi: Seen['smi']): string | undefined {
  return smi.answers ? undefined : lostFile(smi.code);
}
