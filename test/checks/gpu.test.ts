import { expect, test } from 'vitest';
import { find, HEALTHY, NO_SMI, smi } from '../helpers/doctor.ts';

const GPU = HEALTHY.gpus[0]!;

test('a guest without an NVIDIA GPU on the bus is told to be given one', () => {
  expect(find('gpu-missing', { gpus: [], ...NO_SMI })).toMatchObject({
    severity: 'error',
    remedy: expect.stringContaining('assign a vGPU'),
    evidence: [{ at: '/sys/bus/pci/devices', shows: expect.stringContaining('0x10de') }],
  });
  expect(find('gpu-missing', {})).toBeUndefined();
});

test.each([
  ['nouveau', /vgpu-guest apply keeps it out/],
  ['vfio-pci', /find out who gives the GPU to vfio-pci/],
])('a GPU that %s has taken is named with its driver', (driver, remedy) => {
  expect(find('gpu-taken', { gpus: [{ ...GPU, driver }], ...NO_SMI })).toMatchObject({
    severity: 'error',
    remedy: expect.stringMatching(remedy),
    evidence: [{ at: '/sys/bus/pci/devices/0000:00:06.0/driver', shows: driver }],
  });
  expect(find('gpu-taken', { gpus: [{ ...GPU, driver: undefined }] })).toBeUndefined();
});

test('the host of vGPUs is no guest', () => {
  expect(find('on-the-host', smi(undefined, { mode: 'host-vgpu' }))).toMatchObject({ severity: 'error' });
  expect(find('on-the-host', {})).toBeUndefined();
});

test.each([
  [true, { current: 'Enabled', pending: 'Enabled' }, undefined],
  [false, { current: 'N/A', pending: 'N/A' }, undefined],
  [undefined, { current: 'Enabled', pending: 'Disabled' }, undefined],
  [true, { current: 'Disabled', pending: 'Enabled' }, 'reboot'],
  [true, { current: 'N/A', pending: 'N/A' }, 'vgpu-guest apply says what can be done'],
  [false, { current: 'Enabled', pending: 'Enabled' }, 'vgpu-guest apply says what can be done'],
])('ECC that is to be %s and is %j is a finding with the remedy %s', (asked, ecc, remedy) => {
  const seen = smi(undefined).smi;
  const gpus = seen.answers ? seen.gpus.map(gpu => ({ ...gpu, ecc })) : [];
  const facts = { smi: { answers: true, driverVersion: '570.211.01', gpus } as const };
  const found = find('ecc-differs', facts, asked === undefined ? {} : { gpu: { ecc: asked } });
  expect(found?.remedy).toBe(remedy);
  if (remedy) expect(found?.evidence).toMatchObject([{ shows: expect.stringContaining(`current ${ecc.current}`) }]);
});
