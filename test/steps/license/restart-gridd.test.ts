import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../src/change.ts';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import type { Facts } from '../../../src/facts/facts.ts';
import type { GriddFact, GriddUnit } from '../../../src/facts/license/gridd.ts';
import { restartGridd } from '../../../src/steps/license/restart-gridd.ts';

const STARTED_US = 1_800_000_000_000_000;
const NOW_US = STARTED_US + 60_000_000;
const TOKEN: Settings = { license: { token: '/opt/a.tok' } };

const RUNNING: GriddUnit = {
  load: 'loaded',
  active: 'active',
  enabled: 'enabled',
  result: 'success',
  exitCode: 0,
  mainPid: 812,
  startedUs: STARTED_US,
  lastStartedUs: STARTED_US,
};
const STOPPED: Partial<GriddUnit> = { active: 'inactive', mainPid: undefined, startedUs: undefined };
const NOT_FOUND: Partial<GriddUnit> = { ...STOPPED, load: 'not-found', enabled: '', lastStartedUs: undefined };

interface Given {
  readonly unit?: Partial<GriddUnit>;
  readonly gridd?: Partial<GriddFact>;
  readonly tokenChangedUs?: number;
  readonly directoryChangedUs?: number;
  /** Of the token that is asked for. */
  readonly tokenSha256?: string;
  readonly mode?: 'vgpu' | 'pass-through';
  readonly version?: string | undefined;
  readonly ahead?: readonly string[];
}

function judge(settings: Settings, given: Given = {}): Verdict {
  const { mode = 'vgpu', tokenChangedUs = STARTED_US - 1, ahead = [] } = given;
  const version = 'version' in given ? given.version : '570.211.01';
  const facts = {
    gridd: {
      binary: true,
      binaryChangedUs: STARTED_US - 3,
      conf: { text: '', changedUs: STARTED_US - 2 },
      template: undefined,
      ...given.gridd,
      unit: { ...RUNNING, ...given.unit },
    },
    token: {
      directoryChangedUs: given.directoryChangedUs ?? STARTED_US - 1,
      source: { is: 'usable', path: '/opt/a.tok', sha256: given.tokenSha256 ?? 'same', claims: {} },
      directory: [
        { name: 'stray', kind: 'other', mode: 0, changedUs: 0, sha256: undefined },
        { name: 'a.tok', kind: 'file', mode: 0o744, changedUs: tokenChangedUs, sha256: 'same' },
      ],
    },
    driver: { installed: version, onDisk: version, loaded: version, dkms: undefined },
    smi: { answers: false, problem: 'there is no nvidia-smi', code: 127 },
    gpus: [{ address: '0000:00:06.0', device: '2235', kind: '3d', driver: 'nvidia', mode }],
    system: { nowUs: NOW_US },
  } as unknown as Facts;
  return restartGridd.judge(configSchema.parse(settings), facts, new Set(ahead));
}

/** `restart: why` for each deed. */
function deeds(verdict: Verdict): readonly string[] {
  return verdict.is === 'due'
    ? verdict.changes.map(change => `${change.kind === 'service' ? change.action : change.kind}: ${change.because}`)
    : [verdict.is];
}

describe('nvidia-gridd', () => {
  it.each<[string, Given, readonly string[]]>([
    ['runs with the present configuration', {}, ['settled']],
    ['does not run', { unit: STOPPED }, ['restart: nvidia-gridd does not run']],
    [
      'has died',
      { unit: { ...STOPPED, active: 'failed', result: 'exit-code', exitCode: 1 } },
      ['restart: nvidia-gridd does not run: it has ended with exit code 1 (exit-code)'],
    ],
    ['is being started', { unit: { active: 'activating' } }, ['settled']],
    [
      'has not read gridd.conf',
      { gridd: { conf: { text: '', changedUs: STARTED_US + 1 } } },
      ['restart: gridd.conf is newer than the running daemon'],
    ],
    ['has read what is as old as itself', { gridd: { conf: { text: '', changedUs: STARTED_US } } }, ['settled']],
    ['needs no gridd.conf', { gridd: { conf: undefined } }, ['settled']],
    [
      'has not read the token',
      { tokenChangedUs: STARTED_US + 1 },
      ['restart: a.tok in the token directory is newer than the running daemon'],
    ],
    [
      'was upgraded under way',
      { gridd: { binaryChangedUs: STARTED_US + 1 } },
      ['restart: the program nvidia-gridd is newer than the running daemon'],
    ],
    [
      'cannot be compared with a file from the future',
      { gridd: { conf: { text: '', changedUs: NOW_US + 1 } }, tokenChangedUs: NOW_US + 1 },
      ['settled'],
    ],
    [
      'was started before the clock was set back',
      { unit: { startedUs: NOW_US + 1 } },
      ['restart: nvidia-gridd was started in the future of the clock, so that no file can be compared with it'],
    ],
    ['was started nobody knows when', { unit: { startedUs: undefined } }, ['settled']],
    ['does not start at boot', { unit: { enabled: 'disabled' } }, ['enable: nvidia-gridd does not start at boot']],
    [
      'does not start at all',
      { unit: { ...STOPPED, enabled: 'disabled' } },
      ['enable: nvidia-gridd does not start at boot', 'restart: nvidia-gridd does not run'],
    ],
    ['will get another gridd.conf', { ahead: ['configure-gridd'] }, ['restart: gridd.conf is about to change']],
    [
      'will get another token',
      { ahead: ['place-token'], tokenSha256: 'other' },
      ['restart: the token directory is about to change'],
    ],
    [
      'has lost a file beside the token',
      { directoryChangedUs: STARTED_US + 1 },
      ['restart: the token directory has changed since nvidia-gridd started'],
    ],
    [
      'comes with the driver',
      { unit: NOT_FOUND, gridd: { binary: false }, ahead: ['install-driver'] },
      ['restart: the driver, which brings nvidia-gridd, is about to be installed or loaded'],
    ],
    ['starts again with a newer driver', { ahead: ['install-driver'] }, ['settled']],
  ])('that %s', (_title, given, expected) => {
    expect(deeds(judge(TOKEN, given))).toEqual(expected);
  });
});

describe('a guest for which a license is asked', () => {
  it.each<[string, Given, RegExp, RegExp]>([
    [
      'with a masked unit',
      { unit: { ...STOPPED, load: 'masked' } },
      /is masked/,
      /^systemctl unmask nvidia-gridd\.service$/,
    ],
    [
      'with a data-center driver',
      { unit: NOT_FOUND, gridd: { binary: false } },
      /^the driver 570\.211\.01 brings no \/usr\/bin\/nvidia-gridd/,
      /-grid\.run.*without --utility-prefix/,
    ],
    [
      'whose installer left the unit out',
      { unit: NOT_FOUND },
      /^the driver 570\.211\.01 brings no nvidia-gridd\.service that systemd can load \(not-found\)/,
      /without --utility-prefix/,
    ],
    [
      'without a driver',
      { unit: NOT_FOUND, gridd: { binary: false }, version: undefined },
      /no NVIDIA driver is installed/,
      /driver\.package/,
    ],
    [
      'without systemd',
      { unit: { ...NOT_FOUND, load: 'unknown', active: 'unknown' } },
      /systemd does not answer/,
      /booted/,
    ],
  ])('%s is blocked', (_title, given, because, remedy) => {
    expect(judge(TOKEN, given)).toEqual({
      is: 'blocked',
      because: expect.stringMatching(because),
      remedy: expect.stringMatching(remedy),
    });
  });
});

it('whose driver is asked for, and did not come, is sent to the step that says why', () => {
  const settings = { ...TOKEN, driver: { package: '/opt/NVIDIA-Linux-x86_64-570.211.01-grid.run' } };
  const given = { unit: NOT_FOUND, gridd: { binary: false }, version: undefined };
  expect(judge(settings, given)).toMatchObject({
    is: 'blocked',
    remedy: 'do what install-driver says; where --only or --skip leaves that step out, run vgpu-guest apply with it',
  });
});

it('without systemd is blocked before a driver is installed that would find no place for its unit', () => {
  const given = { unit: { ...NOT_FOUND, load: 'unknown', active: 'unknown' }, gridd: { binary: false } };
  expect(judge(TOKEN, { ...given, ahead: ['install-driver'] })).toMatchObject({
    is: 'blocked',
    because: expect.stringMatching(/systemd does not answer/),
  });
});

describe('a guest for which no license is asked', () => {
  it.each<[string, Given, readonly string[]]>([
    ['needs no daemon', { unit: NOT_FOUND, gridd: { binary: false }, mode: 'pass-through' }, ['settled']],
    [
      'needs no daemon on a vGPU either when its driver has none',
      { unit: NOT_FOUND, gridd: { binary: false } },
      ['settled'],
    ],
    ['may have the daemon stopped', { unit: { ...STOPPED, enabled: 'disabled' }, mode: 'pass-through' }, ['settled']],
    ['may have the daemon masked', { unit: { ...STOPPED, load: 'masked' }, mode: 'pass-through' }, ['settled']],
    [
      'has a running daemon read its file all the same',
      { gridd: { conf: { text: '', changedUs: STARTED_US + 1 } }, mode: 'pass-through' },
      ['restart: gridd.conf is newer than the running daemon'],
    ],
    [
      'has its daemon run for a vGPU, whose license the cloud may bring',
      { unit: STOPPED },
      ['restart: nvidia-gridd does not run'],
    ],
    ['has its token directory left out of account', { tokenChangedUs: STARTED_US + 1 }, ['settled']],
    [
      'gets no daemon with the driver on pass-through',
      { unit: NOT_FOUND, mode: 'pass-through', ahead: ['install-driver'] },
      ['settled'],
    ],
  ])('%s', (_title, given, expected) => {
    expect(deeds(judge({}, given))).toEqual(expected);
  });
});

it('a guest with a legacy license server lets its daemon know that a token has left the directory', () => {
  const server: Settings = { license: { server: { address: '10.5.8.208' } } };
  expect(deeds(judge(server, { directoryChangedUs: STARTED_US + 1 }))).toEqual([
    'restart: the token directory has changed since nvidia-gridd started',
  ]);
  expect(deeds(judge(server))).toEqual(['settled']);
});
