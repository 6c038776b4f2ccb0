import { describe, expect, test } from 'vitest';
import { driver } from '../../src/checks/driver.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { Facts } from '../../src/facts/facts.ts';
import { find, griddLog, HEALTHY, kernelLog, NO_SMI, smi, unit, versions } from '../helpers/doctor.ts';

const MISMATCH = {
  smi: {
    answers: false,
    problem: 'nvidia-smi says: Failed to initialize NVML: Driver/library version mismatch',
    code: 18,
  },
} as const;

describe('a driver that brings no nvidia-gridd', () => {
  test('is named as a data-center driver, with its version', () => {
    const found = find('daemon-missing', { ...smi(undefined), ...unit({ load: 'not-found' }, { binary: false }) });
    expect(found).toMatchObject({
      severity: 'error',
      summary: 'the driver 570.211.01 has no /usr/bin/nvidia-gridd, so nothing can get a license',
      cause: expect.stringContaining('data-center driver'),
      remedy: expect.stringContaining('--utility-prefix'),
    });
    expect(found?.evidence).toContainEqual({ at: '/usr/bin/nvidia-gridd', shows: 'not there' });
  });

  test('but has its unit missing only was installed with a prefix, or in a container', () => {
    const found = find('daemon-missing', { ...smi('Unlicensed'), ...unit({ load: 'not-found' }) });
    expect(found).toMatchObject({
      summary: expect.stringContaining('no nvidia-gridd.service'),
      cause: expect.stringContaining('prefix'),
    });
  });

  test('is no fault where no license is asked for', () => {
    const gpus = [{ ...HEALTHY.gpus[0]!, mode: 'pass-through' as const }];
    const facts = {
      gpus,
      ...smi(undefined, { mode: 'pass-through' }),
      ...unit({ load: 'not-found' }, { binary: false, conf: undefined }),
    };
    expect(find('daemon-missing', { ...facts, tokenFiles: { ...HEALTHY.tokenFiles, files: [] } }, {})).toBeUndefined();
  });
});

test('a guest without any driver is told how it gets one', () => {
  const bare = { ...versions(undefined), ...NO_SMI };
  expect(find('driver-missing', bare)?.remedy).toContain('set driver.package');
  expect(find('driver-missing', bare, { driver: { package: '/opt/x.run' } })?.remedy).toBe(
    'vgpu-guest apply installs it',
  );
});

test('what modinfo did not tell is not taken for none', () => {
  const unanswered = { modinfo: 'modinfo nvidia: exit code 127' };
  const at = 'modinfo -k 5.14.0 nvidia';
  const system = { ...HEALTHY.system, kernel: '5.14.0' };
  const bare = versions(undefined);
  const dark = versions(undefined, { unanswered });
  const shown = (given: Pick<Facts, 'driver'>) =>
    find('driver-missing', { ...given, ...NO_SMI, system })?.evidence.find(each => each.at === at)?.shows;
  expect([shown(bare), shown(dark)]).toEqual(['no such module', 'modinfo nvidia: exit code 127']);

  const saw = (given: Pick<Facts, 'driver'>) => driver.saw(configSchema.parse({}), { ...HEALTHY, ...given });
  expect([saw(bare), saw(dark), saw(versions(undefined, { unanswered, loaded: '580.159.04' }))]).toEqual([
    { is: 'seen', text: 'no NVIDIA driver' },
    { is: 'seen', text: 'nothing known (modinfo nvidia: exit code 127) on disk, none loaded, with nvidia-gridd' },
    { is: 'seen', text: 'nothing known (modinfo nvidia: exit code 127) on disk, 580.159.04 loaded, with nvidia-gridd' },
  ]);
});

test('a driver that lies on disk and is not loaded shows what the kernel said', () => {
  const gpus = [{ ...HEALTHY.gpus[0]!, driver: undefined }];
  const facts = {
    gpus,
    ...versions('570.211.01', { loaded: undefined }),
    ...NO_SMI,
    ...kernelLog('nvidia: Key was rejected by service'),
  };
  const found = find('driver-not-loaded', facts);
  expect(found).toMatchObject({ severity: 'error', remedy: expect.stringContaining('mokutil --sb-state') });
  expect(found?.evidence).toContainEqual({ at: 'journalctl -b -k', shows: 'nvidia: Key was rejected by service' });
  expect(find('driver-not-loaded', { ...facts, gpus: [{ ...gpus[0]!, driver: 'nouveau' }] })).toBeUndefined();
});

describe('the driver in memory and on disk', () => {
  test('differ after an upgrade without a reboot', () => {
    const log = [
      'NVRM: API mismatch: the client has the version 570.211.01, but',
      'NVRM: this kernel module has the version 550.90.07.  Please',
    ];
    const found = find('driver-versions-differ', {
      ...versions('570.211.01', { loaded: '550.90.07' }),
      ...MISMATCH,
      ...kernelLog(...log),
      ...griddLog('Failed to initialise RM client'),
    });
    expect(found).toMatchObject({
      severity: 'error',
      summary: 'the driver in memory is 550.90.07, and on disk there is 570.211.01',
      remedy: expect.stringContaining('dracut --force /boot/initrd-6.4.0-default 6.4.0-default'),
    });
    const shown = found?.evidence.map(({ shows }) => shows).join('\n');
    expect(shown).toContain('Failed to initialise RM client');
    expect(shown).toContain(log[1]);
  });

  test('are one and the same on a guest in order', () => {
    expect(find('driver-versions-differ', {})).toBeUndefined();
    expect(find('driver-versions-differ', { driver: { ...HEALTHY.driver, installed: undefined } })).toBeUndefined();
  });

  test('of another package that was installed over it is a warning as long as nvidia-smi answers', () => {
    expect(find('driver-versions-differ', versions('570.211.01', { installed: '535.129.03' }))?.severity).toBe(
      'warning',
    );
  });

  test('do not fit the programs when the daemon says so, whatever the numbers are', () => {
    expect(find('driver-versions-differ', griddLog('Failed to initialise RM client'))).toMatchObject({
      severity: 'error',
    });
  });

  test('is a line of the daemon that a later license has taken back', () => {
    const log = griddLog('Failed to initialise RM client', 'License acquired successfully. (Info: dls, X)');
    expect(find('driver-versions-differ', log)).toBeUndefined();
  });
});
