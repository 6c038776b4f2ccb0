import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { blocked, type Change, due, settled } from '../../src/change.ts';
import { loadConfig } from '../../src/config/load.ts';
import { apply, type Watcher } from '../../src/engine/apply.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { defineStep, type Step } from '../../src/steps/step.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../helpers/temporary.ts';

const config = loadConfig({ path: 'none', text: 'lockTimeout: 0s\n' }, []);
const silent: Watcher = { stepBegins() {}, deedBegins() {}, stepEnds() {}, info() {}, warn() {}, progress() {} };
const BLACKLIST = '/etc/modprobe.d/blacklist-nouveau.conf';
const UNIT = 'etc/systemd/system/vgpu-guest-resume.service';
const WANTED = 'etc/systemd/system/multi-user.target.wants/vgpu-guest-resume.service';
const MARKER = 'var/lib/vgpu-guest/resume.json';

function guestInFolder() {
  const root = temporaryFolder();
  writeFiles(root, { 'etc/os-release': 'ID=debian\n' });
  writeProgram(root, 'flock', 'exec /usr/bin/flock "$@"');
  setBoot(root, 'boot-1');
  // enables and disables by the links that systemctl makes
  writeProgram(
    root,
    'systemctl',
    `wants="$GUEST_ROOT/etc/systemd/system/multi-user.target.wants"; echo "$@" >> "$GUEST_ROOT/systemctl.log"
case $1 in enable) mkdir -p "$wants"; ln -sf "/etc/systemd/system/$2" "$wants/$2";; disable) rm -f "$wants/$2";; esac`,
  );
  return root;
}

function setBoot(root: string, bootId: string): void {
  writeFiles(root, { 'proc/sys/kernel/random/boot_id': `${bootId}\n` });
}

function run(root: string, ...steps: readonly Step[]) {
  return apply({
    guest: openGuest({ root, env: {} }),
    config,
    steps,
    watcher: silent,
    stop: new AbortController().signal,
    resume: { settings: { reboot: 'never' }, only: [], skip: [], unitText: '[Unit]\n' },
  });
}

const write: Change = {
  kind: 'write',
  path: BLACKLIST,
  text: 'blacklist nouveau\n',
  because: 'nothing keeps nouveau away',
};

/** Due until nouveau is blacklisted. */
const step = (id: string, first: Change, ...rest: readonly Change[]) =>
  defineStep({
    id,
    title: id,
    reads: ['blacklist'],
    judge: (_, { blacklist }) =>
      blacklist.holders.has('nouveau') ? settled('nouveau is blacklisted') : due(first, ...rest),
  }) as Step;
const always = (id: string, change: Change) =>
  defineStep({ id, title: id, reads: [], judge: () => due(change) }) as Step;
const blockedStep = defineStep({
  id: 'no',
  title: 'no',
  reads: [],
  judge: () => blocked('the disk is full', 'make room'),
}) as Step;
const rebootStep = always('leave', { kind: 'reboot', because: 'the GPU is bound to nouveau' });
const outcomes = async (report: ReturnType<typeof run>) =>
  (await report).steps.map(({ id, outcome }) => `${id} ${outcome}`);

test('what is due is done, and looked at again', async () => {
  const root = guestInFolder();
  const report = await run(root, step('one', write), step('two', write));
  expect(report).toMatchObject({ outcome: 'changed', changed: true, license: { state: 'unknown' } });
  expect(report.steps).toMatchObject([
    { outcome: 'changed', because: 'nothing keeps nouveau away; now nouveau is blacklisted' },
    { outcome: 'settled', because: 'nouveau is blacklisted' },
  ]);
  expect(readFileSync(join(root, BLACKLIST), 'utf8')).toBe('blacklist nouveau\n');
});

test('a second run changes nothing', async () => {
  const root = guestInFolder();
  await run(root, step('one', write));
  const before = statSync(join(root, BLACKLIST)).ctimeMs;
  expect(await run(root, step('one', write))).toMatchObject({ outcome: 'settled', changed: false });
  expect(statSync(join(root, BLACKLIST)).ctimeMs).toBe(before);
});

test('one blocked step, and nothing is changed, not even before it', async () => {
  const root = guestInFolder();
  const report = run(root, step('one', write), blockedStep);
  expect(await outcomes(report)).toEqual(['one not-reached', 'no blocked']);
  expect((await report).outcome).toBe('blocked');
  expect(existsSync(join(root, BLACKLIST))).toBe(false);
});

test('a deed that does not help is a failure that names what is still so', async () => {
  const root = guestInFolder();
  const useless: Change = { kind: 'write', path: '/etc/other', text: 'x', because: 'nothing keeps nouveau away' };
  const report = await run(root, step('one', useless), step('two', write));
  expect(report.outcome).toBe('failed');
  expect(report.steps).toMatchObject([
    { outcome: 'failed', because: 'everything was done, and still nothing keeps nouveau away' },
    { outcome: 'not-reached' },
  ]);
});

test('what was done before a failure counts as changed', async () => {
  const root = guestInFolder();
  const fail: Change = { kind: 'run', argv: ['modprobe', 'nvidia'], timeoutMs: 5_000, because: 'no module' };
  expect(await run(root, step('one', write, fail))).toMatchObject({ outcome: 'failed', changed: true });
});

test('a license that does not come keeps nothing else from being put in its place', async () => {
  const root = guestInFolder();
  const wait = always('wait', { kind: 'await-license', timeoutMs: 50, because: 'the GPU is unlicensed' });
  const report = await run(root, wait, step('later', write));
  expect(report.steps.map(({ outcome }) => outcome)).toEqual(['unlicensed', 'changed']);
  expect(report).toMatchObject({ outcome: 'unlicensed', changed: true });
});

test('a program that fails ends the run with its words', async () => {
  const root = guestInFolder();
  writeProgram(root, 'modprobe', 'echo "modprobe: FATAL: Module nvidia not found." >&2; exit 1');
  const report = await run(
    root,
    always('load', { kind: 'run', argv: ['modprobe', 'nvidia'], timeoutMs: 5_000, because: 'no module' }),
  );
  expect(report.steps[0]?.because).toBe(
    'modprobe nvidia ended with exit code 1\n  modprobe: FATAL: Module nvidia not found.',
  );
});

test('a reboot ends the run, and the next boot goes on by itself', async () => {
  const root = guestInFolder();
  const report = run(root, rebootStep, step('later', write));
  expect(await outcomes(report)).toEqual(['leave reboot-needed', 'later not-reached']);
  expect(JSON.parse(readFileSync(join(root, MARKER), 'utf8'))).toEqual({
    bootId: 'boot-1',
    step: 'leave',
    because: 'the GPU is bound to nouveau',
    settings: { reboot: 'never' },
    only: [],
    skip: [],
    reboots: 1,
  });
  expect(statSync(join(root, MARKER)).mode & 0o777).toBe(0o600);
  expect(existsSync(join(root, UNIT))).toBe(true);
  expect(readFileSync(join(root, 'systemctl.log'), 'utf8')).toBe('daemon-reload\nenable vgpu-guest-resume.service\n');
});

test('asked again before the reboot, it says the same and does nothing more', async () => {
  const root = guestInFolder();
  await run(root, rebootStep);
  expect((await run(root, rebootStep)).outcome).toBe('reboot-needed');
  expect(readFileSync(join(root, 'systemctl.log'), 'utf8')).toBe('daemon-reload\nenable vgpu-guest-resume.service\n');
});

test('the same reboot due again in the next boot is a failure, never a loop', async () => {
  const root = guestInFolder();
  await run(root, rebootStep);
  setBoot(root, 'boot-2');
  const report = await run(root, rebootStep);
  expect(report).toMatchObject({
    outcome: 'failed',
    steps: [{ because: 'the guest was rebooted for this already, and still the GPU is bound to nouveau' }],
  });
  expect(existsSync(join(root, WANTED))).toBe(false);
  // and it stays one, whoever runs it again
  expect((await run(root, rebootStep)).outcome).toBe('failed');
});

test('a reboot after something new was done is a new one, and yet there is an end to it', async () => {
  const root = guestInFolder();
  const undo = () => writeFiles(root, { [BLACKLIST.slice(1)]: '' });
  const seen: string[] = [];
  for (const boot of ['boot-1', 'boot-2', 'boot-3', 'boot-4']) {
    setBoot(root, boot);
    undo();
    seen.push((await run(root, step('one', write), rebootStep)).outcome);
  }
  expect(seen).toEqual(['reboot-needed', 'reboot-needed', 'reboot-needed', 'failed']);
});

test('after the journey nothing of it is left behind', async () => {
  const root = guestInFolder();
  await run(root, rebootStep);
  setBoot(root, 'boot-2');
  expect((await run(root, step('one', write))).outcome).toBe('changed');
  expect([UNIT, WANTED, MARKER].map(path => existsSync(join(root, path)))).toEqual([false, false, false]);
});

test('a journey that finds a lock held after its reboot goes on at the next boot', async () => {
  const root = guestInFolder();
  await run(root, rebootStep);
  setBoot(root, 'boot-2');
  writeProgram(root, 'apt-get', 'echo "E: Could not get lock /var/lib/dpkg/lock-frontend" >&2; exit 100');
  const install: Change = { kind: 'install-packages', packages: ['gcc'], because: 'not installed: gcc' };
  const report = await run(root, always('install', install));
  expect(report).toMatchObject({ outcome: 'failed', error: { fault: 'busy' } });
  expect([UNIT, MARKER].map(path => existsSync(join(root, path)))).toEqual([true, true]);
});

test('a unit that a package brought stays where it is', async () => {
  const root = guestInFolder();
  writeFiles(root, { 'usr/lib/systemd/system/vgpu-guest-resume.service': '[Unit]\n' });
  await run(root, rebootStep);
  expect(existsSync(join(root, UNIT))).toBe(false);
  setBoot(root, 'boot-2');
  await run(root, step('one', write));
  expect(existsSync(join(root, 'usr/lib/systemd/system/vgpu-guest-resume.service'))).toBe(true);
});

test('the first text of a file is kept for the way back, and only the first', async () => {
  const root = guestInFolder();
  writeFiles(root, { 'etc/gridd.conf': 'first\n' });
  const rewrite = (text: string): Change => ({ kind: 'write', path: '/etc/gridd.conf', text, because: 'it is old' });
  await run(root, always('one', rewrite('second\n')));
  await run(root, always('one', rewrite('third\n')));
  expect(readFileSync(join(root, 'var/lib/vgpu-guest/originals/etc/gridd.conf'), 'utf8')).toBe('first\n');
  expect(statSync(join(root, 'var/lib/vgpu-guest')).mode & 0o777).toBe(0o700);
});

test('a file that is not UTF-8 is not damaged by a change', async () => {
  const root = guestInFolder();
  mkdirSync(join(root, 'etc/nvidia'));
  writeFileSync(join(root, 'etc/nvidia/gridd.conf'), Buffer.from('# Gr\u00fc\u00dfe\n', 'latin1'));
  const change: Change = {
    kind: 'write',
    path: '/etc/nvidia/gridd.conf',
    text: 'FeatureType=1\n',
    because: 'it is old',
  };
  const report = await run(root, always('one', change));
  expect(report.steps[0]?.because).toBe('/etc/nvidia/gridd.conf is not UTF-8, and changing it would damage it');
  expect(readFileSync(join(root, 'etc/nvidia/gridd.conf'), 'latin1')).toBe('# Gr\u00fc\u00dfe\n');
});

test('a daemon that ends at once is quoted, and an earlier one is not', async () => {
  const root = guestInFolder();
  writeFiles(root, { 'var/lib/nvidia/log': '' });
  writeProgram(root, 'systemctl', 'echo "Job for nvidia-gridd.service failed." >&2; exit 1');
  const line = (message: string, us: string) => `echo '{"MESSAGE":"${message}","__REALTIME_TIMESTAMP":"'${us}'"}'`;
  const restart: Change = { kind: 'service', unit: 'nvidia-gridd.service', action: 'restart', because: 'it is old' };
  const old = line('Failed to initialise RM client', '1000');
  writeProgram(root, 'journalctl', `${old}\n${line('Invalid feature type requested', '$(date +%s%6N)')}`);
  const because = async () => (await run(root, always('one', restart))).steps[0]?.because;
  expect(await because()).toBe(
    'systemctl restart nvidia-gridd.service ended with exit code 1\n  Job for nvidia-gridd.service failed.\n  nvidia-gridd: Invalid feature type requested (FeatureType in gridd.conf does not fit this GPU)',
  );
  writeProgram(root, 'journalctl', old);
  expect(await because()).not.toContain('RM client');
});

test('a stray file is moved out of the way, never over another one', async () => {
  const root = guestInFolder();
  writeFiles(root, { 'etc/tokens/a': 'new', 'var/lib/vgpu-guest/set-aside/a': 'old' });
  await run(
    root,
    always('one', {
      kind: 'move',
      path: '/etc/tokens/a',
      to: '/var/lib/vgpu-guest/set-aside/a',
      because: 'it is no token',
    }),
  );
  expect(readFileSync(join(root, 'var/lib/vgpu-guest/set-aside/a'), 'utf8')).toBe('old');
  expect(readFileSync(join(root, 'var/lib/vgpu-guest/set-aside/a.2'), 'utf8')).toBe('new');
});
