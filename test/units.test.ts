import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { configSchema } from '../src/config/schema.ts';

const UNITS = join(import.meta.dirname, '../units');
const names = readdirSync(UNITS);
const services = names.filter(name => name.endsWith('.service'));
const textOf = (name: string) => readFileSync(join(UNITS, name), 'utf8');
const canAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;

/** The units of a machine that has the programs: systemd-analyze says it where it has not. */
const folder = mkdtempSync(join(tmpdir(), 'vgpu-guest-units-'));
for (const name of names)
  writeFileSync(join(folder, name), textOf(name).replaceAll(/\/usr\/bin\/(vgpu-guest|x11vnc)/g, '/bin/true'));
afterAll(() => rmSync(folder, { recursive: true }));

test.each(services)('%s says where programs are, and when it is too late', name => {
  expect(textOf(name)).toMatch(/^Environment=PATH=\/usr\/local\/sbin:/m);
  expect(textOf(name)).toMatch(/^TimeoutStartSec=\d/m);
});

test.each(services.filter(name => textOf(name).includes('/usr/bin/vgpu-guest')))('%s leaves no core file', name => {
  expect(textOf(name)).toMatch(/^LimitCORE=0$/m);
});

test('a boot unit waits for the network and the clock, and X waits for it', () => {
  for (const name of ['vgpu-guest-resume.service', 'vgpu-guest-first-boot.service']) {
    expect(textOf(name)).toMatch(/^After=network-online\.target .*time-sync\.target/m);
    expect(textOf(name)).toMatch(/^Before=display-manager\.service$/m);
  }
});

test.each([
  ['vgpu-guest-resume.service', configSchema.parse({}).runTimeoutMs, 2 * 60],
  ['vgpu-guest-first-boot.service', configSchema.parse({}).runTimeoutMs, 2 * 60],
  ['vgpu-guest-screen.service', 4 * 60_000, 5],
])('a run that hangs ends by itself before %s would end it', (name, runTimeoutMs, limitMinutes) => {
  const text = textOf(name);
  const [, own] = /^Environment=VGPU_GUEST_RUN_TIMEOUT=(\d+)m$/m.exec(text) ?? [];
  expect(own === undefined ? configSchema.parse({}).runTimeoutMs : Number(own) * 60_000).toBe(runTimeoutMs);
  expect(text).toMatch(
    new RegExp(`^TimeoutStartSec=${limitMinutes >= 60 ? `${limitMinutes / 60}h` : `${limitMinutes}min`}$`, 'm'),
  );
  // what was begun is put back in that time
  expect(limitMinutes * 60_000 - runTimeoutMs).toBeGreaterThanOrEqual(60_000);
});

test('what starts apply closes no door that apply goes through', () => {
  for (const name of ['vgpu-guest-resume.service', 'vgpu-guest-first-boot.service', 'vgpu-guest-screen.service']) {
    const shut =
      /^(?:ProtectSystem|ProtectHome|ProtectKernelModules|ProtectKernelTunables|ProtectClock|PrivateTmp|PrivateDevices|PrivateMounts|PrivateNetwork|MemoryDenyWriteExecute|DevicePolicy)=/m;
    expect(textOf(name)).not.toMatch(shut);
  }
});

test('a thousand guests do not look at the same moment', () => {
  expect(textOf('vgpu-guest-license.timer')).toMatch(/^RandomizedDelaySec=\d/m);
});

describe.skipIf(!canAnalyze)('systemd', () => {
  test.each(names)('has nothing to say about %s', name => {
    const ran = spawnSync('systemd-analyze', ['verify', '--man=no', join(folder, name)], { encoding: 'utf8' });
    // what this machine's own units lack is none of ours
    expect(ran.stderr.split('\n').filter(line => line.includes('vgpu-guest'))).toEqual([]);
  });

  test.each([
    ['vgpu-guest-license.service', 20],
    ['vgpu-guest-resume.service', 80],
    ['vgpu-guest-first-boot.service', 80],
    ['vgpu-guest-screen.service', 70],
  ])('finds %s exposed by %i tenths of ten at most', (name, threshold) => {
    const argv = ['security', '--offline=true', `--threshold=${threshold}`, join(folder, name)];
    expect(() => execFileSync('systemd-analyze', argv, { stdio: 'pipe' })).not.toThrow();
  });
});
