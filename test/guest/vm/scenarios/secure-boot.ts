import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { buildStandInRun } from '../../../helpers/stand-in-run.ts';
import type { Check } from '../../checks.ts';
import { CACHE } from '../../image.ts';
import {
  boundDriver,
  bring,
  configure,
  differing,
  furnish,
  listing,
  MINUTE_MS,
  type Scenario,
  type Scene,
  WITHOUT_NOUVEAU,
} from '../bed.ts';
import type { Answer } from '../console.ts';
import { makeKey } from '../keys.ts';
import type { Vm } from '../vm.ts';

/** Firmware, boot loaders and kernel start and load only what is signed with a key that they know. */
export const secureBoot: Scenario = {
  name: 'secure-boot',
  furnishing: 'ready',
  secureBoot: true,
  append: WITHOUT_NOUVEAU,
  checks,
};

const NEXT = '580.105.08';
const GIVEN = { secret: '/root/module.key', certificate: '/root/module.der', name: 'modules of this guest' };
const DKMS = { certificate: '/var/lib/dkms/mok.pub', name: 'DKMS module signing key' };
const UNTOUCHED = ['/etc', '/boot', '/usr/lib/modules', '/usr/src', '/var/lib/dkms', '/var/lib/nvidia'];
const PASSWORD = 'for-once-only';

const RETURN = '\r';
const DOWN = '\x1b[B';
/** What shim's MokManager asks, and whoever has two certificates to enroll answers; a busy machine may lose a letter of what it shows. */
const ENROLL_TWO: readonly Answer[] = [
  [/Press any key/, RETURN],
  [/Enroll MOK|Enroll key from/, `${DOWN}${RETURN}`],
  [/View key/, `${DOWN}${DOWN}${RETURN}`],
  [/Enroll the key|Yes/, `${DOWN}${RETURN}`],
  [/Password/, `${PASSWORD}${RETURN}`],
  [/Reboot/, RETURN],
];

function checks(scene: Scene): readonly Check[] {
  const { vm, kernel } = scene;
  const signer = async () => (await vm.succeed(['modinfo', '--field', 'signer', 'nvidia'])).trim();

  return [
    [
      'the kernel knows of Secure Boot, and loads no module that is not signed',
      async () => {
        await furnish(scene);
        assert.match(await vm.succeed(['cat', '/sys/kernel/security/lockdown']), /\[integrity\]/);
        const messages = await vm.succeed(['journalctl', '--boot', '--dmesg', '--output=cat', '--no-pager']);
        assert.match(messages, /^secureboot: Secure boot enabled$/m);
        const signed = `/usr/lib/modules/${kernel}/kernel/drivers/net/dummy.ko`;
        await vm.succeed(['insmod', signed]);
        await vm.succeed(['rmmod', 'dummy']);
        await vm.succeed(['strip', '--strip-debug', '-o', '/root/unsigned.ko', signed]);
        const { stderr } = await vm.fail(['insmod', '/root/unsigned.ko'], 1);
        assert.match(stderr, /Key was rejected by service/);
      },
    ],
    [
      'without a key nothing is installed, and what the program says makes one',
      async () => {
        const none = await refusal(vm);
        assert.match(none.because, /Secure Boot is on\), and \S+ and \/var\/lib\/dkms\/mok\.pub are not there/);
        const [, make] = /^(mkdir .+), then mokutil --import \/var\/lib\/dkms\/mok\.pub /.exec(none.remedy) ?? [];
        assert.ok(make, none.remedy);
        await vm.succeed(['sh', '-c', make]);
        const unknown = await refusal(vm);
        assert.match(unknown.because, /nothing says whether \/var\/lib\/dkms\/mok\.pub is enrolled$/);
        assert.match(unknown.remedy, /^install mokutil, /);
        await vm.succeed(['apt-get', '--assume-yes', 'install', 'mokutil'], { deadlineMs: 3 * MINUTE_MS });
        assert.equal(await vm.succeed(['mokutil', '--sb-state']), 'SecureBoot enabled\n');
        const strange = await refusal(vm);
        assert.match(strange.because, /and \/var\/lib\/dkms\/mok\.pub is not enrolled$/);
        assert.match(strange.remedy, /^mokutil --import \/var\/lib\/dkms\/mok\.pub /);
      },
    ],
    [
      'a key that the configuration names, and the firmware does not know, is asked to be enrolled',
      async () => {
        await bringKey(vm);
        await configure(vm, buildStandInRun(), SIGNED);
        const strange = await refusal(vm);
        assert.match(strange.because, /and \/root\/module\.der is not enrolled$/);
        assert.match(strange.remedy, /^mokutil --import \/root\/module\.der /);
        const words = `printf '%s\\n' ${PASSWORD} ${PASSWORD} | mokutil --import ${GIVEN.certificate} ${DKMS.certificate}`;
        await vm.succeed(['sh', '-c', words]);
        const requested = await refusal(vm);
        assert.match(requested.because, /and \/root\/module\.der is not enrolled yet$/);
        assert.match(requested.remedy, /^reboot, and on the guest's console choose "Enroll MOK"/);
      },
    ],
    [
      'once it is enrolled at the console the driver is signed with it, loaded and licensed',
      async () => {
        await vm.rebootAndAnswer(ENROLL_TWO);
        await vm.waitForBoot(5 * MINUTE_MS);
        const report = await apply(vm, 0);
        assert.equal(report.outcome, 'changed');
        assert.equal(report.license.state, 'licensed');
        assert.equal(await signer(), GIVEN.name);
        assert.equal(await boundDriver(vm), 'nvidia');
        // E: the kernel could not verify it
        assert.doesNotMatch(await vm.succeed(['cat', '/sys/module/nvidia/taint']), /E/);
      },
    ],
    [
      'a second apply finds everything settled, and doctor has nothing to say of keys',
      async () => {
        const before = await listing(vm, UNTOUCHED);
        const { outcome, steps } = await apply(vm, 0);
        assert.equal(outcome, 'settled');
        assert.deepEqual(
          steps.flatMap(({ warnings = [] }) => warnings),
          [],
        );
        assert.deepEqual(differing(before, await listing(vm, UNTOUCHED)), []);
        const { stdout } = await vm.execute(['vgpu-guest', 'doctor', '--json'], { deadlineMs: 2 * MINUTE_MS });
        assert.doesNotMatch(stdout, /"(?:module-key-not-enrolled|next-kernel-unsigned|driver-not-loaded)"/);
      },
    ],
    [
      'the next driver is signed with the key of DKMS, where no other one is named',
      async () => {
        const next = buildStandInRun({ version: NEXT });
        await bring(vm, next);
        await configure(vm, next);
        const { license } = await apply(vm, 0);
        assert.equal(license.state, 'licensed');
        assert.equal(await signer(), DKMS.name);
        assert.equal((await vm.succeed(['cat', '/sys/module/nvidia/version'])).trim(), NEXT);
      },
    ],
  ];
}

const SIGNED = { signingKey: GIVEN.secret, signingCertificate: GIVEN.certificate };

async function bringKey(vm: Vm): Promise<void> {
  const folder = await mkdtemp(join(CACHE, 'draft-'));
  const made = { secret: join(folder, 'key'), certificate: join(folder, 'der') };
  try {
    await makeKey(made, GIVEN.name);
    await vm.copyIn(made.secret, GIVEN.secret, 0o600);
    await vm.copyIn(made.certificate, GIVEN.certificate, 0o644);
  } finally {
    await rm(folder, { recursive: true });
  }
}

interface Report {
  readonly outcome: string;
  readonly license: { readonly state: string };
  readonly steps: readonly ReportedStep[];
}

interface ReportedStep {
  readonly id: string;
  readonly outcome: string;
  readonly because: string;
  readonly remedy: string;
  readonly warnings?: readonly string[];
}

async function apply(vm: Vm, code: number): Promise<Report> {
  const { stdout } = await vm.fail(['vgpu-guest', 'apply', '--json'], code, { deadlineMs: 8 * MINUTE_MS });
  return JSON.parse(stdout);
}

/** Why the driver is not installed, of a guest on which nothing has been changed. */
async function refusal(vm: Vm): Promise<ReportedStep> {
  const before = await listing(vm, UNTOUCHED);
  const { steps } = await apply(vm, 4);
  assert.deepEqual(differing(before, await listing(vm, UNTOUCHED)), []);
  const [step, ...later] = steps.filter(({ outcome }) => outcome === 'blocked');
  assert.equal(step?.id, 'install-driver', JSON.stringify(steps));
  // what cannot go on without the driver names the step that says why, and nothing else to do
  for (const { remedy } of later) assert.match(remedy, /^do what install-driver says/);
  return step;
}
