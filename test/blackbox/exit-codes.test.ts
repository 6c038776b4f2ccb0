import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { indent } from '../../src/report/text.ts';
import {
  type FolderGuest,
  type FolderGuestOptions,
  type LicenseService,
  makeFolderGuest,
  type Ran,
} from '../helpers/folder-guest.ts';
import { buildStandInRun } from '../helpers/stand-in-run.ts';

/** Everything but the driver is there, so that one run ends the journey. */
const nearly = { family: 'debian', nouveau: 'not-bound', prerequisites: 'installed' } as const;

const PROGRAM = join(import.meta.dirname, '../../dist/vgpu-guest.mjs');
const NOBODY = 65_534;
const PACKAGE = '/opt/NVIDIA-Linux-x86_64-570.211.01-grid.run';

describe('4: somebody must act first, and nothing was changed', () => {
  test.concurrent.each<[string, FolderGuestOptions, string]>([
    ['there is no GPU', { gpus: 0 }, 'install-prerequisites'],
    ['the GPU is passed through and no license is named', { mode: 'pass-through' }, 'configure-gridd'],
    ['the package is not there', { package: 'absent' }, 'install-driver'],
    ['the package is cut short', { package: 'truncated' }, 'install-driver'],
    ['the package is the host’s', { flavor: 'vgpu-kvm' }, 'install-prerequisites'],
    ['the package brings no nvidia-gridd', { flavor: 'data-center' }, 'install-driver'],
    ['the token is not there', { token: 'absent', config: 'license:\n  token: /opt/a.tok\n' }, 'place-token'],
    ['the token is cut off', { token: 'broken' }, 'place-token'],
    ['the token has expired', { token: 'expired' }, 'place-token'],
    ['the driver knows no tokens yet', { version: '460.106.00' }, 'configure-gridd'],
    [
      'the driver knows no license servers any more',
      { config: `driver: { package: ${PACKAGE} }\nlicense: { server: { address: 10.5.8.208 } }\n` },
      'configure-gridd',
    ],
  ])('%s', async (_, options, step) => {
    using guest = makeFolderGuest({ ...nearly, ...options });
    const before = guest.manifest();
    const { code, stdout } = await guest.vgpuGuest(['apply', '--json']);
    const report = JSON.parse(stdout) as { steps: readonly { id: string; outcome: string; remedy?: string }[] };
    expect({ code, outcome: report.steps.find(({ id }) => id === step)?.outcome }).toEqual({
      code: 4,
      outcome: 'blocked',
    });
    for (const { outcome, remedy } of report.steps) if (outcome === 'blocked') expect(remedy).toMatch(/\S/);
    expect(guest.calls('change')).toEqual([]);
    expect(changedPaths(before, guest)).toEqual([]);
  });

  test.concurrent.each<[string, (guest: FolderGuest) => void, RegExp]>([
    [
      'the package is made for another architecture',
      guest => guest.write(PACKAGE, buildStandInRun({ version: '570.211.01', architecture: 'aarch64' }).bytes, 0o755),
      /is made for aarch64, and this guest is x86_64/,
    ],
    [
      'the distribution is not known',
      guest => guest.write('/etc/os-release', 'ID=alpine\nPRETTY_NAME="Alpine Linux v3.20"\n'),
      /Alpine Linux v3.20 is neither SUSE, nor/,
    ],
    [
      'the root is mounted read-only',
      guest => guest.write('/proc/self/mounts', '/dev/vda1 / ext4 ro,relatime 0 0\n'),
      /mounted read-only/,
    ],
    [
      'the GPU has been given to somebody else',
      guest => guest.link(`/sys/bus/pci/devices/${guest.gpuAddresses[0]}/driver`, '../../../bus/pci/drivers/vfio-pci'),
      /is bound to vfio-pci, which is neither nouveau nor nvidia/,
    ],
  ])('%s', async (_, spoil, words) => {
    using guest = makeFolderGuest({ ...nearly, prerequisites: 'missing' });
    spoil(guest);
    const before = guest.manifest();
    const { code, stderr } = await guest.vgpuGuest(['apply']);
    expect(code).toBe(4);
    expect(stderr).toMatch(words);
    expect(guest.calls('change')).toEqual([]);
    expect(changedPaths(before, guest)).toEqual([]);
  });

  test('plan says so as well', async () => {
    using guest = makeFolderGuest({ ...nearly, gpus: 0 });
    expect((await guest.vgpuGuest(['plan'])).code).toBe(4);
  });
});

describe('1: failed, with the cause and what to do', () => {
  test.concurrent.each<[string, FolderGuestOptions, RegExp]>([
    [
      'a package is in no repository',
      { prerequisites: 'missing', repositoryLacks: ['dkms'] },
      /no repository of apt-get has dkms/,
    ],
    ['/boot is full, by initramfs-tools', { boot: 'full' }, /make room in \/boot/],
    ['/boot is full, by dracut', { boot: 'full', family: 'suse' }, /make room in \/boot/],
  ])('%s', async (_, options, words) => {
    using guest = makeFolderGuest({ ...nearly, ...options });
    const images = guest.list('/boot');
    const { code, stdout, stderr } = await guest.vgpuGuest(['apply']);
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(words);
    expect(guest.list('/boot')).toEqual(images);
    await guest.reboot(); // which it can
  });

  test('the driver does not compile for this kernel', async () => {
    using guest = makeFolderGuest(nearly);
    guest.write('/var/lib/stubs/build-fails', '');
    const { code, stdout, stderr } = await guest.vgpuGuest(['apply']);
    expect(code).toBe(1);
    expect(stdout + stderr).toContain('the modules do not compile for this kernel');
  });
});

describe('75: try again', () => {
  test.concurrent.each(['debian', 'suse'] as const)('a package manager of the %s family is locked', async family => {
    using guest = makeFolderGuest({ family, packageManager: 'locked' });
    guest.write('/etc/vgpu-guest/config.yaml', `${guest.read('/etc/vgpu-guest/config.yaml')}lockTimeout: 0s\n`);
    expect((await guest.vgpuGuest(['apply'])).code).toBe(75);
  });

  test('an initrd is being made by somebody else', async () => {
    using guest = makeFolderGuest({ family: 'suse' });
    guest.write('/proc/812/comm', 'dracut\n');
    guest.write('/etc/vgpu-guest/config.yaml', `${guest.read('/etc/vgpu-guest/config.yaml')}lockTimeout: 0s\n`);
    const { code, stderr } = await guest.vgpuGuest(['apply']);
    expect([code, stderr]).toEqual([75, expect.stringContaining('dracut (process 812) is at work on this guest')]);
    guest.remove('/proc/812');
    expect((await guest.vgpuGuest(['apply'])).code).toBe(3);
  });

  test('another run is at work', async () => {
    using guest = makeFolderGuest({ ...nearly, license: { delayS: 2 } });
    const first = guest.vgpuGuest(['apply']);
    await expect.poll(() => guest.read('/var/lib/stubs/journal')).toContain('Acquiring license');
    expect((await guest.vgpuGuest(['apply'])).code).toBe(75);
    expect((await guest.vgpuGuest(['status'])).code).toBe(0);
    expect((await first).code).toBe(0);
  });

  test('but the boot that goes on waits for that run, and then finds everything settled', async () => {
    using guest = makeFolderGuest({ ...nearly, license: { delayS: 2 } });
    const first = guest.vgpuGuest(['apply']);
    await expect.poll(() => guest.read('/var/lib/stubs/journal')).toContain('Acquiring license');
    const resumed = await guest.vgpuGuest(['apply', '--resume']);
    expect(resumed.stderr).toContain('this one waits for its end');
    expect(resumed.code).toBe(0);
    expect((await first).code).toBe(0);
  });
});

describe('5: everything is in place, and no license came', () => {
  test.concurrent.each<[string, LicenseService, string]>([
    ['the service refuses', { answer: 'refuse' }, 'No pool features found for : NVIDIA RTX Virtual Workstation'],
    ['the service never answers', { answer: 'silent' }, 'Acquiring license.'],
  ])('%s', async (_, license, words) => {
    using guest = makeFolderGuest({ ...nearly, license });
    const { code, stdout } = await guest.vgpuGuest(['apply', '--json', '--license-timeout', '1s']);
    const report = JSON.parse(stdout) as { outcome: string; steps: readonly { id: string; because: string }[] };
    expect({ code, outcome: report.outcome }).toEqual({ code: 5, outcome: 'unlicensed' });
    expect(report.steps.find(({ id }) => id === 'await-license')?.because).toContain(words);
  });

  test('a refusal that is followed by a license is none', async () => {
    using guest = makeFolderGuest({ ...nearly, license: { answer: 'refuse-then-grant' } });
    expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
  });
});

describe('wrong usage and configuration', () => {
  test('64: an unknown option, an unknown step', async () => {
    using guest = makeFolderGuest(nearly);
    expect((await guest.vgpuGuest(['apply', '--frobnicate'])).code).toBe(64);
    expect((await guest.vgpuGuest(['apply', '--only', 'frobnicate'])).code).toBe(64);
    expect(guest.calls('change')).toEqual([]);
  });

  test('78: a license from two worlds', async () => {
    using guest = makeFolderGuest(nearly);
    const flags = ['--token', '/opt/a.tok', '--server', '10.5.8.208'];
    const { code, stderr } = await guest.vgpuGuest(['apply', ...flags]);
    expect(code).toBe(78);
    expect(stderr).toContain('a token and a legacy server are two different worlds');
  });

  test('78: an unknown key, a value that is none', async () => {
    using guest = makeFolderGuest({ ...nearly, config: 'driver:\n  pakage: /opt/x.run\n' });
    const { code, stderr } = await guest.vgpuGuest(['apply']);
    expect(code).toBe(78);
    expect(stderr).toContain('package');
    guest.write('/etc/vgpu-guest/config.yaml', 'license:\n  timeout: soon\n');
    expect((await guest.vgpuGuest(['plan'])).code).toBe(78);
  });
});

describe('a run that ends before it has an answer gives one in JSON all the same', () => {
  const fault = ({ stdout }: Ran) =>
    JSON.parse(stdout) as { schema: string; exitCode: number; error: string; remedy?: string };

  test.concurrent.each<[number, readonly string[], string, RegExp]>([
    [64, ['plan', '--frobnicate'], '', /unknown option '--frobnicate'/],
    [64, ['frobnicate'], '', /unknown command/],
    [64, ['staus'], '', /unknown command 'staus'\s+\(Did you mean status\?\)/],
    [64, ['license', 'wiat'], '', /unknown command 'wiat'\s+\(Did you mean wait\?\)/],
    [64, ['apply', '--drivr', '/opt/x.run'], '', /unknown option '--drivr'\s+\(Did you mean --driver\?\)/],
    [64, ['token', 'inspect', 'https://portal.example/a.tok'], '', /takes a file of this guest/],
    [78, ['doctor'], 'driver:\n  pakage: /opt/x.run\n', /did you mean package/],
    [78, ['status', '--config', '/etc/nowhere.yaml'], '', /there is no such file/],
  ])('%i: %s', async (code, args, config, words) => {
    using guest = makeFolderGuest({ ...nearly, config });
    const ran = await guest.vgpuGuest([...args, '--json']);
    expect(fault(ran)).toMatchObject({
      schema: 'vgpu-guest/fault/1',
      exitCode: code,
      error: expect.stringMatching(words),
    });
    expect(ran.code).toBe(code);
    // a person reads the same
    const { error, remedy } = fault(ran);
    expect(ran.stderr).toBe(`${indent(error)}\n${remedy ? `→ ${remedy}\n` : ''}`);
    expect((await guest.vgpuGuest(args)).stdout).toBe('');
  });

  test('75: another run is at work', async () => {
    using guest = makeFolderGuest({ ...nearly, license: { delayS: 2 } });
    const first = guest.vgpuGuest(['apply', '--json']);
    await expect.poll(() => guest.read('/var/lib/stubs/journal')).toContain('Acquiring license');
    const ran = await guest.vgpuGuest(['apply', '--json']);
    expect(fault(ran)).toMatchObject({
      schema: 'vgpu-guest/fault/1',
      exitCode: 75,
      remedy: expect.stringMatching(/let it finish/),
    });
    // one that has an answer gives that alone
    expect(JSON.parse((await first).stdout)).toMatchObject({ schema: 'vgpu-guest/report/1' });
  });

  test.skipIf(process.geteuid?.() !== 0)('77: not root (not run by anybody else)', () => {
    const argv = [PROGRAM, 'apply', '--json'];
    const { status, stdout } = spawnSync(process.execPath, argv, { uid: NOBODY, env: {}, encoding: 'utf8' });
    expect([status, JSON.parse(stdout)]).toEqual([
      77,
      {
        schema: 'vgpu-guest/fault/1',
        exitCode: 77,
        error: 'only root can change this guest',
        remedy: 'run it with sudo',
      },
    ]);
  });
});

describe('the codes that are asked for', () => {
  test('2 with --detailed-exitcode: changes are due, and were made', async () => {
    using guest = makeFolderGuest(nearly);
    expect((await guest.vgpuGuest(['plan', '--detailed-exitcode'])).code).toBe(2);
    expect((await guest.vgpuGuest(['apply', '--detailed-exitcode'])).code).toBe(2);
    expect((await guest.vgpuGuest(['apply', '--detailed-exitcode'])).code).toBe(0);
    expect((await guest.vgpuGuest(['plan', '--detailed-exitcode'])).code).toBe(0);
  });

  test('a code of one’s own for the reboot', async () => {
    using guest = makeFolderGuest({ family: 'debian' });
    expect((await guest.vgpuGuest(['apply', '--reboot-exit-code', '194'])).code).toBe(194);
  });
});

/** What is kept of a run is the program's own. */
function changedPaths(before: Readonly<Record<string, string>>, guest: FolderGuest): readonly string[] {
  const after = guest.manifest();
  const paths = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...paths].filter(path => before[path] !== after[path] && !path.startsWith('/var/lib/vgpu-guest'));
}
