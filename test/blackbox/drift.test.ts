import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FolderGuest, type FolderGuestOptions, makeFolderGuest } from '../helpers/folder-guest.ts';

const XORG_CONF = new URL('../fixtures/xorg/nvidia-xconfig-535-h200-1gpu.conf', import.meta.url);

const KERNEL = '6.4.0-150600.23.47-default';
const MODULE = `/lib/modules/${KERNEL}/updates/nvidia.ko`;

/** What somebody or something does to a licensed guest, and which steps put it right. */
const DRIFTS: readonly [string, (guest: FolderGuest) => Promise<unknown> | unknown, readonly string[]][] = [
  [
    'a file beside the token is set aside',
    guest => guest.write('/etc/nvidia/ClientConfigToken/gridd.conf', 'FeatureType=2\n'),
    ['place-token', 'restart-gridd'],
  ],
  ['a lost token comes back', guest => guest.remove('/etc/nvidia/ClientConfigToken'), ['place-token', 'restart-gridd']],
  [
    'a lost blacklist comes back, into the initrd too',
    guest => guest.remove('/etc/modprobe.d/50-blacklist.conf'),
    ['blacklist-nouveau', 'rebuild-initrd'],
  ],
  [
    'an overwritten gridd.conf says again where the token is',
    guest => guest.write('/etc/nvidia/gridd.conf', 'FeatureType=0\n'),
    ['configure-gridd', 'restart-gridd'],
  ],
  [
    'an xorg.conf without a BusID gets that of the GPU',
    guest => guest.write('/etc/X11/xorg.conf', readFileSync(XORG_CONF)),
    ['patch-xorg'],
  ],
  ['modules that were taken away from under DKMS come back', guest => guest.remove(MODULE), ['install-driver']],
  [
    'modules that DKMS has built and that lie elsewhere are put in its hands',
    guest => {
      guest.write(`/lib/modules/${KERNEL}/kernel/drivers/video/nvidia.ko`, guest.read(MODULE) ?? '');
      guest.remove(MODULE);
      guest.remove(`/var/lib/dkms/nvidia/kernel-${KERNEL}-x86_64`);
    },
    ['install-driver'],
  ],
  ['a stopped nvidia-gridd is started', guest => guest.run('systemctl', 'stop', 'nvidia-gridd'), ['restart-gridd']],
  ['a disabled nvidia-gridd is enabled', guest => guest.run('systemctl', 'disable', 'nvidia-gridd'), ['restart-gridd']],
];

describe('a licensed guest that somebody meddles with', () => {
  let guest: FolderGuest;
  beforeAll(async () => {
    guest = await licensed();
  });
  afterAll(() => guest.dispose());

  test.each(DRIFTS)('%s', async (_, drift, steps) => {
    await drift(guest);
    const plan = await guest.vgpuGuest(['plan', '--json']);
    const { code, stdout } = await guest.vgpuGuest(['apply', '--json']);
    expect(code).toBe(0);
    expect(due(plan.stdout).filter(id => id !== 'await-license')).toEqual(steps);
    // a daemon that is started anew may or may not be licensed by the time somebody looks
    expect(changed(stdout).filter(id => id !== 'await-license')).toEqual(steps);
    await expectSettled(guest);
  });
});

describe('a licensed guest', () => {
  test('a new kernel gets its modules from DKMS', async () => {
    using guest = await licensed();
    await guest.installKernel('6.4.0-150600.23.60-default');
    expect((await guest.reboot()).nouveauBound).toBe(false);
    const { code, stdout } = await guest.vgpuGuest(['apply', '--json']);
    expect(code).toBe(0);
    expect(changed(stdout).slice(0, 2)).toEqual(['install-prerequisites', 'install-driver']);
    expect(guest.calls('change').map(({ program }) => program)).not.toContain('sh');
    await expectSettled(guest);
  });

  test.each([
    ['without a screen', { version: '550.144.03' }],
    ['with a running X server, which comes back', { version: '550.144.03', x: 'running' }],
  ] as const)('gets a newer driver, %s', async (_, options) => {
    using guest = await licensed(options);
    const newer = guest.addPackage('570.211.01');
    const plan = await guest.vgpuGuest(['plan', '--json', '--driver', newer]);
    expect(due(plan.stdout)).toEqual(['install-driver', 'await-license']);
    const { code } = await guest.vgpuGuest(['apply', '--driver', newer]);
    expect(code).toBe(0);
    expect(guest.read('/sys/module/nvidia/version')).toBe('570.211.01\n');
    expect(guest.read('/tmp/.X0-lock') !== undefined).toBe('x' in options);
    await expectSettled(guest, '--driver', newer);
  });
});

async function licensed(options: FolderGuestOptions = {}): Promise<FolderGuest> {
  const guest = makeFolderGuest({ family: 'suse', nouveau: 'not-bound', prerequisites: 'installed', ...options });
  const { code, stderr } = await guest.vgpuGuest(['apply']);
  if (code !== 0) throw new Error(stderr);
  guest.forgetCalls();
  return guest;
}

async function expectSettled(guest: FolderGuest, ...flags: readonly string[]): Promise<void> {
  guest.forgetCalls();
  const { code, stdout } = await guest.vgpuGuest(['apply', '--json', ...flags]);
  expect({ code, changed: changed(stdout), calls: guest.calls('change') }).toEqual({ code: 0, changed: [], calls: [] });
}

function due(plan: string): readonly string[] {
  const { steps } = JSON.parse(plan) as { steps: readonly { id: string; verdict: { is: string } }[] };
  return steps.filter(({ verdict }) => verdict.is === 'due').map(({ id }) => id);
}

function changed(report: string): readonly string[] {
  const { steps } = JSON.parse(report) as { steps: readonly { id: string; outcome: string }[] };
  return steps.filter(({ outcome }) => outcome === 'changed').map(({ id }) => id);
}
