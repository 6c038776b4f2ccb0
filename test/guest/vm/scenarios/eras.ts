import assert from 'node:assert/strict';
import { buildStandInRun, type StandInRun } from '../../../helpers/stand-in-run.ts';
import type { Check } from '../../checks.ts';
import {
  boundDriver,
  bring,
  configure,
  furnish,
  MINUTE_MS,
  type Scenario,
  type Scene,
  WITHOUT_NOUVEAU,
} from '../bed.ts';

/** Packages of the four eras of nvidia-installer, one after the other on one guest: refused, installed, replaced by the next. */
export const eras: Scenario = { name: 'eras', furnishing: 'ready', checks };

const OLDEST = '470.256.02';
const NEWER = ['525.147.05', '550.163.01', '570.211.01'];
const LAST = '580.105.08';
/** Every process of the program, the package and DKMS; the pattern does not find its own shell. */
const KILL_ALL = [
  'for process in /proc/[0-9]*; do',
  '  tr "\\0" " " <$process/cmdline 2>/dev/null | grep -qE "[v]gpu-guest.mjs|[n]vidia-installer|[d]kms " || continue',
  '  kill -9 "$(basename $process)"',
  'done',
].join('\n');
const STEPS = ['install-driver', 'configure-gridd', 'place-token', 'restart-gridd', 'await-license'];
const ONLY = STEPS.flatMap(step => ['--only', step]);

function checks(scene: Scene): readonly Check[] {
  const { vm, kernel } = scene;
  const oldest = buildStandInRun({ version: OLDEST });
  const packages = [oldest, ...NEWER.map(version => buildStandInRun({ version }))];
  const install = ({ name, version }: StandInRun) => {
    // from 545 on the installer would rebuild an initrd that holds nouveau, which takes an emulated processor minutes
    const keepInitrd = Number.parseInt(version, 10) >= 545 ? ['--no-rebuild-initramfs'] : [];
    return vm.execute(['sh', `/opt/${name}`, '--silent', '--dkms', ...keepInitrd], { deadlineMs: 3 * MINUTE_MS });
  };

  return [
    [
      'every package refuses to work beside nouveau, in the words of its era',
      async () => {
        await furnish(scene, oldest);
        for (const run of packages.slice(1)) await bring(vm, run);
        assert.equal(await boundDriver(vm), 'nouveau');
        for (const run of packages) {
          const { code, stderr } = await install(run);
          assert.equal(code, 1, run.name);
          assert.match(stderr, /The Nouveau kernel driver is currently in use by your system/, run.name);
        }
      },
    ],
    [
      'a package that finds no headers says so, and the program names the cause and the remedy',
      async () => {
        vm.appendToKernel(WITHOUT_NOUVEAU);
        await vm.reboot();
        await vm.waitForBoot(3 * MINUTE_MS);
        assert.equal(await boundDriver(vm), undefined);
        await vm.succeed(['mv', `/lib/modules/${kernel}/build`, '/root/build']);
        await vm.succeed(['mv', `/lib/modules/${kernel}/source`, '/root/source']);
        const { stderr } = await vm.fail(['vgpu-guest', 'apply', ...ONLY], 1, { deadlineMs: 3 * MINUTE_MS });
        assert.match(stderr, /headers/i);
        await vm.succeed(['mv', '/root/build', '/root/source', `/lib/modules/${kernel}/`]);
      },
    ],
    [
      'a package that finds no DKMS says so, and the program names the remedy',
      async () => {
        await vm.succeed(['mv', '/usr/sbin/dkms', '/root/dkms']);
        const { stderr } = await vm.fail(['vgpu-guest', 'apply', ...ONLY], 1, { deadlineMs: 3 * MINUTE_MS });
        assert.match(stderr, /install dkms, or set driver.dkms to false/);
        await vm.succeed(['mv', '/root/dkms', '/usr/sbin/dkms']);
      },
    ],
    ...packages.map(
      (run, index): Check => [
        index === 0
          ? `driver ${run.version} is installed and licensed`
          : `driver ${run.version} takes the place of ${packages[index - 1]?.version} and is licensed`,
        async () => {
          await configure(vm, run);
          const report = JSON.parse(
            await vm.succeed(['vgpu-guest', 'apply', '--json', ...ONLY], { deadlineMs: 8 * MINUTE_MS }),
          );
          assert.equal(report.outcome, 'changed');
          assert.equal(report.license.state, 'licensed');
          assert.equal((await vm.succeed(['cat', '/sys/module/nvidia/version'])).trim(), run.version);
          const status = await vm.succeed(['dkms', 'status', '-m', 'nvidia']);
          assert.deepEqual(
            status
              .trim()
              .split('\n')
              .map(line => line.split(',')[0]),
            [`nvidia/${run.version}`],
          );
          const again = JSON.parse(await vm.succeed(['vgpu-guest', 'apply', '--json', ...ONLY]));
          assert.equal(again.outcome, 'settled');
        },
      ],
    ),
    [
      `an installation of ${LAST} that is killed in the middle is finished by the next run`,
      async () => {
        const last = buildStandInRun({ version: LAST });
        await bring(vm, last);
        await configure(vm, last);
        const run = await vm.start(['vgpu-guest', 'apply', ...ONLY]);
        await vm.waitUntilSucceeds(['test', '-e', `/var/lib/dkms/nvidia/${LAST}/build`], 8 * MINUTE_MS);
        // with what it has started: as the kernel does when memory is out
        await vm.succeed(['sh', '-c', KILL_ALL]);
        assert.notEqual((await run.ended(MINUTE_MS)).code, 0);
        const report = JSON.parse(
          await vm.succeed(['vgpu-guest', 'apply', '--json', ...ONLY], { deadlineMs: 8 * MINUTE_MS }),
        );
        assert.equal(report.outcome, 'changed');
        assert.equal(report.license.state, 'licensed');
        assert.equal((await vm.succeed(['cat', '/sys/module/nvidia/version'])).trim(), LAST);
      },
    ],
    [
      'a package beside a busy module fails without harm',
      async () => {
        const { code, stderr } = await install(oldest);
        assert.equal(code, 1);
        assert.match(stderr, /appears to already be loaded in your kernel/);
        const report = JSON.parse(await vm.succeed(['vgpu-guest', 'apply', '--json', ...ONLY]));
        assert.equal(report.outcome, 'settled');
      },
    ],
  ];
}
