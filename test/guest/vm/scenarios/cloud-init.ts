import assert from 'node:assert/strict';
import { cloudInitChecks, seedCloudInit } from '../../callers/cloud-init.ts';
import type { Check } from '../../checks.ts';
import { isVerified } from '../../packages.ts';
import {
  boundDriver,
  installPackage,
  listing,
  MINUTE_MS,
  PROGRAM_LOG,
  type Scenario,
  type Scene,
  SERVICE_NAME,
} from '../bed.ts';

/**
 * The released package on a guest without Node: the README's user data as cloud-init sees it for the first time, over the reboot that
 * the journey needs, and what is left when the package goes.
 */
export const cloudInit: Scenario = { name: 'cloud-init', furnishing: 'ready', checks };

const DISABLED = '/etc/cloud/cloud-init.disabled';
/** The first boot, the reboot, and the boot that goes on; clones and refusals are for guests that boot faster. */
const FIRST_INSTANCE = 3;
const TIMER = 'vgpu-guest-license.timer';
const STATE = '/var/lib/vgpu-guest';
/** What is the guest's, whoever has brought it. */
const GUESTS_OWN = ['/etc/nvidia', '/etc/modprobe.d', '/usr/lib/modules', '/usr/src', '/var/lib/dkms', '/boot', '/opt'];

function checks(scene: Scene): readonly Check[] {
  const { vm, service } = scene;
  const dpkg = (...argv: string[]) => vm.succeed(['dpkg', ...argv], { deadlineMs: 2 * MINUTE_MS });
  const story = cloudInitChecks(vm, {
    start: () => vm.reboot(),
    followReboot: () => vm.waitForReboot(),
    deadlineMs: 10 * MINUTE_MS,
  });
  let own: readonly string[] = [];

  return [
    [
      'the image has the package and no Node, and cloud-init has not seen it yet',
      async () => {
        await installPackage(scene);
        const nodes = ['(', '-name', 'node', '-o', '-name', 'nodejs', '-o', '-name', '*.mjs', ')'];
        assert.equal(await vm.succeed(['find', '/', '-xdev', '-type', 'f', ...nodes], { deadlineMs: MINUTE_MS }), '');
        await seedCloudInit(vm, service.token({ host: SERVICE_NAME }));
        await vm.succeed(['rm', DISABLED]);
      },
    ],
    ...story.slice(0, FIRST_INSTANCE),
    [
      'everything is settled, by the program of the package, whose files are as they came',
      async () => {
        const report = JSON.parse(await vm.succeed(['vgpu-guest', 'apply', '--json'], { deadlineMs: 3 * MINUTE_MS }));
        assert.equal(report.outcome, 'settled');
        assert.match(await dpkg('--search', '/usr/bin/vgpu-guest'), /^vgpu-guest: /);
        assert.ok(isVerified(await dpkg('--verify', 'vgpu-guest')));
      },
    ],
    [
      'removing the package ends what it looks after, and leaves driver, service and license as they are',
      async () => {
        await vm.succeed(['systemctl', 'enable', '--now', TIMER]);
        own = await listing(vm, GUESTS_OWN);
        await dpkg('--remove', 'vgpu-guest');
        await vm.fail(['test', '-e', '/usr/bin/vgpu-guest'], 1);
        assert.deepEqual(await unitsOf(scene), []);
        assert.deepEqual(await listing(vm, GUESTS_OWN), own);
        await isLicensedWithoutUs(scene);
        await vm.succeed(['test', '-d', STATE]);
      },
    ],
    [
      'purging it takes state, log and configuration, and no more',
      async () => {
        await dpkg('--purge', 'vgpu-guest');
        for (const path of [STATE, PROGRAM_LOG, '/etc/vgpu-guest']) await vm.fail(['test', '-e', path], 1);
        const found = ['find', '/', '-xdev', '-name', '*vgpu-guest*', '-not', '-path', '/var/lib/cloud/*'] as const;
        assert.deepEqual((await vm.succeed(found, { deadlineMs: MINUTE_MS })).split('\n').filter(isOurs), []);
        assert.deepEqual(await listing(vm, GUESTS_OWN), own);
        await isLicensedWithoutUs(scene);
      },
    ],
  ];
}

/** Systemd's links to units of the package, and what of them runs. */
async function unitsOf({ vm }: Scene): Promise<readonly string[]> {
  const links = await vm.succeed(['find', '/etc/systemd/system', '-name', 'vgpu-guest-*']);
  const loaded = await vm.succeed(['systemctl', 'list-units', '--no-legend', '--plain', 'vgpu-guest-*']);
  return `${links}${loaded}`.split('\n').filter(Boolean);
}

async function isLicensedWithoutUs({ vm, service }: Scene): Promise<void> {
  assert.equal(await boundDriver(vm), 'nvidia');
  await vm.succeed(['systemctl', 'is-active', 'nvidia-gridd.service']);
  assert.match(await vm.succeed(['nvidia-smi', '-q']), /License Status +: Licensed/);
  assert.equal(service.leases().filter(({ returnedMs, isVoid }) => returnedMs === undefined && !isVoid).length, 1);
}

/** The bed's own repository and seeds, and what the guest's systemd keeps of timers, have nothing to do with the package. */
function isOurs(path: string): boolean {
  return path !== '' && !path.startsWith('/var/lib/systemd/') && !path.startsWith('/tmp/systemd-private-');
}
