import { describe, expect, test } from 'vitest';
import { conf, find, griddLog, HEALTHY, smi } from '../helpers/doctor.ts';

const REFUSED = griddLog(
  'Failed to acquire license from dls (Info: NVIDIA RTX Virtual Workstation - Error: No pool features found for : NVIDIA RTX Virtual Workstation)',
);
const PASSED = { gpus: [{ ...HEALTHY.gpus[0]!, mode: 'pass-through' as const }] };

describe('the profile of a vGPU', () => {
  test.each([
    ['NVIDIA A10-4Q', /Q series, which needs NVIDIA RTX Virtual Workstation/],
    ['GRID T4-2B', /B series, which needs NVIDIA Virtual PC \(vPC\) or/],
    ['NVIDIA L40S-2A', /A series, which needs NVIDIA Virtual Applications/],
    ['NVIDIA A100-1-5CME', /C series, which needs NVIDIA Virtual Compute Server/],
  ])('%s says which license it needs', (name, summary) => {
    expect(find('profile-needs-license', smi('Unlicensed (Unrestricted)', { name }))).toMatchObject({
      severity: 'info',
      summary: expect.stringMatching(summary),
    });
  });

  test('is the fault when the license server has none of it', () => {
    const found = find('profile-needs-license', { ...smi('Unlicensed'), ...REFUSED });
    expect(found).toMatchObject({ severity: 'warning', cause: expect.stringContaining('the license server has none') });
    expect(found?.evidence.map(({ shows }) => shows).join()).toContain('No pool features found');
  });

  test.each([
    ['of a licensed guest', smi('Licensed')],
    ['that has no such name', smi('Unlicensed', { name: 'NVIDIA Graphics' })],
    ['of a whole GPU', { ...PASSED, ...smi('Unlicensed', { name: 'NVIDIA A10', mode: 'pass-through' }) }],
  ])('is not spoken of where it is one %s', (_, facts) => {
    expect(find('profile-needs-license', facts)).toBeUndefined();
  });
});

describe('a GPU by pass-through', () => {
  const applications = {
    ...PASSED,
    ...smi('Licensed', { mode: 'pass-through', product: 'NVIDIA Virtual Applications' }),
  };

  test('with the license for applications is no workstation', () => {
    const found = find('vapps-license', { ...applications, ...conf('FeatureType=0') });
    expect(found).toMatchObject({ severity: 'warning', remedy: expect.stringContaining('vws or compute') });
    expect(found?.evidence).toContainEqual({ at: '/etc/nvidia/gridd.conf', shows: 'FeatureType=0' });
  });

  test('may have that license on purpose', () => {
    expect(
      find('vapps-license', { ...applications, ...conf('FeatureType=0') }, { license: { feature: 'vapps' } }),
    ).toBeUndefined();
    expect(
      find('vapps-license', { ...applications, ...conf('FeatureType=0') }, { gridd: { FeatureType: 0 } }),
    ).toBeUndefined();
  });

  test('keeps the feature that was licensed first until it is rebooted', () => {
    expect(find('feature-needs-reboot', { ...applications, ...conf('FeatureType=2') })).toMatchObject({
      severity: 'warning',
      remedy: 'reboot the guest',
    });
    const compute = smi('Licensed', { mode: 'pass-through', product: 'NVIDIA vGPU for Compute' });
    expect(find('feature-needs-reboot', { ...PASSED, ...compute, ...conf('FeatureType=4') })).toBeUndefined();
    expect(find('feature-needs-reboot', { ...PASSED, ...compute, ...conf('FeatureType=2') })).toBeDefined();
    expect(find('feature-needs-reboot', conf('FeatureType=4'))).toBeUndefined();
  });
});
