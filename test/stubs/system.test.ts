import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import { makeFolderGuest } from '../helpers/folder-guest.ts';

describe('the stand-in systemctl', () => {
  test('says of an unknown unit what systemd says', async () => {
    using guest = makeFolderGuest();
    const run = (...args: readonly string[]) => guest.run('systemctl', ...args);
    expect(await run('restart', 'nvidia-gridd')).toEqual({
      code: 5,
      stdout: '',
      stderr: 'Failed to restart nvidia-gridd.service: Unit nvidia-gridd.service not found.\n',
    });
    expect((await run('is-active', 'nvidia-gridd')).code).toBe(4);
    expect((await run('enable', 'nvidia-gridd')).code).toBe(1);
    expect((await run('is-enabled', 'nvidia-gridd')).code).toBe(1);
    expect(await run('show', 'nvidia-gridd', '-p', 'LoadState', '-p', 'NoSuchProperty')).toEqual({
      code: 0,
      stdout: 'LoadState=not-found\n',
      stderr: '',
    });
    expect((await run('frobnicate')).stderr).toBe('Unknown command verb frobnicate.\n');
    expect((await run('--frobnicate', 'show')).stderr).toBe("systemctl: unrecognized option '--frobnicate'\n");
  });

  test('enables, masks and starts units that have a file', async () => {
    using guest = makeFolderGuest();
    guest.write(
      '/etc/systemd/system/a.service',
      '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n',
    );
    const run = async (...args: readonly string[]) => (await guest.run('systemctl', ...args)).stdout.trim();
    expect(await run('is-enabled', 'a')).toBe('disabled');
    await run('enable', '--now', 'a');
    expect(await run('is-enabled', 'a')).toBe('enabled');
    expect(await run('is-active', 'a')).toBe('active');
    await run('disable', 'a');
    guest.remove('/etc/systemd/system/a.service');
    await run('mask', 'a');
    expect(await run('show', 'a', '-p', 'LoadState', '--value')).toBe('masked');
    expect((await guest.run('systemctl', 'start', 'a')).stderr).toContain('masked');
  });

  test('leaves the graphical target with its X server, and comes back', async () => {
    using guest = makeFolderGuest({ x: 'running' });
    await guest.run('systemctl', 'isolate', 'multi-user.target');
    expect(guest.read('/tmp/.X0-lock')).toBeUndefined();
    expect((await guest.run('systemctl', 'is-active', 'graphical.target')).code).toBe(3);
    await guest.run('systemctl', 'isolate', 'graphical.target');
    expect(guest.read('/tmp/.X0-lock')).toBe('       912\n');
  });
});

describe('the stand-in journalctl', () => {
  const lines = [
    '1000000\t7\tnvidia-gridd\tnvidia-gridd.service\tStarted (7)',
    '3000000\t1\tsystemd\ta.service\tsays "hi" \\',
  ];

  test('prints JSON of what matches, from a time on', async () => {
    using guest = makeFolderGuest();
    guest.write('/var/lib/stubs/journal', `${lines.join('\n')}\n`);
    const ask = async (...args: readonly string[]) => {
      const { stdout } = await guest.run('journalctl', '--output', 'json', '--lines', 'all', ...args);
      return stdout
        .split('\n')
        .filter(Boolean)
        .map(line => (JSON.parse(line) as { MESSAGE: string }).MESSAGE);
    };
    expect(await ask('SYSLOG_IDENTIFIER=nvidia-gridd', '+', '_SYSTEMD_UNIT=a.service')).toEqual([
      'Started (7)',
      'says "hi" \\',
    ]);
    expect(await ask('SYSLOG_IDENTIFIER=nvidia-gridd', '_SYSTEMD_UNIT=a.service')).toEqual([]);
    expect(await ask('--since', '@2')).toEqual(['says "hi" \\']);
    expect((await guest.run('journalctl', '--frobnicate')).code).toBe(1);
  });

  test('follows until it is ended', async () => {
    using guest = makeFolderGuest();
    guest.write('/var/lib/stubs/journal', `${lines[0]}\n`);
    const args = ['--follow', '--output', 'cat', '--lines', 'all'];
    const follower = spawn(guest.at('/usr/bin/journalctl'), args, { env: { GUEST_ROOT: guest.root } });
    const printed = createInterface(follower.stdout)[Symbol.asyncIterator]();
    expect((await printed.next()).value).toBe('Started (7)');
    guest.write('/var/lib/stubs/journal', `${lines.join('\n')}\n`);
    expect((await printed.next()).value).toBe('says "hi" \\');
    follower.kill();
    await once(follower, 'exit');
  });
});

describe('the stand-in initrd programs', () => {
  const image = '/boot/initrd-6.4.0-150600.23.47-default';
  const kernel = '6.4.0-150600.23.47-default';

  test('dracut does not overwrite without --force', async () => {
    using guest = makeFolderGuest();
    expect(await guest.run('dracut', image, kernel)).toEqual({
      code: 1,
      stdout: '',
      stderr: `dracut: Will not override existing initramfs (${image}) without --force\n`,
    });
    expect((await guest.run('dracut', '--frobnicate')).code).toBe(1);
    expect((await guest.run('dracut', '--force', image, '1.2.3')).stderr).toContain('Cannot find module directory');
  });

  test('dracut takes /etc/modprobe.d along for this guest alone, and otherwise what it is told to install', async () => {
    using guest = makeFolderGuest();
    guest.write('/etc/modprobe.d/b.conf', 'blacklist nouveau\n');
    const inside = async () => (await guest.run('lsinitrd', '-f', 'etc/modprobe.d/b.conf', image)).stdout;
    await guest.run('dracut', '--force', '--hostonly', image, kernel);
    expect(await inside()).toBe('blacklist nouveau\n');
    await guest.run('dracut', '--force', '--no-hostonly', image, kernel);
    expect(await inside()).toBe('');
    guest.write('/etc/dracut.conf.d/x.conf', 'install_items+=" /etc/modprobe.d/b.conf "\n');
    await guest.run('dracut', '--force', '--no-hostonly', image, kernel);
    expect(await inside()).toBe('blacklist nouveau\n');
  });

  test('dracut deletes the image that it cannot write', async () => {
    using guest = makeFolderGuest({ boot: 'full' });
    const { code, stderr } = await guest.run('dracut', '--force', image, kernel);
    expect(code).toBe(1);
    expect(stderr).toContain('No space left on device');
    expect(guest.read(image)).toBeUndefined();
  });

  test('update-initramfs keeps the image that it cannot renew', async () => {
    using guest = makeFolderGuest({ family: 'debian', boot: 'full' });
    const { code, stderr } = await guest.run('update-initramfs', '-u');
    expect(code).toBe(1);
    expect(stderr).toContain('update-initramfs: failed for /boot/initrd.img-6.8.0-49-generic with 1.');
    expect(guest.read('/boot/initrd.img-6.8.0-49-generic')).toMatch(/^070701/);
  });
});

describe('the stand-in package managers', () => {
  test('zypper knows what is provided, and ends with 104 or 7 where it cannot', async () => {
    using guest = makeFolderGuest();
    const zypper = (...args: readonly string[]) => guest.run('zypper', '--non-interactive', 'install', ...args);
    expect((await zypper('kernel-default-devel=6.4.0-150600.23.47')).code).toBe(0);
    expect(guest.read(`/lib/modules/${guest.kernel}/build/Makefile`)).toBe('all:\n');
    expect((await zypper('kernel-default-devel=9.9')).code).toBe(104);
    guest.write('/var/lib/stubs/locked', '');
    expect((await zypper('gcc')).code).toBe(7);
    expect((await guest.run('zypper', 'install', 'gcc')).code).toBe(7);
  });

  test('dnf asks, and names what it cannot find', async () => {
    using guest = makeFolderGuest({ family: 'rhel' });
    expect((await guest.run('dnf', 'install', 'gcc')).code).toBe(1);
    expect((await guest.run('dnf', '--assumeyes', 'install', 'gcc', 'frob')).stderr).toBe(
      'Error: Unable to find a match: frob\n',
    );
    expect((await guest.run('rpm', '--query', 'gcc')).stdout).toBe('package gcc is not installed\n');
    expect((await guest.run('yum', '--assumeyes', 'install', 'gcc')).code).toBe(0);
    expect((await guest.run('rpm', '--query', '--queryformat', '%{NAME}\\n', 'gcc')).stdout).toBe('gcc\n');
  });

  test('dnf tells from its cache alone what could be installed, if it has one', async () => {
    using guest = makeFolderGuest({ family: 'rhel' });
    const argv = ['--cacheonly', '--quiet', 'repoquery', '--queryformat', '%{name}-%{version}-%{release}.%{arch}\\n'];
    const ask = () => guest.run('dnf', ...argv, `kernel-devel-${guest.kernel}`, 'no-such-package');
    expect(await ask()).toMatchObject({ code: 0, stdout: `kernel-devel-${guest.kernel}\n\n`, stderr: '' });
    guest.write('/var/lib/stubs/no-dnf-cache', '');
    expect(await ask()).toMatchObject({ code: 1, stdout: '' });
  });

  test('apt-cache has a candidate for what the lists have, and none before the first update', async () => {
    using guest = makeFolderGuest({ distribution: 'ubuntu-24.04' });
    const policy = () => guest.run('apt-cache', 'policy', 'gcc', 'no-such-package');
    expect(await policy()).toMatchObject({ code: 0, stdout: '' });
    await guest.run('apt-get', 'update');
    const { stdout, stderr } = await policy();
    expect(stdout).toMatch(/^gcc:\n {2}Installed: \(none\)\n {2}Candidate: \d\S+\n {2}Version table:\n$/);
    expect(stderr).toContain('Unable to locate package no-such-package');
  });

  test('apt-get finds nothing before its first update', async () => {
    using guest = makeFolderGuest({ family: 'debian' });
    const install = () => guest.run('apt-get', '--assume-yes', 'install', 'gcc');
    expect(await install()).toMatchObject({ code: 100, stderr: 'E: Unable to locate package gcc\n' });
    await guest.run('apt-get', 'update');
    expect((await install()).code).toBe(0);
    const query = await guest.run(
      'dpkg-query',
      '--show',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own variables
      '--showformat=${db:Status-Abbrev} ${Package}\\n',
      'gcc',
      'make',
    );
    expect(query).toEqual({ code: 1, stdout: 'ii  gcc\n', stderr: 'dpkg-query: no packages found matching make\n' });
  });
});

describe('the stand-in dkms', () => {
  test('refuses in the real one’s order', async () => {
    using guest = makeFolderGuest({ prerequisites: 'installed' });
    const dkms = (...args: readonly string[]) => guest.run('dkms', ...args, '-m', 'nvidia', '-v', '570.211.01');
    expect((await dkms('add')).stderr).toContain('Directory: /usr/src/nvidia-570.211.01 does not exist.');
    expect(await dkms('remove', '--all')).toMatchObject({ code: 3 });
    guest.write('/usr/src/nvidia-570.211.01/dkms.conf', 'PACKAGE_VERSION="570.211.01"\n');
    expect((await dkms('add')).code).toBe(0);
    expect((await dkms('add')).code).toBe(3);
    expect((await guest.run('dkms', 'status')).stdout).toBe('nvidia/570.211.01: added\n');
    expect((await dkms('build')).code).toBe(0);
    expect((await guest.run('dkms', 'status')).stdout).toBe(`nvidia/570.211.01, ${guest.kernel}, x86_64: built\n`);
    expect((await dkms('install')).code).toBe(0);
    const module = `/lib/modules/${guest.kernel}/updates/nvidia.ko`;
    guest.remove(module);
    const again = {
      code: 0,
      stdout: `Module nvidia/570.211.01 already installed on kernel ${guest.kernel} (x86_64).\n`,
    };
    expect(await dkms('install', '--force')).toMatchObject(again);
    expect(guest.read(module)).toBeUndefined();
    expect((await dkms('uninstall')).code).toBe(0);
    for (const [version, words] of [
      ['570.211.01', `exactly matches what is already found in kernel ${guest.kernel}.`],
      ['580.95.05', `is not newer than what is already found in kernel ${guest.kernel} (580.95.05).`],
    ]) {
      guest.write(`/lib/modules/${guest.kernel}/kernel/drivers/video/nvidia.ko`, `version=${version}\n`);
      expect(await dkms('install')).toMatchObject({ code: 6, stderr: expect.stringContaining(words ?? '') });
    }
    expect((await dkms('install', '--force')).code).toBe(0);
    expect(guest.read(module)).toMatch(/^version=570/);
    guest.remove(`/lib/modules/${guest.kernel}/build`);
    expect((await dkms('build', '-k', guest.kernel, '--force')).stderr).toContain('Your kernel headers for kernel');
  });
});

describe('the guest’s reboot', () => {
  test('nouveau takes the GPU unless the initrd and the real root keep it from it', async () => {
    using guest = makeFolderGuest();
    const image = `/boot/initrd-${guest.kernel}`;
    expect((await guest.reboot()).nouveauBound).toBe(true);
    guest.write('/etc/modprobe.d/b.conf', 'blacklist nouveau\n');
    expect((await guest.reboot()).nouveauBound).toBe(true); // the old initrd does not know of it
    await guest.run('dracut', '--force', image, guest.kernel);
    expect((await guest.reboot()).nouveauBound).toBe(false);
    guest.remove('/etc/modprobe.d/b.conf');
    expect((await guest.reboot()).nouveauBound).toBe(true); // the real root does not know of it
    guest.remove(image);
    await expect(guest.reboot()).rejects.toThrow('the guest does not boot');
  });

  test('gives it a new boot id and an empty /run', async () => {
    using guest = makeFolderGuest();
    const before = guest.read('/proc/sys/kernel/random/boot_id');
    guest.write('/run/vgpu-guest/lock', '');
    await guest.reboot();
    expect(guest.read('/proc/sys/kernel/random/boot_id')).not.toBe(before);
    expect(guest.list('/run')).toEqual([]);
  });
});
