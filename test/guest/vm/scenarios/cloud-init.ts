import assert from 'node:assert/strict';
import { cloudInitChecks, seedCloudInit } from '../../callers/cloud-init.ts';
import type { Check } from '../../checks.ts';
import { debChecks } from '../../deb-checks.ts';
import { boundDriver, installPackage, MINUTE_MS, type Scenario, type Scene, SERVICE_NAME } from '../bed.ts';

/**
 * The released package on a guest without Node: the README's user data as cloud-init sees it for the first time, over the reboot that
 * the journey needs, and what is left when the package goes.
 */
export const cloudInit: Scenario = { name: 'cloud-init', furnishing: 'ready', checks };

const DISABLED = '/etc/cloud/cloud-init.disabled';
/** The first boot, the reboot, and the boot that goes on; clones and refusals are for guests that boot faster. */
const FIRST_INSTANCE = 3;

function checks(scene: Scene): readonly Check[] {
  const { vm, service } = scene;
  const story = cloudInitChecks(vm, {
    start: () => vm.reboot(),
    followReboot: () => vm.waitForReboot(),
    deadlineMs: 10 * MINUTE_MS,
  });

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
      'everything is settled',
      async () => {
        const report = JSON.parse(await vm.succeed(['vgpu-guest', 'apply', '--json'], { deadlineMs: 3 * MINUTE_MS }));
        assert.equal(report.outcome, 'settled');
      },
    ],
    ...debChecks(
      () => vm,
      () => isLicensedWithoutUs(scene),
    ),
  ];
}

async function isLicensedWithoutUs({ vm, service }: Scene): Promise<void> {
  assert.equal(await boundDriver(vm), 'nvidia');
  await vm.succeed(['systemctl', 'is-active', 'nvidia-gridd.service']);
  assert.match(await vm.succeed(['nvidia-smi', '-q']), /License Status +: Licensed/);
  assert.equal(service.leases().filter(({ returnedMs, isVoid }) => returnedMs === undefined && !isVoid).length, 1);
}
