import assert from 'node:assert/strict';
import type { Check } from '../../checks.ts';
import {
  boundDriver,
  differing,
  furnish,
  listing,
  MINUTE_MS,
  PROGRAM_LOG,
  type Scenario,
  type Scene,
  TOKEN,
} from '../bed.ts';

/** From a bare image whose initrd gives the GPU to nouveau to a license that the service has granted, and what comes after. */
export const journey: Scenario = { name: 'journey', furnishing: 'bare', checks };

const VERSION = '570.211.01';
const BLACKLIST = '/etc/modprobe.d/blacklist-nouveau.conf';
const MARKER = '/var/lib/vgpu-guest/resume.json';
const UNTOUCHED = ['/etc', '/boot', '/usr/lib/modules', '/usr/src', '/var/lib/nvidia', '/var/lib/dkms'];

function checks(scene: Scene): readonly Check[] {
  const { vm, service, kernel } = scene;
  const activeLeases = () => service.leases().filter(({ returnedMs, isVoid }) => returnedMs === undefined && !isVoid);

  return [
    [
      'nouveau has the GPU of a bare guest, and a plan names what is due and changes nothing',
      async () => {
        await furnish(scene);
        assert.equal(await boundDriver(vm), 'nouveau');
        const before = await listing(vm, UNTOUCHED);
        const plan = JSON.parse(await vm.succeed(['vgpu-guest', 'plan', '--json']));
        const settled = plan.steps.filter((step: PlannedStep) => step.verdict.is !== 'due');
        assert.deepEqual(
          settled.map((step: PlannedStep) => `${step.id}: ${step.verdict.is}`),
          [
            'patch-xorg: settled',
            'watch-screen: settled',
            'restart-display-manager: settled',
            'return-to-screen: settled',
            'share-screen: settled',
            'set-ecc: settled',
            'install-cuda: settled',
          ],
        );
        assert.deepEqual(differing(before, await listing(vm, UNTOUCHED)), []);
      },
    ],
    [
      'apply installs what the build needs, blacklists nouveau, rebuilds the initrd and ends in a reboot',
      async () => {
        await vm.fail(['vgpu-guest', 'apply'], 3, { deadlineMs: 20 * MINUTE_MS });
        assert.equal(await boundDriver(vm), 'nouveau');
        await vm.succeed(['dpkg-query', '--status', `linux-headers-${kernel}`, 'dkms', 'gcc']);
        const inImage = await vm.succeed(['lsinitrd', '--file', BLACKLIST.slice(1), `/boot/initrd.img-${kernel}`]);
        assert.equal(inImage, await vm.succeed(['cat', BLACKLIST]));
      },
    ],
    [
      'the next boot goes on by itself, to the end',
      async () => {
        await vm.reboot();
        await vm.waitForBoot(10 * MINUTE_MS);
        await vm.fail(['test', '-e', MARKER], 1);
      },
    ],
    [
      'nouveau was never loaded in that boot, and the module that DKMS built has the GPU',
      async () => {
        assert.equal(await boundDriver(vm), 'nvidia');
        await vm.fail(['test', '-e', '/sys/module/nouveau'], 1);
        const messages = await vm.succeed(['journalctl', '--boot', '--dmesg', '--output=cat', '--no-pager']);
        assert.doesNotMatch(messages, /^nouveau /m);
        const status = await vm.succeed(['dkms', 'status', '-m', 'nvidia']);
        assert.match(status, new RegExp(`^nvidia/${VERSION}, ${kernel}, \\w+: installed$`, 'm'));
        assert.equal((await vm.succeed(['cat', '/sys/module/nvidia/version'])).trim(), VERSION);
      },
    ],
    [
      'the service has granted one license, and status knows of it',
      async () => {
        assert.equal(activeLeases().length, 1);
        const status = JSON.parse(await vm.succeed(['vgpu-guest', 'status', '--json']));
        assert.equal(status.license.state, 'licensed');
        assert.equal(status.gpus[0].driver, 'nvidia');
        assert.deepEqual(status.driver, { installed: VERSION, loaded: VERSION });
      },
    ],
    [
      'a second apply finds everything settled and changes nothing',
      async () => {
        const before = await listing(vm, UNTOUCHED);
        const report = JSON.parse(await vm.succeed(['vgpu-guest', 'apply', '--json']));
        assert.equal(report.outcome, 'settled');
        assert.deepEqual(differing(before, await listing(vm, UNTOUCHED)), []);
      },
    ],
    [
      'a daemon that is stopped gives its license back, and a service that is away is waited for',
      async () => {
        await service.behave({ is: 'unreachable' });
        await vm.succeed(['systemctl', 'kill', '--signal=KILL', 'nvidia-gridd.service']);
        const apply = await vm.start(['vgpu-guest', 'apply', '--license-timeout', '4m', '--json']);
        await vm.waitUntilSucceeds(
          ['sh', '-c', 'journalctl --boot --output=cat -t nvidia-gridd | tail -n 3 | grep "Failed to acquire"'],
          3 * MINUTE_MS,
        );
        await service.behave({ is: 'grant' });
        const outcome = await apply.ended(5 * MINUTE_MS);
        assert.equal(outcome.code, 0, outcome.stderr);
        assert.equal(JSON.parse(outcome.stdout).license.state, 'licensed');
        await vm.succeed(['systemctl', 'stop', 'nvidia-gridd.service']);
        assert.equal(activeLeases().length, 0);
      },
    ],
    [
      'a service that has no such license ends in exit code 5 with its own words',
      async () => {
        await service.behave({ is: 'refuse', reason: REFUSAL });
        const { stderr } = await vm.fail(['vgpu-guest', 'apply', '--license-timeout', '20s'], 5, {
          deadlineMs: 3 * MINUTE_MS,
        });
        assert.ok(stderr.includes(REFUSAL), stderr);
        await service.behave({ is: 'grant' });
      },
    ],
    [
      'the log has no error but the refused license, and no secret',
      async () => {
        const text = await vm.succeed(['cat', PROGRAM_LOG]);
        const errors = text
          .trim()
          .split('\n')
          .map(line => JSON.parse(line) as { level: string; message: string })
          .filter(({ level, message }) => level === 'error' && !message.includes(REFUSAL));
        assert.deepEqual(errors, []);
        const token = await vm.succeed(['cat', TOKEN]);
        assert.ok(!text.includes(token.slice(0, 100)));
      },
    ],
    [
      'after a power cut the guest boots into its license',
      async () => {
        await vm.succeed(['vgpu-guest', 'apply', '--license-timeout', '3m'], { deadlineMs: 5 * MINUTE_MS });
        // ext4 gives a new file its content half a minute later, or when it is unmounted
        await vm.succeed(['sh', '-c', 'echo unsaved >/root/unsaved']);
        await vm.crash();
        await vm.boot();
        await vm.waitForBoot(5 * MINUTE_MS);
        await vm.fail(['test', '-s', '/root/unsaved'], 1);
        await vm.succeed(['vgpu-guest', 'apply'], { deadlineMs: 5 * MINUTE_MS });
        assert.equal(await boundDriver(vm), 'nvidia');
      },
    ],
  ];
}

const REFUSAL = 'No pool features found for : NVIDIA RTX Virtual Workstation';

interface PlannedStep {
  readonly id: string;
  readonly verdict: { readonly is: string };
}
