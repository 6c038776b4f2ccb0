import { blocked, type Verdict } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import type { PresentPackage } from '../../facts/driver/driver-package.ts';
import type { Place } from '../../facts/driver/room.ts';
import type { Facts } from '../../facts/facts.ts';
import { isAtLeast } from '../../formats/driver/run-header.ts';

/** An unpacked package is built where it lies; the objects take about half of its size again. */
const BUILD_FACTOR = 1.5;
/** Of a package that does not say how large it is when it is unpacked. */
const UNPACKING_FACTOR = 3;
const MIB = 1024 ** 2;
/** The first release of NVIDIA's open kernel modules. */
const OPEN_SINCE = '515.43.04';

/** What would be the wrong thing to have installed, said before the first change. */
export function refusePackage(
  config: Config,
  { driverPackage: given, driver }: Pick<Facts, 'driverPackage' | 'driver'>,
): Verdict | undefined {
  switch (given.is) {
    case 'not-asked-for':
    case 'remote':
      return undefined;
    case 'missing': {
      const versions = [driver.installed, driver.onDisk, driver.loaded];
      if (given.namedVersion && versions.every(version => version === given.namedVersion)) return undefined;
      const keep = driver.installed ? `, or remove that key to keep driver ${driver.installed}` : '';
      return blocked(`${given.path} is not there`, `copy the package there, or correct driver.package${keep}`);
    }
    case 'unreadable':
      return blocked(`${given.path} is no driver package: ${given.because}`, SET_PACKAGE);
    case 'present':
      return refuseContent(given, config);
  }
}

export const SET_PACKAGE = 'set driver.package to the -grid.run package on this guest, or give --driver PATH';

function refuseContent(given: PresentPackage, config: Config): Verdict | undefined {
  const { path, version, architecture, guestArchitecture, flavor, content } = given;
  if (guestArchitecture && guestArchitecture !== architecture) {
    return blocked(
      `${path} is made for ${architecture}, and this guest is ${guestArchitecture}`,
      `set driver.package to the package for ${guestArchitecture}`,
    );
  }
  if (flavor === 'plain' && (config.license.token || config.license.server)) {
    return blocked(
      `${path} brings no nvidia-gridd, so this guest would never be licensed`,
      'set driver.package to the -grid.run package of the vGPU release, under the name that NVIDIA gave it; or ask for no license',
    );
  }
  if (config.driver.kernelModules === 'open' && !isAtLeast(version, OPEN_SINCE)) {
    return blocked(
      `${path} brings no open kernel modules, which driver.kernelModules asks for`,
      `take driver.kernelModules out of the configuration, or set driver.package to a driver from ${OPEN_SINCE} on`,
    );
  }
  if (content?.damage !== undefined && content.damage !== 'none') {
    return blocked(`${path} cannot be trusted: ${content.damage}`, 'copy the package again, or correct driver.sha256');
  }
  return undefined;
}

/** Who stands in the way of a driver that is to be installed by its package. */
export function refuseSurroundings({
  screen,
  foothold,
  gpuUsers,
  distributionDriver: { packages, remove, marker },
}: Pick<Facts, 'screen' | 'foothold' | 'gpuUsers' | 'distributionDriver'>): Verdict | undefined {
  if (packages.length > 0) {
    return blocked(
      `packages of the distribution bring a driver, and no .run package belongs beside them: ${packages.join(', ')}`,
      `remove them (${remove}), or leave driver.package out to keep that driver`,
    );
  }
  if (marker) {
    return blocked(
      `${marker} tells that the distribution has installed a driver, and the package gives up where it finds that file`,
      'remove the driver with what has installed it, or leave driver.package out to keep that driver',
    );
  }
  if (screen.xServers.length > 0 && !screen.graphical) {
    return blocked(
      `an X server outside of graphical.target holds display :${screen.xServers[0]}, and nothing is installed beside it`,
      'end it for the installation (a VNC server, startx), then run vgpu-guest apply again',
    );
  }
  if (screen.xServers.length > 0 && foothold) {
    return blocked(
      `the graphical target is left for the installation, and this run would end with it: ${foothold.evidence}`,
      'run it by ssh or on a text console (Ctrl+Alt+F3), or as systemd-run --property=IgnoreOnIsolate=yes vgpu-guest apply',
    );
  }
  const [user] = gpuUsers;
  // with the graphical target its programs leave as well
  if (!user || screen.xServers.length > 0) return undefined;
  const of = user.unit ? ` of ${user.unit}` : '';
  return blocked(
    `process ${user.pid} (${user.name})${of} has ${user.device} open, and the driver cannot be replaced while it is in use`,
    `${user.unit?.endsWith('.service') ? `systemctl stop ${user.unit}` : `end it (kill ${user.pid})`}, then run vgpu-guest apply again`,
  );
}

/** The folder in which a package is unpacked and built; blocked where there is none with enough room. */
export function chooseWorkshop(
  given: PresentPackage,
  copies: 'copied' | 'in-place',
  { room, driver }: Pick<Facts, 'room' | 'driver'>,
): { readonly path: string } | { readonly refusal: Verdict } {
  const unpackedBytes = given.unpackedBytes ?? given.sizeBytes * UNPACKING_FACTOR;
  // the old driver's files make room for those of the new one
  const installedBytes = driver.installed ? 0 : unpackedBytes;
  const keptBytes = copies === 'copied' ? given.sizeBytes : 0;
  const runnable = room.workshops.filter(({ noexec }) => !noexec);
  const roomy = runnable.find(place => shortageAt(place) === undefined);
  if (roomy) return { path: roomy.path };
  const [first] = runnable;
  if (first) return { refusal: shortageAt(first) as Verdict };
  const places = room.workshops.map(({ path, mount }) => `${path} (${mount})`).join(' and ');
  return {
    refusal: blocked(
      `the package unpacks itself and runs from there, and ${places} are on mounts that let nothing be run (noexec)`,
      `mount -o remount,exec ${room.workshops[0]?.mount ?? '/var'} for the installation, then run vgpu-guest apply again`,
    ),
  };

  function shortageAt(workshop: Place): Verdict | undefined {
    const needs: readonly (readonly [Place, number, string])[] = [
      [workshop, unpackedBytes * BUILD_FACTOR, 'unpacking and building the driver'],
      [room.system, installedBytes, "the driver's files in /usr"],
      [room.store, keptBytes, 'a copy of the package that only root can change'],
    ];
    for (const { freeBytes, mount, path } of [workshop, room.system, room.store]) {
      const here = needs.filter(
        ([place, bytes]) => bytes > 0 && (place.path === path || (mount && place.mount === mount)),
      );
      const neededBytes = here.reduce((sum, [, bytes]) => sum + bytes, 0);
      if (freeBytes === undefined || freeBytes >= neededBytes) continue;
      return blocked(
        `${mount ?? path} has ${mebibytes(freeBytes)} MiB free, and ${here.map(([, , what]) => what).join(', ')} take ${mebibytes(neededBytes)} MiB`,
        `make room there (df -h ${path.slice(0, path.lastIndexOf('/')) || path}), then run vgpu-guest apply again`,
      );
    }
    return undefined;
  }
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / MIB);
}
