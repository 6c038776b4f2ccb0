import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { posixChecksum } from './stand-in-archive.ts';
import { buildStandInRun } from './stand-in-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'stand-in-run-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the stand-in .run', () => {
  test('has the sums that cksum and md5sum find from line 4 on, and says so', () => {
    const path = written(buildStandInRun().bytes);
    expect(sh(path, '--check')).toEqual({ code: 0, stdout: 'check sums and md5 sums are ok\n' });
  });

  test('is refused with exit code 2 when it is cut short', () => {
    const { bytes } = buildStandInRun();
    const path = written(bytes.subarray(0, bytes.length - 4096));
    expect(sh(path, '--check').code).toBe(2);
    expect(sh(path, '--silent').code).toBe(2);
    expect(sh(path, '--silent').stdout).toMatch(/^Verifying archive integrity... Error in check sums \d+ \d+\n$/);
  });

  test('tells its name, version and folder without unpacking', () => {
    const built = buildStandInRun({ version: '535.129.03', flavor: 'vgpu-kvm' });
    const path = written(built.bytes);
    expect(built.name).toBe('NVIDIA-Linux-x86_64-535.129.03-vgpu-kvm.run');
    expect(sh(path, '--version-string').stdout).toBe('535.129.03\n');
    expect(sh(path, '--target-directory').stdout).toBe('NVIDIA-Linux-x86_64-535.129.03-vgpu-kvm\n');
    expect(sh(path, '--label').stdout).toBe('NVIDIA Accelerated Graphics Driver for Linux-x86_64 535.129.03\n');
  });

  test.each([
    [
      '470.256.02',
      ['--dkms', '-Z, --disable-nouveau'],
      ['--no-dkms', '--no-rebuild-initramfs', '--skip-module-load', '--kernel-module-type'],
    ],
    [
      '535.129.03',
      ['--dkms, --no-dkms', '-Z, --disable-nouveau'],
      ['--no-rebuild-initramfs', '--skip-module-load', '--kernel-module-type'],
    ],
    ['550.144.03', ['--rebuild-initramfs, --no-rebuild-initramfs', '--skip-module-load'], ['--kernel-module-type']],
    [
      '570.211.01',
      ['-M KERNEL-MODULE-TYPE, --kernel-module-type=KERNEL-MODULE-TYPE', '--print-recommended-kernel-module-type'],
      [],
    ],
  ])('of %s lists the options of that version and no later ones', (version, has, lacks) => {
    const help = sh(written(buildStandInRun({ version }).bytes), '-A').stdout.split('\n');
    const lines = has.map(line => `  ${line}`);
    expect(help).toEqual(expect.arrayContaining(lines));
    for (const option of lacks) expect(help.filter(line => line.includes(option))).toEqual([]);
  });

  test('checksums as POSIX cksum does', () => {
    const text = 'vGPU\n'.repeat(1000);
    const printed = execFileSync('cksum', { input: text, encoding: 'utf8' });
    expect(printed).toBe(`${posixChecksum(Buffer.from(text))} 5000\n`);
  });
});

function written(bytes: Uint8Array): string {
  const path = join(folder, `${Math.random().toString(36).slice(2)}.run`);
  writeFileSync(path, bytes);
  return path;
}

function sh(...args: readonly string[]): { code: number | null; stdout: string } {
  const { status, stdout } = spawnSync('/bin/sh', [...args], { encoding: 'utf8', env: { PATH: '/usr/bin:/bin' } });
  return { code: status, stdout };
}
