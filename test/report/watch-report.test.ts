import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import type { Watched } from '../../src/engine/license/license-watch.ts';
import { watchJson, watchMetrics, watchText } from '../../src/report/watch-report.ts';

const watched: Watched = {
  license: { state: 'licensed', product: 'NVIDIA RTX Virtual Workstation', expiresAt: '2026-07-07T16:01:44Z' },
  driverVersion: '570.211.01',
  required: true,
  action: 'none',
  because: 'the guest is licensed: NVIDIA RTX Virtual Workstation until 2026-07-07T16:01:44Z',
  memory: { restarts: 3, attempts: 0, lastRestartUs: 1_783_000_000_000_000, lastSuccessUs: 1_783_439_990_400_000 },
  nowUs: 1_783_440_000_000_000,
};
const never: Watched = {
  ...watched,
  license: { state: 'unknown' },
  driverVersion: undefined,
  memory: { restarts: 0, attempts: 0 },
};
const hostile: Watched = { ...watched, license: { state: 'grace', product: 'a "b" \\ c\nd' } };

test('the metrics tell state, need, end, age, restarts and what it is about', () => {
  const samples = watchMetrics(watched, '0.1.0')
    .split('\n')
    .filter(line => !line.startsWith('#'));
  expect(samples).toEqual([
    'vgpu_guest_license_state{state="licensed"} 1',
    'vgpu_guest_license_state{state="grace"} 0',
    'vgpu_guest_license_state{state="restricted"} 0',
    'vgpu_guest_license_state{state="unlicensed"} 0',
    'vgpu_guest_license_state{state="not-required"} 0',
    'vgpu_guest_license_state{state="unknown"} 0',
    'vgpu_guest_license_required 1',
    'vgpu_guest_license_expiry_timestamp_seconds 1783440104',
    'vgpu_guest_license_success_age_seconds 10',
    'vgpu_guest_license_look_timestamp_seconds 1783440000',
    'vgpu_guest_gridd_restarts_total 3',
    'vgpu_guest_info{product="NVIDIA RTX Virtual Workstation",driver="570.211.01",version="0.1.0"} 1',
    '',
  ]);
});

test('what is not known has no sample, and nothing breaks out of a label', () => {
  expect(watchMetrics(never, '1')).not.toMatch(/expiry|age/);
  expect(watchMetrics(hostile, '1')).toContain('{product="a \\"b\\" \\\\ c\\nd",driver="570.211.01",version="1"} 1\n');
});

const promtool = spawnSync('promtool', ['--version']).error === undefined;

test.skipIf(!promtool).each([
  ['licensed', watched],
  ['never looked at before', never],
  ['of a hostile name', hostile],
])('promtool has nothing to say against the metrics of a guest that is %s (not run without promtool)', (_, given) => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: watchMetrics(given, '0.1.0'),
    encoding: 'utf8',
  });
  expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: '' });
});

test('JSON has times as RFC 3339', () => {
  expect(watchJson(watched)).toEqual({
    schema: 'vgpu-guest/license-watch/1',
    license: watched.license,
    required: true,
    action: 'none',
    because: watched.because,
    restarts: 3,
    lastRestartAt: '2026-07-02T13:46:40Z',
    lastSuccessAt: '2026-07-07T15:59:50Z',
  });
});

test('the line for a person says what was done', () => {
  expect(watchText({ ...watched, action: 'restarted', because: 'nvidia-gridd does not run' })).toBe(
    'nvidia-gridd was restarted: nvidia-gridd does not run',
  );
  expect(watchText({ ...watched, action: 'wait', because: 'x' })).toBe('nothing is done yet: x');
});
