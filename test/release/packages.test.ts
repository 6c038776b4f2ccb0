import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildDeb, buildRpm } from '../../scripts/release/packages.ts';
import { jsonSchemaOf, SCHEMA_KINDS } from '../../src/report/schemas.ts';
import { makeFolderGuest } from '../helpers/folder-guest.ts';
import { packageOf, RELEASE, run } from './released.ts';

const HERE = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
const DEBS = ['_amd64.deb', '_arm64.deb'];
const RPMS = ['.x86_64.rpm', '.aarch64.rpm'];

/** What both families have, by the same names. */
const CONTENTS = [
  '/etc/vgpu-guest',
  '/usr/bin/vgpu-guest',
  '/usr/lib/systemd/system-preset/90-vgpu-guest.preset',
  '/usr/lib/systemd/system/vgpu-guest-first-boot.service',
  '/usr/lib/systemd/system/vgpu-guest-license.service',
  '/usr/lib/systemd/system/vgpu-guest-license.timer',
  '/usr/lib/systemd/system/vgpu-guest-resume.service',
  '/usr/share/bash-completion/completions/vgpu-guest',
  '/usr/share/fish/vendor_completions.d/vgpu-guest.fish',
  '/usr/share/man/man8/vgpu-guest.8.gz',
  '/usr/share/vgpu-guest/examples/config.yaml',
  '/usr/share/vgpu-guest/vgpu-guest.cdx.json',
  ...SCHEMA_KINDS.map(kind => `/usr/share/vgpu-guest/schemas/${kind}.json`),
];

const TEMPLATE = '/usr/lib/systemd/system/vgpu-guest-x11vnc.service';

describe.each(DEBS)('the package %s', ending => {
  test('has everything, and nothing that anybody but root can change', () => {
    const rows = run(['/usr/bin/dpkg-deb', '--contents', packageOf(ending)], HERE)
      .stdout.trim()
      .split('\n');
    const paths = rows.map(row => row.split(/\s+/)[5]?.replace(/^\./, '').replace(/\/$/, ''));
    expect(paths).toEqual(expect.arrayContaining([...CONTENTS, '/usr/share/doc/vgpu-guest/copyright']));
    // enabled as it stands it would show the screen to everybody
    expect(paths).not.toContain(TEMPLATE);
    expect(rows.filter(row => !/^[d-]r.[x-]r-[x-]r-[x-] root\/root /.test(row))).toEqual([]);
  });
});

describe.each(RPMS)('the package %s', ending => {
  const rpm = (...args: readonly string[]) =>
    run(['/usr/bin/rpm', ...args, packageOf(ending)], HERE)
      .stdout.trim()
      .split('\n');

  test('has everything, and nothing that anybody but root can change', () => {
    const rows = rpm('-qp', '--qf', '[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\n]');
    const paths = rows.map(row => row.split(' ')[2]);
    expect(paths).toEqual(expect.arrayContaining([...CONTENTS, '/usr/share/licenses/vgpu-guest/LICENSE']));
    expect(paths).not.toContain(TEMPLATE);
    expect(rows.filter(row => !/^[d-]r.[x-]r-[x-]r-[x-] root\/root /.test(row))).toEqual([]);
  });

  test('asks for no later C library than 2.28, and for nothing that RHEL 8 and SLES 15 do not have', () => {
    const needs = rpm('-qp', '--requires');
    const minors = needs.flatMap(need => /GLIBC_2\.(\d+)/.exec(need)?.[1] ?? []).map(Number);
    expect(Math.max(...minors)).toBeLessThanOrEqual(28);
    expect(needs.filter(need => need.startsWith('rpmlib(')).sort()).toEqual([
      'rpmlib(CompressedFileNames) <= 3.0.4-1',
      'rpmlib(FileDigests) <= 4.6.0-1',
      'rpmlib(PayloadFilesHavePrefix) <= 4.0-1',
      'rpmlib(PayloadIsXz) <= 5.2-1',
    ]);
  });
});

test('packages come out the same, byte for byte, when they are built again elsewhere', () => {
  const files = [{ path: '/usr/share/vgpu-guest/text', bytes: 'text\n', mode: 0o644 }];
  const built = ['a', 'b'].map(name => {
    const folder = mkdtempSync(join(tmpdir(), `vgpu-guest-packages-${name}-`));
    const options = { folder, output: folder, architecture: 'x64', files, timeS: 1_700_000_000, level: 6 } as const;
    try {
      return [buildDeb(options), buildRpm(options)].map(path => readFileSync(path).toString('base64'));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
  expect(built[0]).toEqual(built[1]);
});

test('licenses and the bill of materials name everything that is inside', () => {
  const bill = JSON.parse(readFileSync(join(RELEASE, 'vgpu-guest.cdx.json'), 'utf8'));
  const licenses = readFileSync(join(RELEASE, 'THIRD-PARTY-LICENSES'), 'utf8');
  const parts: readonly { name: string; version: string; licenses: readonly unknown[] }[] = bill.components;
  expect(parts.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['node', 'commander', 'execa', 'winston', 'zod']),
  );
  expect(parts.map(({ name }) => name)).not.toContain('vitest');
  for (const { name, version, licenses: own } of parts) {
    expect(own).toHaveLength(1);
    expect(licenses).toContain(name === 'node' ? `Node.js ${version}` : `${name} ${version} (`);
  }
  expect(licenses).toContain('OpenSSL');
});

test('the bill of materials names what is inside of Node, as those who look for known faults need it', () => {
  const { components } = JSON.parse(readFileSync(join(RELEASE, 'vgpu-guest.cdx.json'), 'utf8'));
  const inside: readonly { name: string; version: string }[] = components[0].components;
  const { openssl, v8, zlib } = process.versions;
  expect(Object.fromEntries(inside.map(({ name, version }) => [name, version]))).toMatchObject({ openssl, v8, zlib });
  expect(inside.map(({ name }) => name)).not.toContain('modules');
  expect(inside.filter(({ version }) => version === '')).toEqual([]);
});

describe.skipIf(process.getuid?.() !== 0 || process.arch !== 'x64')('installed on a guest in a folder', () => {
  test('dpkg finds its files untouched after a journey; removal leaves the guest as it is; purge takes our state', async () => {
    using guest = makeFolderGuest({ family: 'debian', license: { delayS: 0.2 } });
    cpSync('/var/lib/dpkg/info/format', guest.at('/var/lib/dpkg/info/format'));
    guest.write('/var/lib/dpkg/status', '');
    guest.write('/var/lib/dpkg/updates/.keep', '');
    const dpkg = (...args: readonly string[]) =>
      run(['/usr/bin/dpkg', `--root=${guest.root}`, '--force-depends', '--force-script-chrootless', ...args], HERE);
    expect(dpkg('--install', packageOf('_amd64.deb')).code).toBe(0);
    const vgpuGuest = (...args: readonly string[]) =>
      run([guest.at('/usr/bin/vgpu-guest'), ...args, '--root', guest.root]);

    expect(vgpuGuest('apply').code).toBe(3);
    // the packaged unit counts, and no copy of it lies beside it
    expect(existsSync(guest.at('/etc/systemd/system/vgpu-guest-resume.service'))).toBe(false);
    expect(guest.list('/etc/systemd/system/multi-user.target.wants')).toContain('vgpu-guest-resume.service');
    await guest.reboot();
    expect(vgpuGuest('apply').code).toBe(0);
    expect(vgpuGuest('status').stdout).toContain('licensed');
    expect(dpkg('--verify', 'vgpu-guest')).toEqual({ code: 0, stdout: '', stderr: '' });

    const SCREEN_UNIT = '/etc/systemd/system/vgpu-guest-screen.service';
    guest.write('/root/at-boot.yaml', 'xorg:\n  atBoot: true\n');
    expect(vgpuGuest('apply', '--only', 'watch-screen', '--config', '/root/at-boot.yaml').code).toBe(0);
    expect(existsSync(guest.at(SCREEN_UNIT))).toBe(true);
    const driversOwn = () =>
      Object.entries(guest.manifest()).filter(([path]) =>
        /^\/?(etc\/(nvidia|modprobe\.d)|lib\/modules|var\/lib\/(nvidia|dkms))/.test(path),
      );
    const before = driversOwn();
    expect(before.length).toBeGreaterThan(0);
    expect(dpkg('--remove', 'vgpu-guest').code).toBe(0);
    expect(existsSync(guest.at('/usr/bin/vgpu-guest'))).toBe(false);
    // a unit that would start what is gone
    expect(existsSync(guest.at(SCREEN_UNIT))).toBe(false);
    expect(guest.list('/etc/systemd/system/graphical.target.wants')).toEqual([]);
    expect(existsSync(guest.at('/var/lib/vgpu-guest'))).toBe(true);
    expect(dpkg('--purge', 'vgpu-guest').code).toBe(0);
    for (const path of ['/var/lib/vgpu-guest', '/var/log/vgpu-guest.log', '/etc/vgpu-guest']) {
      expect(existsSync(guest.at(path))).toBe(false);
    }
    expect(driversOwn()).toEqual(before);
  });

  test('rpm finds its files untouched after a journey, and its removal leaves the guest as it is', async () => {
    using guest = makeFolderGuest({ family: 'rhel', license: { delayS: 0.2 } });
    const database = join('/var/lib', 'rpm-of-vgpu-guest');
    const rpm = (...args: readonly string[]) =>
      run(['/usr/bin/rpm', '--root', guest.root, '--dbpath', database, ...args], HERE);
    expect(rpm('--install', '--nodeps', '--noscripts', '--ignorearch', packageOf('.x86_64.rpm'))).toMatchObject({
      code: 0,
    });
    const vgpuGuest = (...args: readonly string[]) =>
      run([guest.at('/usr/bin/vgpu-guest'), ...args, '--root', guest.root]);
    expect(vgpuGuest('apply').code).toBe(3);
    await guest.reboot();
    expect(vgpuGuest('apply').code).toBe(0);
    expect(rpm('--verify', '--nodeps', 'vgpu-guest')).toMatchObject({ code: 0, stdout: '' });
    expect(rpm('--erase', '--noscripts', 'vgpu-guest').code).toBe(0);
    expect(existsSync(guest.at('/usr/bin/vgpu-guest'))).toBe(false);
    expect(guest.read('/etc/nvidia/gridd.conf')).toContain('FeatureType');
  });
});

test('the schemas of the package are those that the program prints', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vgpu-guest-schemas-'));
  try {
    run(['/usr/bin/dpkg-deb', '--extract', packageOf('_amd64.deb'), folder], HERE);
    for (const kind of SCHEMA_KINDS) {
      const text = readFileSync(join(folder, 'usr/share/vgpu-guest/schemas', `${kind}.json`), 'utf8');
      expect(JSON.parse(text)).toEqual(jsonSchemaOf(kind));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
