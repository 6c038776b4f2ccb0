import { describe, expect, it } from 'vitest';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import { judgeWatch, pauseUs, type WatchMemory } from '../../../src/engine/license/license-watch.ts';
import type { Facts } from '../../../src/facts/facts.ts';
import type { SmiFact, SmiLicense } from '../../../src/facts/gpu/smi.ts';
import type { GriddUnit } from '../../../src/facts/license/gridd.ts';

const MINUTE_US = 60_000_000;
const NOW_US = 1_800_000_000_000_000;
const RUNNING: GriddUnit = {
  load: 'loaded',
  active: 'active',
  enabled: 'enabled',
  result: 'success',
  exitCode: 0,
  mainPid: 812,
  startedUs: NOW_US - 60 * MINUTE_US,
  lastStartedUs: NOW_US - 60 * MINUTE_US,
};
const DEAD: Partial<GriddUnit> = { active: 'failed', exitCode: 1, mainPid: undefined, startedUs: undefined };

interface Given {
  readonly state?: SmiLicense['state'];
  readonly mode?: 'vgpu' | 'pass-through';
  readonly unit?: Partial<GriddUnit>;
  readonly binary?: boolean;
  readonly smi?: SmiFact;
  readonly memory?: Partial<WatchMemory>;
  readonly required?: boolean;
  readonly settings?: Settings;
}

function judge({
  state = 'unlicensed',
  mode = 'vgpu',
  unit,
  binary = true,
  smi,
  memory,
  required = true,
  settings,
}: Given) {
  const license: SmiLicense = { state, product: 'NVIDIA RTX Virtual Workstation', expiresAt: undefined, raw: state };
  const gpu = { address: '0000:00:06.0', name: 'NVIDIA A40-2Q', uuid: 'GPU-1', mode, license };
  const facts = {
    smi: smi ?? { answers: true, driverVersion: '570.211.01', gpus: [gpu] },
    gpus: [{ mode }],
    gridd: { binary, unit: { ...RUNNING, ...unit } },
    system: { nowUs: NOW_US },
  } as unknown as Facts;
  const config = configSchema.parse(settings ?? { license: { token: '/opt/a.tok' } });
  return judgeWatch(config, facts, required, { restarts: 0, attempts: 0, ...memory });
}

describe('nvidia-gridd is restarted', () => {
  it.each<[string, Given, string]>([
    ['when it has died', { unit: DEAD }, 'nvidia-gridd does not run'],
    [
      'when it was stopped, and starts at boot',
      { unit: { ...DEAD, active: 'inactive', exitCode: 0 } },
      'nvidia-gridd does not run',
    ],
    [
      'when it has died and the license still lasts',
      { unit: DEAD, state: 'licensed' },
      'nvidia-gridd does not run, and nobody renews the license',
    ],
    ['when the license is lost', { state: 'unlicensed' }, 'nvidia-gridd runs, and the guest is unlicensed'],
    [
      'when the guest is in its grace period',
      { state: 'grace' },
      'nvidia-gridd runs, and the guest is unlicensed, in its grace period',
    ],
    [
      'when the GPU is slowed down',
      { state: 'restricted' },
      'nvidia-gridd runs, and the guest is unlicensed, and slowed down',
    ],
    [
      'again when the last restart was long enough ago',
      { memory: { attempts: 1, lastRestartUs: NOW_US - 5 * MINUTE_US } },
      'nvidia-gridd runs, and the guest is unlicensed',
    ],
    [
      'when the last restart is in the future of a clock that was set back',
      { memory: { attempts: 9, lastRestartUs: NOW_US + 1 } },
      'nvidia-gridd runs, and the guest is unlicensed',
    ],
  ])('%s', (_title, given, because) => {
    expect(judge(given)).toEqual({ action: 'restart', because });
  });
});

describe('nvidia-gridd is left alone', () => {
  it.each<[string, Given, RegExp]>([
    ['when the guest is licensed', { state: 'licensed' }, /^the guest is licensed/],
    ['when no license is needed', { required: false }, /needs no license/],
    ['when the GPU needs none', { state: 'not-required', settings: {}, mode: 'pass-through' }, /needs no license/],
    [
      'when the driver does not answer',
      { smi: { answers: false, problem: 'nvidia-smi says: no', code: 9 }, unit: DEAD },
      /the driver does not answer.*nvidia-smi says: no/,
    ],
    ['when nobody knows the state', { state: 'unknown' }, /does not say/],
    ['when it is not installed', { binary: false, unit: DEAD }, /no nvidia-gridd to start \(no program\)/],
    ['when its unit is masked', { unit: { ...DEAD, load: 'masked' } }, /no nvidia-gridd to start \(masked\)/],
    ['when somebody has stopped and disabled it', { unit: { ...DEAD, enabled: 'disabled' } }, /stopped and disabled/],
  ])('%s', (_title, given, because) => {
    expect(judge(given)).toEqual({ action: 'none', because: expect.stringMatching(because) });
  });

  it.each<[string, Given, RegExp]>([
    ['while it may still get its license', { unit: { startedUs: NOW_US - 4 * MINUTE_US } }, /may still get a license/],
    [
      'while the last restart is too near',
      { memory: { attempts: 1, lastRestartUs: NOW_US - 4 * MINUTE_US } },
      /it was restarted once in vain, and next on 2027-01-15T08:01:00Z/,
    ],
    [
      'when it is dead and the last restart is too near',
      { unit: DEAD, memory: { attempts: 3, lastRestartUs: NOW_US - 19 * MINUTE_US } },
      /restarted 3 times in vain/,
    ],
  ])('%s', (_title, given, because) => {
    expect(judge(given)).toEqual({ action: 'wait', because: expect.stringMatching(because) });
  });
});

it('pauses grow from 5 minutes to 6 hours', () => {
  const minutes = [0, 1, 2, 3, 6, 7, 8, 1000].map(attempts => pauseUs({ restarts: 0, attempts }) / MINUTE_US);
  expect(minutes).toEqual([0, 5, 10, 20, 160, 320, 360, 360]);
});
