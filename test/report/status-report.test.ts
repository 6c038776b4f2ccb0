import { expect, onTestFinished, test } from 'vitest';
import { FAMILIES } from '../../src/facts/families.ts';
import { NO_CUDA } from '../../src/facts/gpu/cuda.ts';
import type { SmiGpu } from '../../src/facts/gpu/smi.ts';
import { type StatusFacts, statusJson, statusText } from '../../src/report/status-report.ts';

const facts: StatusFacts = {
  system: {
    name: 'SUSE Linux Enterprise Server 15 SP6',
    version: '15.6',
    family: FAMILIES[0],
    kernel: '6.4.0-150600.23.47-default',
    bootId: 'b',
    readOnly: undefined,
    nowUs: 0,
  },
  gpus: [{ address: '0000:00:06.0', device: '2236', kind: 'vga', driver: 'nvidia', mode: 'vgpu' }],
  smi: {
    answers: true,
    driverVersion: '570.211.01',
    gpus: [{ address: '0000:00:06.0', name: 'NVIDIA A10-4Q', uuid: 'GPU-1', mode: 'vgpu', license: undefined }],
  },
  driver: { installed: '570.211.01', onDisk: '570.211.01', loaded: '570.211.01', dkms: [] },
  gridd: {
    binary: true,
    binaryChangedUs: 1,
    unit: {
      load: 'loaded',
      active: 'active',
      enabled: 'enabled',
      result: 'success',
      exitCode: 0,
      mainPid: 1,
      startedUs: 1,
      lastStartedUs: 1,
    },
    conf: undefined,
    template: undefined,
  },
  kernels: { next: undefined },
  virtualization: 'kvm',
  displayNames: new Map(),
  shown: { by: 'x', programs: ['Xorg'], gpus: ['0000:00:06.0'] },
  license: { state: 'licensed', product: 'NVIDIA RTX Virtual Workstation', expiresAt: '2026-07-07T16:01:44Z' },
  cuda: NO_CUDA,
  cudaAsked: false,
  rebootNeeded: false,
};

test('JSON has what the contract names', () => {
  expect(statusJson(facts)).toEqual({
    schema: 'vgpu-guest/status/1',
    guest: {
      distribution: 'SUSE Linux Enterprise Server 15 SP6',
      kernel: '6.4.0-150600.23.47-default',
      virtualization: 'kvm',
    },
    gpus: [{ address: '0000:00:06.0', name: 'NVIDIA A10-4Q', mode: 'vgpu', driver: 'nvidia' }],
    driver: { installed: '570.211.01', loaded: '570.211.01' },
    gridd: { unit: 'loaded', active: 'active' },
    license: { state: 'licensed', product: 'NVIDIA RTX Virtual Workstation', expiresAt: '2026-07-07T16:01:44Z' },
    screen: { by: 'x', programs: ['Xorg'], gpus: ['0000:00:06.0'] },
    rebootNeeded: false,
  });
});

test.each([
  ['UTC', '2026-07-07 16:01:44 UTC'],
  ['Asia/Kolkata', '2026-07-07 21:31:44 +05:30'],
  ['America/Los_Angeles', '2026-07-07 09:01:44 -07:00'],
  ['Pacific/Auckland', '2026-07-08 04:01:44 +12:00'],
])('a person in %s reads when the license ends by their own clock, a program in UTC', (zone, shown) => {
  const before = process.env.TZ;
  onTestFinished(() => {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  });
  process.env.TZ = zone;
  const status = statusJson(facts);
  expect(statusText(status)).toContain(`until ${shown}`);
  expect(status.license.expiresAt).toBe('2026-07-07T16:01:44Z');
});

test('before the driver the PCI database names the GPU, and what is not known is left out', () => {
  const bare: StatusFacts = {
    ...facts,
    gpus: [{ address: '0000:00:06.0', device: '2335', kind: '3d', driver: undefined, mode: undefined }],
    smi: { answers: false, problem: 'nvidia-smi is not there', code: 127 },
    driver: { installed: undefined, onDisk: undefined, loaded: undefined, dkms: undefined },
    displayNames: new Map([['0000:00:06.0', 'GH100 [H200 SXM 141GB]']]),
  };
  expect(statusJson(bare)).toMatchObject({
    gpus: [{ address: '0000:00:06.0', name: 'GH100 [H200 SXM 141GB]', mode: 'none' }],
    driver: {},
  });
  expect(statusText(statusJson(bare))).toContain('driver        none installed, none loaded');
});

test('the kernel of the next boot and the driver of the host are shown where they are known', () => {
  const next = {
    release: '6.4.0-30-default',
    from: 'grubby',
    headers: true,
    onDisk: undefined,
    signer: undefined,
    signedWith: undefined,
    failedBuild: undefined,
  };
  const gpus = [{ ...facts.gpus[0]!, host: { version: '570.124.03', branch: 'R570' } }];
  const told = statusJson({ ...facts, gpus, kernels: { next } });
  expect(told).toMatchObject({
    gpus: [{ hostDriver: '570.124.03' }],
    driver: { next: { kernel: '6.4.0-30-default' } },
  });
  expect(statusText(told)).toContain('next boot     6.4.0-30-default, driver none');
  expect(statusText(told)).toContain('driver nvidia, 570.124.03 on the host');
  expect(statusJson({ ...facts, kernels: { next: { ...next, onDisk: '570.211.01' } } }).driver.next?.installed).toBe(
    '570.211.01',
  );
});

test('a driver that is loaded, and whose files lie where no package puts them, is not called uninstalled', () => {
  // as on a guest with an H200 by pass-through whose 580.159.04 comes from a read-only mount below /usr/local
  const mounted = {
    ...facts,
    driver: { installed: undefined, onDisk: undefined, loaded: '580.159.04', dkms: undefined, isOpen: true },
  };
  expect(statusText(statusJson(mounted))).toContain(
    'driver        none found on disk, 580.159.04 loaded (open kernel modules)',
  );
  expect(statusJson(mounted).driver.modules).toBe('open');
});

test.each<[SmiMig, string, object | undefined, string]>([
  [{ current: 'N/A', pending: 'N/A', devices: 0 }, 'NVIDIA A10-4Q', undefined, 'driver nvidia\n'],
  [
    { current: 'Enabled', pending: 'Enabled', devices: 1 },
    'GRID A100-1-5C',
    { current: 'Enabled', pending: 'Enabled', devices: 1, profile: 'GRID A100-1-5C' },
    'MIG-backed vGPU, MIG Enabled, 1 MIG device\n',
  ],
  [
    { current: 'N/A', pending: 'N/A', devices: 0 },
    'NVIDIA H100L-1-12C',
    { profile: 'NVIDIA H100L-1-12C' },
    'MIG-backed vGPU\n',
  ],
])('of MIG %j of %s is shown %j', (mig, name, shown, text) => {
  const told = statusJson(withGpu({ name, mig }));
  expect(told.gpus[0]?.mig).toEqual(shown);
  expect(statusText(told)).toContain(text);
});

test('a passed-through GPU is no MIG-backed vGPU, whatever it is called; its settings are shown with what is pending', () => {
  const told = statusJson(
    withGpu({
      name: 'GRID A100-1-5C',
      mode: 'pass-through',
      mig: { current: 'Disabled', pending: 'Enabled', devices: 0 },
      ecc: { current: 'Enabled', pending: 'Disabled' },
    }),
  );
  expect(told.gpus[0]).toMatchObject({
    ecc: { current: 'Enabled', pending: 'Disabled' },
    mig: { current: 'Disabled', pending: 'Enabled' },
  });
  expect(told.gpus[0]?.mig).not.toHaveProperty('profile');
  expect(statusText(told)).toContain('ECC Enabled (pending Disabled), MIG Disabled (pending Enabled)\n');
});

type SmiMig = NonNullable<SmiGpu['mig']>;

function withGpu(more: Partial<SmiGpu>): StatusFacts {
  const gpus = facts.smi.answers ? facts.smi.gpus.map(gpu => ({ ...gpu, ...more })) : [];
  return { ...facts, smi: { answers: true, driverVersion: '570.211.01', gpus } };
}

test('the CUDA toolkit is shown where it is asked for, and its proof only for the driver that it was seen with', () => {
  const nvcc = { release: '12.8', version: '12.8.93', path: '/usr/local/cuda-12.8/bin/nvcc' };
  const with_ = (driver: string, passed: boolean) =>
    statusJson({
      ...facts,
      cudaAsked: true,
      cuda: { ...facts.cuda, nvcc, proof: { toolkit: '12.8.93', driver, passed } },
    });
  expect(with_('570.211.01', true).cuda).toEqual({ installed: '12.8.93', path: nvcc.path, works: true });
  expect(statusText(with_('570.211.01', false))).toContain('CUDA          12.8.93, it failed with this driver');
  expect(statusText(with_('550.144.03', true))).toContain('CUDA          12.8.93, not tried with this driver');
  expect(statusText(statusJson({ ...facts, cudaAsked: true }))).toContain('CUDA          not installed');
  expect(statusText(statusJson(facts))).not.toContain('CUDA');
});
