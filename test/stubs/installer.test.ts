import { describe, expect, test } from 'vitest';
import { type FolderGuest, makeFolderGuest } from '../helpers/folder-guest.ts';

const LOG = '/var/log/nvidia-installer.log';
const ready = { family: 'debian', nouveau: 'not-bound', prerequisites: 'installed' } as const;

describe('the stand-in installer', () => {
  test('knows no later option: two lines on stderr, exit code 1, and the old log stays', async () => {
    using guest = makeFolderGuest({ ...ready, version: '535.129.03' });
    guest.write(LOG, 'an earlier run\n');
    const { code, stderr } = await install(guest, '--no-rebuild-initramfs');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `./nvidia-installer: unrecognized option: "--no-rebuild-initramfs"

ERROR: Invalid commandline, please run \`./nvidia-installer --help\` for usage information.

`,
    });
    expect(guest.read(LOG)).toBe('an earlier run\n');
  });

  test.each(['470.256.02', '535.129.03', '550.144.03', '570.211.01'])(
    'of %s installs what a guest driver brings',
    async version => {
      using guest = makeFolderGuest({ ...ready, version });
      expect((await install(guest, '--dkms')).code).toBe(0);
      expect(guest.read('/sys/module/nvidia/version')).toBe(`${version}\n`);
      expect(guest.read('/var/lib/nvidia/log')?.split('\n')[0]).toBe(`1.0-${version.replaceAll('.', '')} (${version})`);
      expect((await guest.run('dkms', 'status')).stdout).toBe(
        `nvidia/${version}, ${guest.kernel}, x86_64: installed\n`,
      );
      expect((await guest.run('modinfo', '-F', 'version', 'nvidia')).stdout).toBe(`${version}\n`);
      expect((await guest.run('systemctl', 'is-enabled', 'nvidia-gridd')).stdout).toBe('enabled\n');
      expect(guest.read('/etc/nvidia/gridd.conf')).toBeUndefined();
      expect(guest.read('/etc/nvidia/gridd.conf.template')).toMatch(/^FeatureType=0$/m);
      expect(guest.read(LOG)).toContain('is now complete.');
    },
  );

  test.each([
    ['535.129.03', 'ERROR: The Nouveau kernel driver is currently in use by your system.'],
    ['570.211.01', 'WARNING: The Nouveau kernel driver is currently in use by your system.'],
  ])('of %s refuses a bound nouveau', async (version, line) => {
    using guest = makeFolderGuest({ ...ready, nouveau: 'bound', version });
    const { code, stderr } = await install(guest, '--no-x-check');
    expect(code).toBe(1);
    expect(stderr).toContain(line);
    expect(guest.read(LOG)).toContain('ERROR: Installation has failed.');
    expect(guest.read('/var/lib/nvidia/log')).toBeUndefined();
  });

  test('refuses beside a running X server, and does not mind a lock whose process is gone', async () => {
    using guest = makeFolderGuest({ ...ready, x: 'running' });
    const refused = await install(guest);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('You appear to be running an X server');
    guest.remove('/proc/912');
    expect((await install(guest)).code).toBe(0);
  });

  test.each([
    ['535.129.03', 'appears to already be loaded'],
    ['570.211.01', 'appears to be already loaded'],
  ])('of %s refuses while nvidia-gridd holds the module', async (version, words) => {
    using guest = makeFolderGuest({ ...ready, version });
    await install(guest);
    await guest.run('systemctl', 'restart', 'nvidia-gridd');
    const again = await install(guest);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain(words);
    await guest.run('systemctl', 'stop', 'nvidia-gridd');
    expect((await install(guest)).code).toBe(0);
  });

  test('without dkms: silent from 520.56.06 on, an error before', async () => {
    using later = makeFolderGuest({ ...ready, version: '570.211.01' });
    later.remove('/usr/sbin/dkms');
    expect((await install(later, '--dkms')).code).toBe(0);
    expect(later.read('/var/lib/dkms/nvidia/570.211.01/source')).toBeUndefined();
    expect((await later.run('modinfo', '-F', 'version', 'nvidia')).stdout).toBe('570.211.01\n');

    using earlier = makeFolderGuest({ ...ready, version: '470.256.02' });
    earlier.remove('/usr/sbin/dkms');
    const refused = await install(earlier, '--dkms');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('Failed to find dkms on the system!');
  });

  test.each([
    ['/usr/bin/cc', 'Unable to find the development tool `cc` in your path'],
    ['/usr/include/stdio.h', 'You do not appear to have libc header files installed'],
    ['/lib/modules/6.8.0-49-generic/build', 'Unable to find the kernel source tree for the currently running kernel.'],
  ])('refuses without %s', async (path, words) => {
    using guest = makeFolderGuest(ready);
    guest.remove(path);
    const { code, stderr } = await install(guest);
    expect(code).toBe(1);
    expect(stderr).toContain(words);
  });

  test('ends with 0 where there is no GPU, and says so', async () => {
    using guest = makeFolderGuest({ ...ready, gpus: 0 });
    const { code, stderr } = await install(guest);
    expect(code).toBe(0);
    expect(stderr).toContain('WARNING: You do not appear to have an NVIDIA GPU supported by the 570.211.01 NVIDIA');
    expect(guest.read('/sys/module/nvidia/version')).toBeUndefined();
  });

  test('replaces the driver that is there', async () => {
    using guest = makeFolderGuest({ ...ready, version: '550.144.03' });
    await install(guest, '--dkms');
    const newer = guest.addPackage('570.211.01');
    expect((await guest.run('sh', newer, '--silent', '--dkms')).code).toBe(0);
    expect((await guest.run('dkms', 'status')).stdout).toBe(`nvidia/570.211.01, ${guest.kernel}, x86_64: installed\n`);
    expect(guest.list('/usr/src')).toEqual([`linux-headers-${guest.kernel}`, 'nvidia-570.211.01']);
    expect(guest.read('/proc/driver/nvidia/version')).toContain('570.211.01');
  });

  test('of another architecture is refused by the wrapper', async () => {
    using guest = makeFolderGuest({ ...ready, architecture: 'aarch64' });
    guest.write('/var/lib/stubs/machine', 'x86_64\n');
    const { code, stdout } = await install(guest);
    expect(code).toBe(1);
    expect(stdout).toContain('ERROR: this .run file is intended for the\nLinux-aarch64 platform');
  });
});

function install(guest: FolderGuest, ...options: readonly string[]): ReturnType<FolderGuest['run']> {
  return guest.run('sh', guest.packagePath, '--silent', ...options);
}
