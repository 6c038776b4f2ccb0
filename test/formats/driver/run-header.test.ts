import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseRunHeader, type RunHeader, versionInFileName } from '../../../src/formats/driver/run-header.ts';

const GRID = readFileSync(new URL('../../fixtures/run-header/570-grid.txt', import.meta.url), 'latin1');
const NAME = 'NVIDIA-Linux-x86_64-570.211.01-grid.run';

describe('the start of a .run package', () => {
  test('a GRID package tells what it is, key by key', () => {
    expect(parseRunHeader(GRID, NAME)).toEqual({
      is: 'package',
      version: '570.211.01',
      label: 'NVIDIA Accelerated Graphics Driver for Linux-x86_64 570.211.01',
      targetDirectory: 'NVIDIA-Linux-x86_64-570.211.01-grid',
      flavor: 'guest',
      architecture: 'x86_64',
      script: './nvidia-installer',
      skipLine: 1022,
      md5: '5b0c1e0a9d3f4c7786a5f1f0f7a3c2d1',
      sumsFromByte: 66,
      unpackedBytes: 1024 ** 3,
      options: new Set([
        'silent',
        'log-file-name',
        'dkms',
        'no-dkms',
        'kernel-module-type',
        'install-compat32-libs',
        'no-install-compat32-libs',
        'rebuild-initramfs',
        'no-rebuild-initramfs',
      ]),
    } satisfies RunHeader);
  });

  test('the sums cover everything from the fourth line on', () => {
    const header = parseRunHeader(GRID, NAME) as RunHeader;
    expect(GRID.slice(header.sumsFromByte)).toMatch(/^skip=1022\n/);
  });

  test('the keys are found in another order, and then without the sums that stand elsewhere', () => {
    const lines = GRID.split('\n');
    const older = [lines[0], ...lines.slice(3, 12), lines[1], lines[2], ...lines.slice(12)].join('\n');
    const header = parseRunHeader(older, NAME) as RunHeader;
    expect(header).toMatchObject({ version: '570.211.01', skipLine: 1022, flavor: 'guest' });
    expect(header.md5).toBeUndefined();
  });

  test('a package that was made without md5sum carries zeros, which are no sum', () => {
    const header = parseRunHeader(GRID.replace(/^MD5=.*$/m, 'MD5=00000000000000000000000000000000'), NAME);
    expect((header as RunHeader).md5).toBeUndefined();
  });

  test('a stub without help lists no options at all', () => {
    const header = parseRunHeader(GRID.replace(/^ *echo " {2}-.*\n/gm, ''), NAME);
    expect((header as RunHeader).options).toBeUndefined();
  });

  test('without version_string the version is the last word of the label', () => {
    expect(parseRunHeader(GRID.replace(/^version_string=.*\n/m, ''), NAME)).toMatchObject({ version: '570.211.01' });
  });
});

describe('the kind of a .run package', () => {
  const named = (targetdir: string, fileName = 'driver.run') =>
    parseRunHeader(GRID.replace(/^targetdir=.*$/m, `targetdir=${targetdir}`), fileName);

  test.each([
    ['NVIDIA-Linux-x86_64-570.211.01-grid', 'driver.run', 'guest'],
    ['NVIDIA-Linux-x86_64-570.211.01-grid-azure', 'driver.run', 'guest'],
    ['NVIDIA-Linux-x86_64-550.144.02-vgpu-kvm', 'NVIDIA-Linux-x86_64-550.144.02-grid.run', 'host'],
    ['NVIDIA-Linux-x86_64-550.144.02-vgpu-kvm-custom', 'driver.run', 'host'],
    ['NVIDIA-Linux-x86_64-570.211.01', 'driver.run', 'plain'],
    ['NVIDIA-Linux-x86_64-570.211.01-no-compat32', 'driver.run', 'plain'],
    ['NVIDIA-Linux-aarch64-570.211.01', 'NVIDIA-Linux-aarch64-570.211.01-grid.run', 'guest'],
    ['NVIDIA-Linux-x86_64-570.211.01', 'NVIDIA-Linux-x86_64-grid.run', 'guest'],
    ['NVIDIA-Linux-x86_64-570.211.01', 'our-vgpu-driver.run', 'plain'],
  ])('%s in %s is for the %s', (targetdir, fileName, flavor) => {
    expect(named(targetdir, fileName)).toMatchObject({ flavor });
  });
});

describe('a file that is no driver package', () => {
  test.each([
    ['', 'it is empty'],
    ['PK\x03\x04rest', 'it is a zip archive (the .run packages of a vGPU release are inside it)'],
    ['\n<!DOCTYPE html><html>', 'it is a web page, so the download asked for a login or failed'],
    ['\xed\xab\xee\xdb\x03', 'it is an RPM package'],
    ['!<arch>\ndebian-binary', 'it is a Debian package'],
    ['\x1f\x8b\x08', 'it is a compressed archive'],
    ['#!/bin/bash\necho hello\n', 'it has no makeself header'],
    [
      '#!/bin/sh\n# This script was generated using Makeself 2.1.4\nlabel="CUDA Toolkit"\nscript="./cuda-installer"\n',
      'it is not a driver: it unpacks "CUDA Toolkit" and runs ./cuda-installer',
    ],
    [GRID.replace(/^TARGET_ARCH=.*\n/m, ''), 'its header names no architecture'],
    [GRID.replaceAll('570.211.01', 'unknown'), 'its header names no version'],
  ])('is refused by what it is (%#)', (start, because) => {
    expect(parseRunHeader(start, NAME)).toEqual({ is: 'something-else', because });
  });
});

describe('the name of a package', () => {
  test.each([
    ['NVIDIA-Linux-x86_64-570.211.01-grid.run', '570.211.01'],
    ['NVIDIA-Linux-x86_64-470.63-vgpu-kvm.run', '470.63'],
    ['NVIDIA-Linux-x86_64-390.48.run', '390.48'],
    ['NVIDIA-Linux-x86_64-grid.run', undefined],
  ])('%s names version %s', (name, version) => {
    expect(versionInFileName(name)).toBe(version);
  });
});
