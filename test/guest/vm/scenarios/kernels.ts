import assert from 'node:assert/strict';
import { buildStandInRun } from '../../../helpers/stand-in-run.ts';
import type { Check } from '../../checks.ts';
import { boundDriver, bring, configure, furnish, MINUTE_MS, type Scenario, type Scene } from '../bed.ts';
import { secondKernel } from '../disks.ts';

const UPGRADE = '580.105.08';

/** A licensed guest gets other kernels, with headers and without. */
export const kernels: Scenario = {
  name: 'kernels',
  furnishing: 'ready',
  // the journey to the first license is told elsewhere
  append: ['modprobe.blacklist=nouveau', 'rd.driver.blacklist=nouveau'],
  checks,
};

function checks(scene: Scene): readonly Check[] {
  const { vm, kernel } = scene;
  const second = secondKernel(kernel);
  const apt = (...argv: string[]) =>
    vm.succeed(['apt-get', '--assume-yes', '--no-install-recommends', 'install', ...argv], {
      deadlineMs: 10 * MINUTE_MS,
      env: { DEBIAN_FRONTEND: 'noninteractive' },
    });

  return [
    [
      'the guest is licensed on its first kernel',
      async () => {
        await furnish(scene);
        await vm.succeed(['vgpu-guest', 'apply'], { deadlineMs: 10 * MINUTE_MS });
      },
    ],
    [
      'a kernel update without headers boots without a driver, and apply builds it for that kernel',
      async () => {
        await apt(`linux-image-${second}`);
        await vm.reboot();
        // without a driver nvidia-gridd fails, and with it the boot
        await vm.execute(['systemctl', 'is-system-running', '--wait'], { deadlineMs: 5 * MINUTE_MS });
        assert.equal((await vm.succeed(['uname', '-r'])).trim(), second);
        assert.equal(await boundDriver(vm), undefined);
        await vm.succeed(['vgpu-guest', 'apply'], { deadlineMs: 10 * MINUTE_MS });
        assert.equal(await boundDriver(vm), 'nvidia');
        const status = await vm.succeed(['dkms', 'status', '-m', 'nvidia']);
        for (const release of [kernel, second]) assert.match(status, new RegExp(`, ${release}, \\w+: installed$`, 'm'));
      },
    ],
    [
      'a kernel update with headers has its driver before it boots',
      async () => {
        // Debian's kernels do not let themselves be removed while they run
        vm.chooseKernel(kernel);
        await vm.reboot();
        await vm.waitForBoot(5 * MINUTE_MS);
        await vm.succeed(['dpkg', '--purge', `linux-image-${second}`], { deadlineMs: 5 * MINUTE_MS });
        const versionThere = ['modinfo', '--set-version', second, '--field', 'version', 'nvidia'] as const;
        await vm.fail(versionThere, 1);
        await apt(`linux-image-${second}`);
        const version = await vm.succeed(versionThere);
        assert.equal(version.trim(), (await vm.succeed(['cat', '/sys/module/nvidia/version'])).trim());
      },
    ],
    [
      'an upgrade on the older kernel brings the new driver to the kernel that boots next as well',
      async () => {
        const upgrade = buildStandInRun({ version: UPGRADE });
        await bring(vm, upgrade);
        await configure(vm, upgrade);
        await vm.succeed(['vgpu-guest', 'apply'], { deadlineMs: 10 * MINUTE_MS });
        assert.equal((await vm.succeed(['cat', '/sys/module/nvidia/version'])).trim(), UPGRADE);
        vm.chooseKernel(undefined);
        await vm.reboot();
        await vm.waitForBoot(5 * MINUTE_MS);
        assert.equal((await vm.succeed(['uname', '-r'])).trim(), second);
        assert.equal((await vm.succeed(['cat', '/sys/module/nvidia/version'])).trim(), UPGRADE);
        assert.equal(await boundDriver(vm), 'nvidia');
        const report = JSON.parse(await vm.succeed(['vgpu-guest', 'apply', '--json'], { deadlineMs: 3 * MINUTE_MS }));
        assert.equal(report.outcome, 'settled');
        assert.equal(report.license.state, 'licensed');
      },
    ],
  ];
}
