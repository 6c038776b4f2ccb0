import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

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

test('a boot unit waits for the network and the clock, and X waits for it', () => {
  for (const name of ['vgpu-guest-resume.service', 'vgpu-guest-first-boot.service']) {
    expect(textOf(name)).toMatch(/^After=network-online\.target .*time-sync\.target/m);
    expect(textOf(name)).toMatch(/^Before=display-manager\.service$/m);
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

  test('finds the watch service exposed by 2.0 of 10 at most', () => {
    const argv = ['security', '--offline=true', '--threshold=20', join(folder, 'vgpu-guest-license.service')];
    expect(() => execFileSync('systemd-analyze', argv, { stdio: 'pipe' })).not.toThrow();
  });
});
