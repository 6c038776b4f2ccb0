import { describe, expect, test } from 'vitest';
import type { Facts } from '../../src/facts/facts.ts';
import {
  brief,
  conf,
  diagnose,
  find,
  griddLog,
  HEALTHY,
  NOW_US,
  smi,
  tokenFile,
  tokenFiles,
  unit,
} from '../helpers/doctor.ts';

const UNLICENSED = smi('Unlicensed (Unrestricted)');
const DEAD = { active: 'inactive', mainPid: undefined, startedUs: undefined } as const;
const around = (given: Partial<typeof HEALTHY.surroundings>) => ({
  surroundings: { ...HEALTHY.surroundings, ...given },
});

describe('a unit', () => {
  test('that is masked cannot start', () => {
    expect(find('daemon-masked', unit({ load: 'masked', ...DEAD }))).toMatchObject({
      severity: 'error',
      remedy: expect.stringContaining('systemctl unmask'),
    });
  });

  test('that is disabled is a warning', () => {
    expect(find('daemon-not-enabled', unit({ enabled: 'disabled' }))).toMatchObject({
      severity: 'warning',
      evidence: [{ shows: expect.stringContaining('UnitFileState=disabled') }],
    });
    expect(find('daemon-not-enabled', unit({ enabled: 'static' }))).toBeUndefined();
  });

  test('whose daemon has died says how', () => {
    const died = unit({ ...DEAD, active: 'failed', result: 'exit-code', exitCode: 127 });
    expect(find('daemon-dead', { ...UNLICENSED, ...died })).toMatchObject({
      severity: 'error',
      summary: 'nvidia-gridd has ended with exit code 127 (exit-code)',
      remedy: expect.stringContaining('systemctl reset-failed nvidia-gridd'),
    });
  });

  test('whose daemon was killed is told so by the name of the signal, and that its license is not renewed', () => {
    const died = unit({ ...DEAD, active: 'failed', result: 'signal', exitCode: undefined, signal: 9 });
    expect(find('daemon-dead', { ...died, ...smi('Licensed (Expiry: 2026-11-22 10:00:00 GMT)') })).toMatchObject({
      severity: 'error',
      summary: 'nvidia-gridd was ended by SIGKILL (signal), so that nobody renews the license that the GPU still has',
      evidence: expect.arrayContaining([
        expect.objectContaining({ shows: expect.stringContaining('ExecMainStatus=9 (SIGKILL)') }),
      ]),
    });
    // unless nobody has to
    expect(find('daemon-dead', { ...died, ...smi('Licensed (Expiry: Permanent)') })).toMatchObject({
      severity: 'warning',
    });
  });

  test('whose daemon nobody has started is started by apply', () => {
    expect(find('daemon-dead', { ...UNLICENSED, ...unit(DEAD) })?.remedy).toContain('vgpu-guest apply starts it');
    expect(find('daemon-dead', {})).toBeUndefined();
  });
});

describe('/var/lib/nvidia', () => {
  test.each([
    ['is not there', { stateFolder: undefined }, { at: '/var/lib/nvidia', shows: 'not there' }],
    [
      'is no directory',
      { stateFolder: { ...HEALTHY.surroundings.stateFolder!, kind: 'file' as const } },
      { at: '/var/lib/nvidia', shows: 'no directory' },
    ],
    [
      'cannot be written',
      { readOnlyMount: '/dev/vdb /var ext4 ro 0 0' },
      { at: '/proc/self/mounts', shows: '/dev/vdb /var ext4 ro 0 0' },
    ],
  ])('that %s costs the license', (_, given, shown) => {
    const found = find('state-folder', { ...UNLICENSED, ...around(given), ...unit({ ...DEAD, active: 'failed' }) });
    expect(found).toMatchObject({ severity: 'error', cause: expect.stringContaining('may end') });
    expect(found?.evidence[0]).toEqual(shown);
  });

  test('has no room left', () => {
    expect(find('state-folder', { ...UNLICENSED, ...around({ freeBytes: 0 }), ...unit(DEAD) })?.summary).toMatch(
      /^the file system of \/var\/lib\/nvidia has no room left/,
    );
  });

  test('cannot be written, says the daemon itself', () => {
    const said = griddLog('Failed to update local trusted store - No space left on device');
    expect(find('state-folder', { ...UNLICENSED, ...said })).toMatchObject({
      severity: 'error',
      cause: expect.stringContaining('as far as it can be seen'),
      evidence: [{ at: 'journalctl -b -t nvidia-gridd' }, {}],
    });
    expect(brief(diagnose({ ...UNLICENSED, ...said }))).not.toContain('error license-refused');
  });

  test('is a warning while the daemon runs', () => {
    expect(find('state-folder', around({ stateFolder: undefined }))?.severity).toBe('warning');
  });
});

test('a daemon that is older than its gridd.conf has not read it', () => {
  const changed = { gridd: { ...HEALTHY.gridd, conf: { text: '', changedUs: NOW_US - 1e6 } } };
  expect(find('daemon-outdated', changed)).toMatchObject({
    severity: 'warning',
    remedy: 'vgpu-guest apply restarts it',
  });
  expect(
    find('daemon-outdated', { gridd: { ...HEALTHY.gridd, conf: { text: '', changedUs: NOW_US + 1e9 } } }),
  ).toBeUndefined();
});

test('a daemon that is older than its token speaks of another one, until it has taken the present one', () => {
  const changed = tokenFiles(tokenFile(undefined, { changedUs: NOW_US - 1e6 }));
  const log = griddLog('Failed to acquire license from dls (Info: X - Error: No pool features found for : X)');
  const earlier = log.griddLog.is === 'read' ? log.griddLog.said : [];
  const before = { griddLog: { ...log.griddLog, said: [], earlier } } as Pick<Facts, 'griddLog'>;
  expect(find('daemon-outdated', { ...UNLICENSED, ...changed, ...before })).toMatchObject({
    severity: 'error',
    summary: expect.stringContaining('/etc/nvidia/ClientConfigToken'),
    evidence: expect.arrayContaining([
      { at: 'journalctl -b -t nvidia-gridd', shows: expect.stringMatching(/^earlier, \S+Z Failed to acquire/) },
    ]),
  });
  expect(find('product-not-on-server', { ...UNLICENSED, ...changed, ...before })).toBeUndefined();
  expect(find('daemon-silent', { ...UNLICENSED, ...changed, ...before })).toBeUndefined();
  expect(find('daemon-outdated', { ...UNLICENSED, ...changed, ...griddLog('NLS initialized') })).toBeUndefined();
});

describe('a daemon that says nothing', () => {
  test('may be lost in a cloud that is none', () => {
    expect(find('daemon-silent', { ...UNLICENSED, ...griddLog() })).toMatchObject({
      severity: 'warning',
      remedy: expect.stringContaining('IgnoreSP'),
    });
  });

  test.each([
    ['has a license', griddLog()],
    ['has just begun', { ...UNLICENSED, ...griddLog(), ...unit({ startedUs: NOW_US - 10e6 }) }],
    ['has no log that anybody can read', { ...UNLICENSED, griddLog: { is: 'unknown' as const, because: 'x' } }],
    ['has said something', { ...UNLICENSED, ...griddLog('NLS initialized') }],
  ])('is not one that %s', (_, facts) => {
    expect(find('daemon-silent', facts)).toBeUndefined();
  });
});

test('without its D-Bus policy the daemon cannot be asked, which is good to know', () => {
  expect(find('dbus-policy-missing', around({ dbusPolicy: undefined }))?.severity).toBe('info');
});

describe("Azure's own license", () => {
  const azure = {
    evidence: { at: '/sys/class/dmi/id/chassis_asset_tag', shows: '7783' },
    keyValueDaemon: [{ unit: 'hv-kvp-daemon.service', active: 'active' }],
  };
  const guest = { ...UNLICENSED, ...tokenFiles(), ...around({ azure }) };

  test('is not asked for by FeatureType=0 and without IgnoreSP=FALSE', () => {
    const found = find('azure-license', { ...guest, ...conf('FeatureType=0') }, {});
    expect(found).toMatchObject({
      severity: 'error',
      cause: expect.stringContaining('IgnoreSP=FALSE and no FeatureType=0'),
    });
    expect(found?.evidence).toContainEqual({ at: '/etc/nvidia/gridd.conf', shows: 'FeatureType=0' });
  });

  test('needs the key-value daemon', () => {
    const dead = around({
      azure: { ...azure, keyValueDaemon: [{ unit: 'hv-kvp-daemon.service', active: 'inactive' }] },
    });
    const found = find('azure-license', { ...guest, ...dead, ...conf('IgnoreSP=FALSE') }, {});
    expect(found?.remedy).toContain('systemctl enable --now hv-kvp-daemon.service');
    expect(found?.evidence).toContainEqual({
      at: 'systemctl show hv-kvp-daemon.service',
      shows: 'ActiveState=inactive',
    });
  });

  test.each([
    ['all is in place', { ...guest, ...conf('IgnoreSP=FALSE') }],
    ['this is not Azure', { ...guest, ...around({}), ...conf('FeatureType=0') }],
    ['there is a token', { ...UNLICENSED, ...around({ azure }) }],
  ])('is no matter where %s', (_, facts) => {
    expect(find('azure-license', facts, {})).toBeUndefined();
  });
});

test('a daemon that ended for a reason of its own is explained by the reason first', () => {
  const log = griddLog(
    'Licensing not supported for GPUs in the system',
    'Failed to handle license change events',
    'Shutdown (812)',
  );
  const findings = diagnose({ ...UNLICENSED, ...log, ...unit(DEAD) });
  expect(brief(findings)[0]).toBe('error gpu-not-licensable');
});
