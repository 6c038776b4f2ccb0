import { describe, expect, test } from 'vitest';
import type { NextKernel } from '../../src/facts/driver/kernels.ts';
import type { Facts } from '../../src/facts/facts.ts';
import { find, HEALTHY, versions } from '../helpers/doctor.ts';

const VERSION = '570.211.01';
const RELEASE = '6.4.0-30-default';
const entry = {
  module: 'nvidia',
  version: VERSION,
  kernel: '6.4.0-default',
  architecture: 'x86_64',
  status: 'installed',
  warning: undefined,
};
const byDkms = versions(VERSION, { dkms: [entry] });
const kernels = (given: Partial<NextKernel> = {}): Pick<Facts, 'kernels'> => ({
  kernels: {
    next: {
      release: RELEASE,
      from: 'grubby --default-kernel',
      headers: true,
      onDisk: undefined,
      signer: undefined,
      signedWith: undefined,
      failedBuild: undefined,
      ...given,
    },
  },
});
const refusing = (enrollment: 'enrolled' | 'not-enrolled' | 'unknown'): Pick<Facts, 'secureBoot'> => ({
  secureBoot: {
    unsigned: 'refused',
    evidence: [{ at: '/sys/kernel/security/lockdown', shows: 'none [integrity] confidentiality' }],
    keys: { dkms: { secret: '/k.key', certificate: '/k.pub', present: 'both', enrollment } },
    enrolled: new Set(['1c29']),
  },
});

describe('a kernel that the next boot takes', () => {
  test.each<[string, Partial<NextKernel>, string, string]>([
    ['was not built for', {}, 'nothing built the driver', 'vgpu-guest apply builds it now'],
    ['has no headers', { headers: false }, 'headers of that kernel are not there', 'vgpu-guest apply builds it now'],
    [
      'cannot be built for',
      { failedBuild: '/var/lib/dkms/make.log' },
      'DKMS could not build',
      '/var/lib/dkms/make.log',
    ],
  ])('and that %s is a warning', (_how, given, cause, remedy) => {
    expect(find('next-kernel-without-driver', { ...byDkms, ...kernels(given) })).toMatchObject({
      severity: 'warning',
      summary: `the next boot takes ${RELEASE}, which has no NVIDIA driver`,
      cause: expect.stringContaining(cause),
      remedy: expect.stringContaining(remedy),
      evidence: expect.arrayContaining([{ at: 'grubby --default-kernel', shows: RELEASE }]),
    });
  });

  test('and has another driver is a warning, and with the same driver it is none', () => {
    const found = find('next-kernel-without-driver', { ...byDkms, ...kernels({ onDisk: '550.54.14' }) });
    expect(found?.summary).toContain('which has driver 550.54.14');
    expect(find('next-kernel-without-driver', { ...byDkms, ...kernels({ onDisk: VERSION }) })).toBeUndefined();
  });

  test('is not this program’s where DKMS does not know the driver', () => {
    expect(find('next-kernel-without-driver', kernels())).toBeUndefined();
  });

  test('and would refuse an unsigned module is a warning', () => {
    const seen = { ...byDkms, ...kernels({ onDisk: VERSION }) };
    expect(find('next-kernel-unsigned', { ...seen, ...refusing('enrolled') })).toMatchObject({
      severity: 'warning',
      evidence: expect.arrayContaining([
        { at: '/sys/kernel/security/lockdown', shows: 'none [integrity] confidentiality' },
      ]),
    });
    expect(find('next-kernel-unsigned', seen)).toBeUndefined();
    const signed = { ...byDkms, ...kernels({ onDisk: VERSION, signer: 'mine' }) };
    expect(find('next-kernel-unsigned', { ...signed, ...refusing('enrolled') })).toBeUndefined();
  });
});

test('a module for the next boot that DKMS has signed with a key that nobody has enrolled is a warning', () => {
  const built = versions(VERSION, { dkms: [entry, { ...entry, kernel: RELEASE }] });
  const seen = (signedWith: string | undefined, of = built) => ({
    ...of,
    ...refusing('enrolled'),
    ...kernels({ onDisk: VERSION, signer: 'DKMS module signing key', signedWith }),
  });
  expect(find('next-kernel-signer-unknown', seen('77aa'))).toMatchObject({
    severity: 'warning',
    evidence: expect.arrayContaining([{ at: `modinfo -k ${RELEASE} -F sig_key nvidia`, shows: '77aa' }]),
  });
  expect(find('next-kernel-signer-unknown', seen('1c29'))).toBeUndefined();
  expect(find('next-kernel-signer-unknown', seen(undefined))).toBeUndefined();
  // the kernel's maker has keys of his own
  expect(find('next-kernel-signer-unknown', seen('77aa', byDkms))).toBeUndefined();
});

test.each([
  ['not-enrolled', true],
  ['enrolled', false],
  ['unknown', false],
] as const)('a key of DKMS that is %s is a warning: %s', (enrollment, isOne) => {
  const found = find('module-key-not-enrolled', { ...byDkms, ...refusing(enrollment) });
  expect(found?.remedy.startsWith('mokutil --import /k.pub')).toBe(isOne ? true : undefined);
});

describe('headers', () => {
  const lacks = (given: Partial<Facts['prerequisites']>) => ({
    ...byDkms,
    prerequisites: { manager: 'apt-get', missing: [], later: [], offered: new Set<string>(), ...given },
  });

  test('that do not come with the next kernel are a warning', () => {
    const found = find(
      'headers-missing',
      lacks({ later: [{ name: 'linux-headers-amd64', ask: 'linux-headers-amd64', follows: true }] }),
    );
    expect(found).toMatchObject({
      severity: 'warning',
      summary: 'headers that DKMS builds the driver with are not installed: linux-headers-amd64',
      cause: expect.stringContaining('for one kernel only'),
    });
  });

  test('of a kernel that is there are a warning, and other packages are none', () => {
    const gone = find(
      'headers-missing',
      lacks({ missing: [{ name: 'linux-headers-6.1', ask: 'linux-headers-6.1', headers: true }] }),
    );
    expect(gone?.cause).toContain('installed without its headers');
    expect(find('headers-missing', lacks({ missing: [{ name: 'gcc', ask: 'gcc' }] }))).toBeUndefined();
  });
});

test.each([
  ['its source is gone', { kernel: undefined, status: 'broken' }, true],
  ['a module was replaced behind its back', { warning: 'Differences between built and installed modules' }, true],
  ['the distribution brought the same module', { warning: 'Original modules exist' }, false],
  [
    'another kernel’s was replaced',
    { kernel: '5.3.18-default', warning: 'Diff between built and installed module!' },
    false,
  ],
])('DKMS of which %s is a warning: %s', (_what, given, isOne) => {
  const found = find('dkms-damaged', { dkmsStatus: { entries: [{ ...entry, ...given }], unanswered: undefined } });
  expect(found !== undefined).toBe(isOne);
});

test('a driver of a newer branch than the host’s is a warning', () => {
  const on = (version: string) =>
    find('driver-newer-than-host', { gpus: [{ ...HEALTHY.gpus[0]!, host: { version, branch: 'R1' } }] });
  expect(on('535.129.03')).toMatchObject({
    severity: 'warning',
    summary: "the driver 570.211.01 is of a newer branch than the host's 535.129.03",
    evidence: expect.arrayContaining([
      { at: '/sys/bus/pci/devices/0000:00:06.0/config', shows: 'host driver 535.129.03, branch R1' },
    ]),
  });
  expect(on('570.124.03')).toBeUndefined();
});
