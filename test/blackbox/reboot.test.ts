import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type FolderGuest, makeFolderGuest } from '../helpers/folder-guest.ts';

const PROGRAM = join(import.meta.dirname, '../../dist/vgpu-guest.mjs');
const UNIT = 'vgpu-guest-resume.service';
const asked = (guest: FolderGuest) => guest.calls('change').some(({ args }) => args[0] === 'reboot');

describe('a reboot that the journey needs', () => {
  test('is left to others unless it is asked for', async () => {
    using guest = makeFolderGuest({ family: 'rhel' });
    expect((await guest.vgpuGuest(['apply'])).code).toBe(3);
    expect(asked(guest)).toBe(false);
  });

  test('comes by itself with --reboot auto, and the journey that flags asked for goes on without them', async () => {
    using guest = makeFolderGuest({ family: 'rhel', config: '' });
    const flags = ['--driver', guest.packagePath, '--token', guest.tokenPath, '--reboot', 'auto'];
    expect((await guest.vgpuGuest(['apply', ...flags])).code).toBe(3);
    expect(asked(guest)).toBe(true);
    const { resumed } = await guest.reboot();
    expect(resumed?.stdout).toMatch(/^settled: the guest is as asked for \(license: licensed/);
    expect(guest.list('/etc/systemd/system')).not.toContain(UNIT);
  });

  // systemd knows a running unit without a file by its defaults after it has reloaded: 90 s, which the run has long used up
  test('is gone on from by a unit that systemd does not look at anew while it runs and its file is gone', async () => {
    using guest = makeFolderGuest({ family: 'suse' });
    await guest.vgpuGuest(['apply']);
    guest.forgetCalls();
    expect((await guest.reboot()).resumed?.code).toBe(0);
    const calls = guest.calls('change').map(({ program, args }) => [program, ...args].join(' '));
    const disabled = calls.indexOf(`systemctl --no-reload disable ${UNIT}`);
    expect(disabled).toBeGreaterThan(0);
    expect(guest.list('/etc/systemd/system')).not.toContain(UNIT);
    expect(calls.slice(disabled)).not.toContain('systemctl daemon-reload');
  });

  test.each<[string, readonly string[], Readonly<Record<string, string>>]>([
    ['by flag', ['--config', '/root/journey.yaml'], {}],
    ['by the environment', [], { VGPU_GUEST_CONFIG: '/root/journey.yaml' }],
  ])('leaves the journey with the configuration file that was named %s', async (_, flags, env) => {
    using guest = makeFolderGuest({ family: 'suse' });
    guest.write('/root/journey.yaml', guest.read('/etc/vgpu-guest/config.yaml') ?? '');
    guest.remove('/etc/vgpu-guest/config.yaml');
    expect((await guest.vgpuGuest(['apply', ...flags], env)).code).toBe(3);
    expect((await guest.reboot()).resumed?.stdout).toMatch(/^settled: the guest is as asked for \(license: licensed/);
  });

  test('is what reboot-required answers to, before and after', async () => {
    using guest = makeFolderGuest({ family: 'debian' });
    const required = async () => (await guest.vgpuGuest(['reboot-required'])).code;
    expect(await required()).toBe(1); // a run of apply is what the guest needs first
    await guest.vgpuGuest(['apply']);
    expect(await required()).toBe(0);
    await guest.reboot();
    expect(await required()).toBe(1);
  });

  test('is not asked for again when it did not help, and no unit tries it at every boot', async () => {
    using guest = makeFolderGuest({ family: 'suse' });
    const image = `/boot/initrd-${guest.kernel}`;
    const old = guest.read(image) ?? '';
    expect((await guest.vgpuGuest(['apply'])).code).toBe(3);
    guest.write(image, old); // somebody puts an image with nouveau back
    const { nouveauBound, resumed } = await guest.reboot();
    expect(nouveauBound).toBe(true);
    expect(resumed?.code).toBe(1);
    expect(resumed?.stderr).toContain(
      'the guest was rebooted for this already, and still the GPU 0000:00:06.0 is bound to nouveau',
    );
    expect((await guest.reboot()).resumed).toBeUndefined();
    expect((await guest.vgpuGuest(['apply'])).code).toBe(1);
  });
});

test('a kernel that was updated last night is the one that the journey ends with', async () => {
  using guest = makeFolderGuest({ family: 'debian' });
  await guest.installKernel('6.8.0-50-generic');
  const first = await guest.vgpuGuest(['apply']);
  expect(first.code).toBe(3);
  expect(first.stderr).toContain('linux-headers-6.8.0-50-generic');
  const { nouveauBound, resumed } = await guest.reboot();
  expect(guest.read('/proc/sys/kernel/osrelease')).toBe('6.8.0-50-generic\n');
  expect(nouveauBound).toBe(false); // its initrd was rebuilt too
  expect(resumed?.code).toBe(0);
  guest.forgetCalls();
  expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
  expect(guest.calls('change')).toEqual([]);
});

test.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)(
  '%s ends a run that waits for the license with exit code %i, and the next one is not in its way',
  async (signal, code) => {
    using guest = makeFolderGuest({
      family: 'debian',
      nouveau: 'not-bound',
      prerequisites: 'installed',
      license: { answer: 'silent' },
    });
    const child = spawn(process.execPath, [PROGRAM, 'apply', '--root', guest.root], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    await expect.poll(() => guest.read('/var/lib/stubs/journal')).toContain('Acquiring license');
    child.kill(signal);
    expect(await ended).toEqual([code, null]);
    expect(guest.list('/run/vgpu-guest')).toEqual(['lock']); // which nobody holds
    guest.setLicenseService({});
    await guest.run('systemctl', 'restart', 'nvidia-gridd');
    expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
  },
);
