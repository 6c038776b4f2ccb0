import assert from 'node:assert/strict';
import type { Check } from '../checks.ts';
import type { Container } from '../container.ts';
import { differences, takeManifest } from '../manifest.ts';
import type { Family } from './image/family.ts';

/** Where the guest finds the package to install. */
export const RPM = '/srv/vgpu-guest.rpm';

const NAME = 'vgpu-guest';
const TIMER = 'vgpu-guest-license.timer';
/** The README's commands, for nobody who could answer. */
const INSTALL = {
  dnf: ['dnf', '--assumeyes', 'install', RPM],
  zypper: ['zypper', '--non-interactive', 'install', '--allow-unsigned-rpm', RPM],
} as const;
const REMOVE = {
  dnf: ['dnf', '--assumeyes', 'remove', NAME],
  zypper: ['zypper', '--non-interactive', 'remove', NAME],
} as const;
/** What is the guest's, whoever has brought it. */
const GUESTS_OWN = ['/etc/nvidia', '/etc/modprobe.d', '/usr/lib/modules', '/usr/src', '/var/lib/dkms', '/boot', '/opt'];
const STATE = ['/var/lib/vgpu-guest', '/var/log/vgpu-guest.log', '/etc/vgpu-guest/config.yaml'];
/** Brings the unit that the program itself writes. */
const AT_BOOT = '/root/at-boot.yaml';
const MINUTE_MS = 60_000;

/** The guest has booted and has no program yet. */
export function installsPackage(guest: Container, { packageManager }: Family): Check {
  return [
    `${packageManager} installs the package on a guest without Node, and nothing else, and enables nothing`,
    async () => {
      const before = await packagesOf(guest);
      await guest.succeed(INSTALL[packageManager], { deadlineMs: 3 * MINUTE_MS });
      const after = await packagesOf(guest);
      assert.deepEqual(
        after.filter(name => !before.includes(name)),
        [NAME],
      );
      await guest.fail(['sh', '-c', 'command -v node nodejs'], 127);
      assert.deepEqual(await unitsOf(guest), []);
      await guest.succeed(['rpm', '--verify', NAME], { deadlineMs: MINUTE_MS });
      const units = (await guest.succeed(['rpm', '--query', '--list', NAME])).match(/^.*\.(?:service|timer)$/gm) ?? [];
      assert.equal(units.length, 5);
      const { stderr } = await guest.execute(['systemd-analyze', 'verify', '--man=no', ...units], {
        deadlineMs: MINUTE_MS,
      });
      assert.deepEqual(
        stderr.split('\n').filter(line => line.includes('vgpu-guest')),
        [],
      );
      await guest.succeed(['systemd-analyze', 'security', '--threshold=20', 'vgpu-guest-license.service']);
    },
  ];
}

/** At the end of the journey. */
export function removesPackage(guest: Container, { packageManager }: Family): Check {
  return [
    `rpm finds the package's files as they came; ${packageManager} removes it, and driver, service, license and state stay`,
    async () => {
      await guest.succeed(['rpm', '--verify', NAME], { deadlineMs: MINUTE_MS });
      await guest.succeed(['systemctl', 'enable', '--now', TIMER]);
      await guest.write(AT_BOOT, 'xorg:\n  atBoot: true\n', 0o644);
      await guest.succeed(['vgpu-guest', 'apply', '--only', 'watch-screen', '--config', AT_BOOT]);
      const own = takeManifest(guest.root, GUESTS_OWN);
      const before = await packagesOf(guest);
      await guest.succeed(REMOVE[packageManager], { deadlineMs: 3 * MINUTE_MS });
      const after = await packagesOf(guest);
      assert.deepEqual(
        before.filter(name => !after.includes(name)),
        [NAME],
      );
      await guest.fail(['test', '-e', '/usr/bin/vgpu-guest'], 1);
      assert.deepEqual(await unitsOf(guest), []);
      assert.deepEqual(differences(own, takeManifest(guest.root, GUESTS_OWN)), []);
      await guest.succeed(['systemctl', 'is-active', 'nvidia-gridd.service']);
      assert.match(await guest.succeed(['nvidia-smi', '-q']), /License Status +: Licensed/);
      // rpm knows no purge
      for (const path of STATE) await guest.succeed(['test', '-e', path]);
    },
  ];
}

async function packagesOf(guest: Container): Promise<readonly string[]> {
  return (await guest.succeed(['rpm', '--query', '--all', '--queryformat', '%{NAME}\\n'])).trim().split('\n').sort();
}

/** What systemd is to start of ours, and what of it runs. */
async function unitsOf(guest: Container): Promise<readonly string[]> {
  const links = await guest.succeed(['find', '/etc/systemd/system', '-name', 'vgpu-guest-*']);
  const loaded = await guest.succeed(['systemctl', 'list-units', '--no-legend', '--plain', 'vgpu-guest-*']);
  return `${links}${loaded}`.split('\n').filter(Boolean);
}
