import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../src/change.ts';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import type { Facts } from '../../../src/facts/facts.ts';
import type { SmiFact, SmiGpu, SmiLicense } from '../../../src/facts/gpu/smi.ts';
import { awaitLicense, licenseOf } from '../../../src/steps/license/await-license.ts';

const TOKEN: Settings = { license: { token: '/opt/a.tok', timeout: '90s' } };
const VWS: Settings = { license: { token: '/opt/a.tok', feature: 'vws', timeout: '90s' } };
const RTX = 'NVIDIA RTX Virtual Workstation';

const license = (state: SmiLicense['state'], given: Partial<SmiLicense> = {}): SmiLicense => ({
  state,
  product: RTX,
  expiresAt: state === 'licensed' ? '2026-07-07T16:01:44Z' : undefined,
  raw: state,
  ...given,
});
const gpu = (mode: SmiGpu['mode'], of?: SmiLicense, address = '0000:00:06.0'): SmiGpu => ({
  address,
  name: 'NVIDIA A40-2Q',
  uuid: 'GPU-1',
  mode,
  license: of,
});
const smi = (...gpus: readonly SmiGpu[]): SmiFact => ({ answers: true, driverVersion: '570.211.01', gpus });
const silent = (code: number): SmiFact => ({ answers: false, problem: 'nvidia-smi says: no', code });

function judge(
  settings: Settings,
  answer: SmiFact,
  given: {
    binary?: boolean;
    pci?: 'vgpu' | 'pass-through';
    ahead?: readonly string[];
    active?: string;
    enabled?: string;
  } = {},
): Verdict {
  const facts = {
    smi: answer,
    gridd: {
      binary: given.binary ?? true,
      unit: { load: 'loaded', active: given.active ?? 'inactive', enabled: given.enabled ?? 'enabled', startedUs: 2 },
      conf: { text: '', changedUs: 1 },
    },
    token: { source: { is: 'not-asked-for' }, directory: [] },
    driver: {},
    system: { nowUs: 3 },
    gpus: [{ mode: given.pci }],
  } as unknown as Facts;
  return awaitLicense.judge(configSchema.parse(settings), facts, new Set(given.ahead ?? []));
}
const waits = (because: string) => ({ is: 'due', changes: [{ kind: 'await-license', timeoutMs: 90_000, because }] });

describe('a guest for which a license is asked', () => {
  it('is licensed when every GPU is, until the first license ends', () => {
    const later = license('licensed', { expiresAt: '2026-08-01T00:00:00Z' });
    expect(judge(TOKEN, smi(gpu('vgpu', later), gpu('vgpu', license('licensed'), '0000:00:07.0')))).toEqual({
      is: 'settled',
      because: `the guest is licensed: ${RTX} until 2026-07-07T16:01:44Z`,
    });
  });

  it('is not when one GPU is not', () => {
    const grace = license('grace', { raw: 'Unlicensed (Unrestricted)' });
    expect(
      judge(TOKEN, smi(gpu('vgpu', license('licensed', { raw: 'Licensed' })), gpu('vgpu', grace, '0000:00:07.0'))),
    ).toEqual(waits('nvidia-smi says Licensed (0000:00:06.0), Unlicensed (Unrestricted) (0000:00:07.0)'));
  });

  it('is not when another vGPU has no licensing section', () => {
    expect(
      judge(TOKEN, smi(gpu('vgpu', license('licensed', { raw: 'Licensed' })), gpu('vgpu', undefined, '0000:00:07.0'))),
    ).toEqual(waits('nvidia-smi says Licensed (0000:00:06.0), nothing (0000:00:07.0)'));
  });

  it('is licensed when those GPUs are that can be', () => {
    expect(judge(TOKEN, smi(gpu('vgpu', license('licensed')), gpu('pass-through'))).is).toBe('settled');
  });

  it('has its license proved anew after a restart', () => {
    const verdict = judge(TOKEN, smi(gpu('vgpu', license('licensed'))), { ahead: ['restart-gridd'] });
    expect(verdict).toEqual(waits('nvidia-gridd is about to be restarted'));
  });

  it('keeps the license of a daemon that will only be enabled', () => {
    const running = { ahead: ['restart-gridd'], active: 'active', enabled: 'disabled' };
    expect(judge(TOKEN, smi(gpu('vgpu', license('licensed'))), running).is).toBe('settled');
  });

  it('waits for the driver first', () => {
    expect(judge(TOKEN, silent(127), { ahead: ['install-driver'] })).toEqual(
      waits('the driver is about to be installed'),
    );
  });

  it('waits for a license section where there is a licensing daemon', () => {
    expect(judge(TOKEN, smi(gpu('vgpu')))).toEqual(
      waits('a license is asked for, and nvidia-smi shows no license section yet'),
    );
  });

  it('waits for an nvidia-smi that is slow', () => {
    expect(judge(TOKEN, silent(124))).toEqual(waits('nvidia-smi says: no'));
  });

  it.each<[string, SmiFact, { binary?: boolean }, RegExp]>([
    [
      'with a data-center driver',
      smi(gpu('pass-through')),
      { binary: false },
      /the driver 570\.211\.01 is a data-center driver/,
    ],
    ['without a GPU', smi(), {}, /nvidia-smi sees no GPU/],
    ['without nvidia-smi', silent(127), {}, /a license is asked for, and nvidia-smi says: no/],
    ['whose driver does not answer', silent(9), {}, /a license is asked for, and nvidia-smi says: no/],
  ])('%s is blocked', (_title, answer, given, because) => {
    expect(judge(TOKEN, answer, given)).toEqual({
      is: 'blocked',
      because: expect.stringMatching(because),
      remedy: expect.any(String),
    });
  });

  it('whose driver is asked for, and did not come, is sent to the step that says why', () => {
    const given = { ...TOKEN, driver: { package: '/opt/NVIDIA-Linux-x86_64-570.211.01-grid.run' } };
    expect(judge(given, silent(127))).toMatchObject({ remedy: expect.stringMatching(/^do what install-driver says/) });
    expect(judge(TOKEN, silent(127))).toMatchObject({ remedy: expect.stringMatching(/^set driver\.package/) });
  });

  it('by pass-through is not licensed by the product that stands for no license', () => {
    const applications = license('licensed', { product: 'NVIDIA Virtual Applications', raw: 'Licensed (Expiry: N/A)' });
    expect(judge(VWS, smi(gpu('pass-through', applications))).is).toBe('due');
    expect(judge({ license: { feature: 'vapps' } }, smi(gpu('pass-through', applications))).is).toBe('settled');
    expect(judge(VWS, smi(gpu('vgpu', applications))).is).toBe('settled');
  });
});

describe('a guest by pass-through whose feature was changed', () => {
  const COMPUTE: Settings = { license: { token: '/opt/a.tok', feature: 'compute' } };
  const licensed = (product: string) => smi(gpu('pass-through', license('licensed', { product })));

  it.each<[string, Settings, string]>([
    ['from graphics to compute', COMPUTE, RTX],
    ['from graphics to compute, in the words of R460', COMPUTE, 'Quadro Virtual Data Center Workstation'],
    ['from compute to graphics', VWS, 'NVIDIA vGPU for Compute'],
    ['from graphics to applications', { license: { feature: 'vapps' } }, RTX],
    ['by its FeatureType', { license: { token: '/t' }, gridd: { FeatureType: 4 } }, RTX],
  ])('%s after a license was active has to be rebooted', (_title, settings, product) => {
    expect(judge(settings, licensed(product))).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'reboot',
          because: `the driver keeps ${product}, which was licensed before another feature was asked for, until the next boot`,
        },
      ],
    });
  });

  it.each<[string, Settings, SmiFact]>([
    ['has the product that it asks for', VWS, licensed(RTX)],
    ['has a product of a name that is new', COMPUTE, licensed('NVIDIA Something New')],
    ['has a vGPU, whose profile decides', COMPUTE, smi(gpu('vgpu', license('licensed')))],
    ['asks for no feature', TOKEN, licensed(RTX)],
  ])('does not where it %s', (_title, settings, answer) => {
    expect(judge(settings, answer).is).toBe('settled');
  });

  it('waits for its first license without a reboot', () => {
    expect(judge(COMPUTE, smi(gpu('pass-through', license('unlicensed')))).is).toBe('due');
    expect(judge(VWS, licensed('NVIDIA Virtual Applications'))).toMatchObject({ changes: [{ kind: 'await-license' }] });
  });
});

describe('a guest for which no license is asked', () => {
  it.each<[string, SmiFact]>([
    ['by pass-through without a section', smi(gpu('pass-through'))],
    ['by pass-through, unlicensed', smi(gpu('pass-through', license('unlicensed')))],
    ['on bare metal, restricted', smi(gpu('none', license('restricted')))],
  ])('%s needs none', (_title, answer) => {
    expect(judge({}, answer)).toEqual({
      is: 'settled',
      because: 'no license is asked for, and the GPU needs none (pass-through, or a driver without licensing)',
    });
  });

  it('waits for one on a vGPU all the same, which the cloud may bring', () => {
    expect(judge({}, smi(gpu('vgpu', license('unlicensed')))).is).toBe('due');
    expect(judge({}, silent(127), { pci: 'vgpu', ahead: ['install-driver'] }).is).toBe('due');
    expect(judge({}, silent(127), { pci: 'pass-through', ahead: ['install-driver'] }).is).toBe('settled');
  });

  it('does not need nvidia-smi', () => {
    expect(judge({}, silent(127))).toEqual({
      is: 'settled',
      because: 'no license is asked for, and nvidia-smi says: no',
    });
  });
});

it('a host is no guest', () => {
  expect(judge(TOKEN, smi(gpu('host-vgpu'))).is).toBe('blocked');
  expect(judge({}, smi(gpu('vgpu', license('licensed')), gpu('host-vsga')))).toEqual({
    is: 'blocked',
    because: 'nvidia-smi says that this is the host of vGPUs, and not a guest',
    remedy: 'run vgpu-guest inside the virtual machine',
  });
});

describe('the license in the report', () => {
  const of = (settings: Settings, answer: SmiFact) => licenseOf(configSchema.parse(settings), answer);

  it('has product and expiry', () => {
    expect(of(TOKEN, smi(gpu('vgpu', license('licensed'))))).toEqual({
      state: 'licensed',
      product: RTX,
      expiresAt: '2026-07-07T16:01:44Z',
    });
  });

  it.each([
    [
      'a permanent one has no expiry',
      of(TOKEN, smi(gpu('vgpu', license('licensed', { expiresAt: undefined })))),
      { state: 'licensed', product: RTX },
    ],
    [
      'is that of the GPU that stands worst',
      of(TOKEN, smi(gpu('vgpu', license('grace')), gpu('vgpu', license('restricted')))),
      { state: 'restricted', product: RTX },
    ],
    ['is unknown without an answer', of(TOKEN, silent(127)), { state: 'unknown' }],
    [
      'is unlicensed where it is asked for and does not apply',
      of(TOKEN, smi(gpu('pass-through'))),
      { state: 'unlicensed' },
    ],
    [
      'is not required where nobody asks and it does not apply',
      of({}, smi(gpu('pass-through'))),
      { state: 'not-required' },
    ],
    [
      'is not required on pass-through where nobody asks',
      of({}, smi(gpu('pass-through', license('grace')))),
      { state: 'not-required' },
    ],
    [
      'counts for a GPU whose section says N/A',
      of(TOKEN, smi(gpu('vgpu', license('not-required', { product: undefined })))),
      { state: 'unlicensed' },
    ],
  ])('%s', (_title, said, expected) => {
    expect(said).toEqual(expected);
  });
});
