import { expect, test } from 'vitest';
import { find, griddLog, NO_SMI, NOW_US, smi, tokenFiles, unit, versions } from '../helpers/doctor.ts';

test('a GPU that has been slowed down is an error with what nvidia-smi says', () => {
  const found = find('unlicensed', {
    ...smi('Unlicensed (Restricted)'),
    ...griddLog('NLS initialized', 'Acquiring license. (Info: dls; X)'),
  });
  expect(found).toMatchObject({
    severity: 'error',
    summary: 'the GPU has no license, and the driver has slowed it down',
  });
  expect(found?.evidence[0]).toEqual({
    at: 'nvidia-smi -q -x',
    shows: '0000:00:06.0 NVIDIA A10-4Q: NVIDIA RTX Virtual Workstation, Unlicensed (Restricted)',
  });
  expect(found?.evidence.at(-1)?.shows).toContain('Acquiring license.');
});

test('a daemon that was just started is waited for', () => {
  const facts = { ...smi('Unlicensed (Unrestricted)'), ...unit({ startedUs: NOW_US - 20e6 }) };
  expect(find('unlicensed', facts)).toMatchObject({
    severity: 'warning',
    remedy: 'vgpu-guest license wait',
    cause: expect.stringContaining('20 s ago'),
  });
  expect(find('unlicensed', { ...facts, ...smi('Unlicensed (Restricted)') })?.severity).toBe('error');
  expect(find('unlicensed', smi('Unlicensed (Unrestricted)'))?.severity).toBe('error');
  expect(find('unlicensed', { ...facts, ...griddLog('Failed to acquire license from dls') })?.severity).toBe('error');
});

test.each(['Licensed', undefined])('nothing is wrong with %s', license => {
  expect(find('unlicensed', smi(license))).toBeUndefined();
});

test('a license that is asked for and a driver without licensing do not go together', () => {
  expect(find('driver-without-licensing', smi(undefined))).toMatchObject({ severity: 'error' });
  const plain = { ...smi(undefined, { mode: 'pass-through' }), ...tokenFiles() };
  expect(find('driver-without-licensing', plain, {})).toBeUndefined();
});

const MISMATCH = {
  smi: {
    answers: false,
    problem: 'nvidia-smi says: Failed to initialize NVML: Driver/library version mismatch',
    code: 18,
  },
} as const;

test('nvidia-smi that does not answer for another reason is a finding of its own', () => {
  const facts = { smi: { answers: false, problem: 'nvidia-smi says: No devices were found', code: 6 } } as const;
  expect(find('nvidia-smi-fails', facts)).toMatchObject({
    severity: 'error',
    evidence: [{ shows: facts.smi.problem }],
  });
  expect(find('nvidia-smi-fails', MISMATCH)).toBeUndefined();
  expect(find('nvidia-smi-fails', { ...NO_SMI, ...versions(undefined) })).toBeUndefined();
});

test.each([
  [0, 'printed XML that ends before </nvidia_smi_log>', /not whole/, /look at the end of its answer/],
  [9, 'says: No devices were found', /may not be able to work with the GPU/, /NVRM/],
])('an nvidia-smi that ends with %i and %s is said to do no more than that', (code, problem, cause, remedy) => {
  expect(find('nvidia-smi-fails', { smi: { answers: false, problem: `nvidia-smi ${problem}`, code } })).toMatchObject({
    cause: expect.stringMatching(cause),
    remedy: expect.stringMatching(remedy),
  });
});
