import { blocked, due, settled, type Verdict, warned } from '../../change.ts';
import type { Facts } from '../../facts/facts.ts';
import { defineStep } from '../step.ts';
import type { RevertOptions } from './changed-files.ts';

/** Where it writes by itself as well. */
const UNINSTALLER_LOG = '/var/log/nvidia-uninstall.log';

/** Only where that is asked for: a driver that somebody works with is more than a file. */
export const removeDriver = (options: RevertOptions) =>
  defineStep({
    id: 'remove-driver',
    title: 'Take the NVIDIA driver away',
    reads: ['driver', 'installedDriver', 'record', 'screen', 'gpuHolders', 'foothold', 'system'],
    judge(_config, facts) {
      const { driver, record, system } = facts;
      const version = versionOf(facts);
      if (version === undefined) return settled(`no driver of a .run package is installed${othersOf(facts)}`);
      if (!options.driver) return staying(version, facts);
      if (system.readOnly) return { is: 'blocked', ...system.readOnly };
      const refusal = refuse(version, facts, options);
      if (refusal) return refusal;
      const [program, ...args] = facts.installedDriver.uninstaller ?? [''];
      const because = `driver ${version} is installed, and is to go`;
      const replaced = record.record.driver?.before;
      const verdict = due(
        { kind: 'mark-boot', because },
        {
          kind: 'remove-driver',
          argv: [program, ...args, '--silent', `--log-file-name=${UNINSTALLER_LOG}`],
          log: UNINSTALLER_LOG,
          version,
          leaveGraphical: facts.screen.xServers.length > 0,
          because,
        },
      );
      const lost = replaced && replaced !== driver.installed;
      return warned(
        verdict,
        lost ? [`driver ${replaced}, which was there before driver ${version}, does not come back by itself`] : [],
      );
    },
  });

type Seen = Pick<Facts, 'driver' | 'installedDriver' | 'screen' | 'gpuHolders' | 'foothold'>;

/** By the installer's own list, else by what it has left with DKMS or for a kernel. */
function versionOf({ driver, installedDriver: { ours } }: Pick<Facts, 'driver' | 'installedDriver'>) {
  if (driver.installed !== undefined) return driver.installed;
  const left = [...(driver.dkms ?? []).map(({ version }) => version), driver.onDisk];
  return left.find(version => version !== undefined && ours.includes(version));
}

function othersOf({ driver: { onDisk, loaded } }: Pick<Facts, 'driver'>): string {
  if (onDisk) return `; driver ${onDisk} came some other way`;
  return loaded ? `; driver ${loaded} is in memory until the next boot` : '';
}

function staying(version: string, { installedDriver: { ours } }: Pick<Facts, 'installedDriver'>): Verdict {
  if (!ours.includes(version)) return settled(`driver ${version} was not installed by vgpu-guest, and stays`);
  return warned(settled(`driver ${version} is not asked to go`), [
    `driver ${version} stays, with what keeps nouveau away from it: revert --driver takes them away`,
  ]);
}

function refuse(version: string, { installedDriver, screen, gpuHolders, foothold }: Seen, { force }: RevertOptions) {
  if (!installedDriver.ours.includes(version) && !force)
    return blocked(
      `driver ${version} was not installed by vgpu-guest`,
      'leave --driver out to keep it, or take it away all the same with --driver --force',
    );
  if (!installedDriver.uninstaller)
    return blocked(
      `driver ${version} is installed, and neither nvidia-uninstall nor nvidia-installer is there to take it away`,
      `run the package of driver ${version} with --uninstall (sh NVIDIA-Linux-….run --uninstall), then run this again`,
    );
  if (screen.xServers.length > 0 && !screen.graphical)
    return blocked(
      `an X server outside of graphical.target holds display :${screen.xServers[0]}`,
      'end it (a VNC server, startx), then run this again',
    );
  if (screen.xServers.length > 0 && foothold)
    return blocked(
      `the graphical target is left for it, and this run would end with it: ${foothold.evidence}`,
      'run it by ssh or on a text console (Ctrl+Alt+F3)',
    );
  const [user] = gpuHolders;
  // with the graphical target its programs leave as well
  if (!user || screen.xServers.length > 0) return undefined;
  return blocked(
    `process ${user.pid} (${user.name})${user.unit ? ` of ${user.unit}` : ''} has ${user.device} open`,
    `${user.unit?.endsWith('.service') ? `systemctl stop ${user.unit}` : `end it (kill ${user.pid})`}, then run this again`,
  );
}
