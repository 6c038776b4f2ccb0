import { type Argv, blocked, type Change, due, settled, type Verdict } from '../change.ts';
import type { Config } from '../config/schema.ts';
import { isDriverInPlace, isRegistered } from '../facts/driver.ts';
import type { Facts } from '../facts/facts.ts';
import { hostPackage } from './gates.ts';
import { defineStep } from './step.ts';
import { allowNvidiaModules } from './unsupported-modules.ts';

type Seen = Pick<Facts, 'system' | 'driverPackage' | 'driver' | 'smi' | 'screen' | 'modprobe'>;

/** Where nvidia-installer writes by itself, and where nvidia-bug-report.sh looks. */
const INSTALLER_LOG = '/var/log/nvidia-installer.log';
/** The first nvidia-installer that knows an option (its option_table.h), for a package whose stub carries no help. */
const KNOWN_SINCE = {
  dkms: [304, 22],
  'no-install-compat32-libs': [346, 16],
  'no-rebuild-initramfs': [545, 23],
} as const;
const MODPROBE_TIMEOUT_MS = 120_000;
/** DKMS compiles all modules: minutes on a small guest. */
const DKMS_TIMEOUT_MS = 1_800_000;

const SET_PACKAGE = 'set driver.package to the -grid.run package on this guest, or give --driver PATH';

export const installDriver = defineStep({
  id: 'install-driver',
  title: 'Install and load the NVIDIA driver',
  reads: ['system', 'driverPackage', 'driver', 'smi', 'screen', 'modprobe'],
  judge(config, seen) {
    const refusal = hostPackage(seen) ?? refusePackage(config, seen);
    if (refusal) return refusal;
    const { driverPackage, driver, smi, system } = seen;
    const asked = askedVersion(driverPackage);
    if (asked === undefined && !driver.onDisk && !driver.loaded) return loadable(bringBack(seen), seen);
    if (asked !== undefined && !isDriverInPlace(asked, config, seen)) {
      return loadable(putInPlace(asked, config, seen), seen);
    }
    if (!driver.loaded) return loadable(due(load(`driver ${driver.onDisk} is installed and not loaded`)), seen);
    if (driver.onDisk && driver.onDisk !== driver.loaded) {
      return due({ kind: 'reboot', because: `driver ${driver.loaded} is in memory, and ${driver.onDisk} is on disk` });
    }
    if (!smi.answers) {
      return blocked(
        `driver ${driver.loaded} is loaded, but nvidia-smi says: ${smi.problem}`,
        'see what the kernel says (dmesg | grep NVRM); the driver has to be of the same vGPU release as the host',
      );
    }
    if (smi.driverVersion !== driver.loaded) {
      return blocked(
        `driver ${driver.loaded} is loaded, but nvidia-smi speaks of ${smi.driverVersion}`,
        'remove other NVIDIA packages (a CUDA repository brings a driver of its own), reboot, and run vgpu-guest apply again',
      );
    }
    if (driverPackage.is === 'not-asked-for')
      return settled(`driver ${driver.loaded} is loaded, and no other is asked for`);
    const gone = driverPackage.is === 'missing' ? 'the package is gone, its ' : '';
    const how = config.driver.dkms
      ? `installed, loaded and registered with DKMS for ${system.kernel}`
      : 'installed and loaded';
    return settled(`${gone}driver ${driver.loaded} is ${how}`);
  },
});

/** What modprobe would refuse has to be allowed first. */
function loadable(verdict: Verdict, { modprobe }: Seen): Verdict {
  const allow = allowNvidiaModules(modprobe);
  return verdict.is === 'due' && allow ? due(allow, ...verdict.changes) : verdict;
}

/** What would be the wrong thing to have installed, said before the first change. */
function refusePackage(config: Config, { driverPackage: given, driver }: Seen): Verdict | undefined {
  if (given.is === 'not-asked-for') return undefined;
  if (given.is === 'missing') {
    const versions = [driver.installed, driver.onDisk, driver.loaded];
    if (given.namedVersion && versions.every(version => version === given.namedVersion)) return undefined;
    const keep = driver.installed ? `, or remove that key to keep driver ${driver.installed}` : '';
    return blocked(`${given.path} is not there`, `copy the package there, or correct driver.package${keep}`);
  }
  if (given.is === 'unreadable') return blocked(`${given.path} is no driver package: ${given.because}`, SET_PACKAGE);
  if (given.guestArchitecture && given.guestArchitecture !== given.architecture) {
    return blocked(
      `${given.path} is made for ${given.architecture}, and this guest is ${given.guestArchitecture}`,
      `set driver.package to the package for ${given.guestArchitecture}`,
    );
  }
  if (given.flavor === 'plain' && (config.license.token || config.license.server)) {
    return blocked(
      `${given.path} brings no nvidia-gridd, so this guest would never be licensed`,
      'set driver.package to the -grid.run package of the vGPU release, under the name that NVIDIA gave it; or ask for no license',
    );
  }
  return undefined;
}

function askedVersion(given: Facts['driverPackage']): string | undefined {
  if (given.is === 'present') return given.version;
  return given.is === 'missing' ? given.namedVersion : undefined;
}

/** The driver's modules are gone, as after a kernel update; without a package only DKMS can build them again. */
function bringBack({ driver, system }: Seen): Verdict {
  const known = driver.dkms?.find(({ status }) => status !== 'broken');
  if (!known) return blocked('no NVIDIA driver is installed, and no driver package is given', SET_PACKAGE);
  const because = `driver ${known.version} has no modules for ${system.kernel}`;
  return buildByDkms(known.version, { driver, system }, because);
}

/** By DKMS where it has the source and only this kernel's modules are wanting, else by the package. */
function putInPlace(version: string, config: Config, seen: Seen): Verdict {
  const { driver, system } = seen;
  const because = whatIsWanting(version, config, seen);
  const entries = driver.dkms?.filter(entry => entry.version === version) ?? [];
  const hasSource = entries.length > 0 && entries.every(({ status }) => status !== 'broken');
  const modulesOnly =
    driver.onDisk !== version || (config.driver.dkms && !isRegistered(driver, version, system.kernel));
  if (driver.installed === version && modulesOnly && hasSource) return buildByDkms(version, seen, because);
  return installPackage(because, config, seen);
}

function whatIsWanting(version: string, config: Config, { driver, system }: Seen): string {
  const { installed, onDisk } = driver;
  if (!installed)
    return onDisk ? `driver ${onDisk} does not come from a .run package` : 'no NVIDIA driver is installed';
  if (installed !== version) return `driver ${installed} is installed, and ${version} is asked for`;
  if (!onDisk) return `driver ${version} has no modules for ${system.kernel}`;
  if (onDisk !== version) return `driver ${version} is installed, but its module on disk is ${onDisk}`;
  if (!config.driver.dkms || isRegistered(driver, version, system.kernel))
    return `driver ${version} has lost nvidia-smi`;
  return `driver ${version} is not registered with DKMS for ${system.kernel}`;
}

function buildByDkms(version: string, { driver, system }: Pick<Seen, 'driver' | 'system'>, because: string): Verdict {
  // DKMS refuses what it has installed before, even when the modules have been taken away since
  const force = isRegistered(driver, version, system.kernel) ? ['--force'] : [];
  const argv: Argv = ['dkms', 'install', '-m', 'nvidia', '-v', version, '-k', system.kernel, ...force];
  const build: Change = { kind: 'run', argv, timeoutMs: DKMS_TIMEOUT_MS, because };
  return driver.loaded ? due(build) : due(build, load(`driver ${version} is not loaded`));
}

function load(because: string): Change {
  return { kind: 'run', argv: ['modprobe', 'nvidia'], timeoutMs: MODPROBE_TIMEOUT_MS, because };
}

function installPackage(because: string, config: Config, { driverPackage: given, screen }: Seen): Verdict {
  if (given.is !== 'present') {
    const path = given.is === 'not-asked-for' ? 'the package' : given.path;
    return blocked(`${because}, and ${path} is not there`, `copy the driver package to ${path}`);
  }
  const { path, damage, lacksRoom } = given;
  if (damage !== undefined && damage !== 'none') {
    return blocked(`${path} cannot be trusted: ${damage}`, 'copy the package again, or correct driver.sha256');
  }
  // its wrapper leaves $0 without quotes
  if (/[\s*?[\]\\]/.test(path)) {
    return blocked(`the package cannot read itself under the name ${path}`, 'use a path without blanks and wildcards');
  }
  if (lacksRoom) {
    const [free, needed] = [lacksRoom.freeBytes, lacksRoom.neededBytes].map(bytes => Math.round(bytes / 1024 ** 2));
    return blocked(`/tmp has ${free} MiB free, and the package unpacks to ${needed} MiB`, 'make room in /tmp');
  }
  if (screen.xServers.length > 0 && !screen.graphical) {
    return blocked(
      `an X server outside of graphical.target holds display :${screen.xServers[0]}, and nothing is installed beside it`,
      'end it for the installation (a VNC server, startx), then run vgpu-guest apply again',
    );
  }
  const argv: Argv = ['sh', path, ...options(given, config)];
  return due({ kind: 'install-driver', argv, log: INSTALLER_LOG, leaveGraphical: screen.xServers.length > 0, because });
}

/**
 * An option that the package does not know ends the installation, so only known ones are given. The kind of kernel modules is
 * the installer's choice, nouveau is never left to chance, and the initrd is rebuilt elsewhere, safely.
 */
function options(given: Extract<Facts['driverPackage'], { is: 'present' }>, config: Config): readonly string[] {
  const wanted = [config.driver.dkms ? 'dkms' : undefined, 'no-install-compat32-libs', 'no-rebuild-initramfs'] as const;
  const known = wanted.filter(name => name !== undefined && isKnown(name));
  return ['--silent', ...known.map(name => `--${name}`), `--log-file-name=${INSTALLER_LOG}`];

  function isKnown(name: keyof typeof KNOWN_SINCE): boolean {
    if (given.options) return given.options.has(name);
    const [major = 0, minor = 0] = given.version.split('.').map(Number);
    const [sinceMajor, sinceMinor] = KNOWN_SINCE[name];
    return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
  }
}
