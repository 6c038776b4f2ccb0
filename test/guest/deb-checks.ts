import assert from 'node:assert/strict';
import type { Check } from './checks.ts';
import { isVerified } from './packages.ts';
import type { RealGuest } from './real-guest.ts';

const TIMER = 'vgpu-guest-license.timer';
const STATE = '/var/lib/vgpu-guest';
const OURS = [STATE, '/var/log/vgpu-guest.log', '/etc/vgpu-guest'];
/** What is the guest's, whoever has brought it. */
const GUESTS_OWN = ['/etc/nvidia', '/etc/modprobe.d', '/usr/lib/modules', '/usr/src', '/var/lib/dkms', '/boot', '/opt'];
/** Brings the unit that the program itself writes. */
const AT_BOOT = '/root/at-boot.yaml';
const MINUTE_MS = 60_000;

/** At the end of a story whose program came by its .deb; `isLicensed` asks without the program. The guest may be made by the story. */
export function debChecks(which: () => RealGuest, isLicensed: () => Promise<void>): readonly Check[] {
  const dpkg = (...argv: string[]) => which().succeed(['dpkg', ...argv], { deadlineMs: 3 * MINUTE_MS });
  let own: readonly string[] = [];
  return [
    [
      'the files of the package are as they came',
      async () => {
        assert.match(await dpkg('--search', '/usr/bin/vgpu-guest'), /^vgpu-guest: /);
        assert.ok(isVerified(await dpkg('--verify', 'vgpu-guest')));
      },
    ],
    [
      'removing the package ends what it looks after, and leaves driver, service and license as they are',
      async () => {
        const guest = which();
        await guest.succeed(['systemctl', 'enable', '--now', TIMER]);
        await guest.write(AT_BOOT, 'xorg:\n  atBoot: true\n', 0o644);
        const apply = ['vgpu-guest', 'apply', '--only', 'watch-screen', '--config', AT_BOOT] as const;
        await guest.succeed(apply, { deadlineMs: 3 * MINUTE_MS });
        own = await listing(guest, GUESTS_OWN);
        await dpkg('--remove', 'vgpu-guest');
        await guest.fail(['test', '-e', '/usr/bin/vgpu-guest'], 1);
        assert.deepEqual(await unitsOf(guest), []);
        assert.deepEqual(await listing(guest, GUESTS_OWN), own);
        await isLicensed();
        await guest.succeed(['test', '-d', STATE]);
      },
    ],
    [
      'purging it takes state, log and configuration, and no more',
      async () => {
        const guest = which();
        await dpkg('--purge', 'vgpu-guest');
        for (const path of OURS) await guest.fail(['test', '-e', path], 1);
        // the driver stays, and with it what every initrd needs for it
        const kept = ['!', '-path', '/etc/dracut.conf.d/50-vgpu-guest.conf'];
        assert.equal(await guest.succeed(['find', '/etc', '-name', '*vgpu-guest*', ...kept]), '');
        assert.deepEqual(await listing(guest, GUESTS_OWN), own);
        await isLicensed();
      },
    ],
  ];
}

/** Every path below these folders with what a change of it would change; a folder that is not there is empty. */
async function listing(guest: RealGuest, folders: readonly string[]): Promise<readonly string[]> {
  const shape = '%p %y %m %U:%G %s %T@ %i\\n';
  const { stdout } = await guest.execute(['find', ...folders, '-printf', shape], { deadlineMs: 2 * MINUTE_MS });
  return stdout.split('\n').sort();
}

/** What systemd is to start of ours, and what of it runs. */
async function unitsOf(guest: RealGuest): Promise<readonly string[]> {
  const links = await guest.succeed(['find', '/etc/systemd/system', '-name', 'vgpu-guest-*']);
  const loaded = await guest.succeed(['systemctl', 'list-units', '--no-legend', '--plain', 'vgpu-guest-*']);
  return `${links}${loaded}`.split('\n').filter(Boolean);
}
