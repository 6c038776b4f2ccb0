import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { awaitNeighbours } from '../../src/engine/await-neighbours.ts';
import {
  findCloudInitInstalling,
  findNeighbours,
  INITRD_PROGRAMS,
  MODULE_PROGRAMS,
} from '../../src/facts/neighbours.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles } from '../helpers/temporary.ts';

function guestWith(files: Readonly<Record<string, string>>) {
  const root = temporaryFolder();
  writeFiles(root, files);
  return { root, guest: openGuest({ root, env: {} }) };
}

describe('a guest on which another program is at work', () => {
  test.each([
    ['dracut', INITRD_PROGRAMS],
    ['mkinitrd', INITRD_PROGRAMS],
    ['mkinitramfs', INITRD_PROGRAMS],
    ['update-initramfs', INITRD_PROGRAMS],
    ['kernel-install', INITRD_PROGRAMS],
    ['dkms', INITRD_PROGRAMS],
    ['dkms', MODULE_PROGRAMS],
    ['akmods', MODULE_PROGRAMS],
    ['dracut', MODULE_PROGRAMS],
  ])('%s is found by what the kernel keeps of its name', async (name, names) => {
    const { guest } = guestWith({
      'proc/1/comm': 'systemd\n',
      'proc/812/comm': `${name.slice(0, 15)}\n`,
      'proc/self/mounts': '',
    });
    expect(await findNeighbours(guest, names)).toEqual([{ name, pid: '812' }]);
  });

  test('is found beside a process that cannot be looked at any more', async () => {
    const { guest } = guestWith({ 'proc/811/comm/is-no-file': '', 'proc/812/comm': 'dkms\n' });
    expect(await findNeighbours(guest, MODULE_PROGRAMS)).toEqual([{ name: 'dkms', pid: '812' }]);
  });

  test('is not waited for where it has called this program, and waits itself', async () => {
    const { guest } = guestWith({
      'proc/self/status': 'Name:\tnode\nPPid:\t900\n',
      'proc/900/status': 'Name:\tsh\nPPid:\t812\n',
      'proc/812/status': 'Name:\tdkms\nPPid:\t1\n',
      'proc/812/comm': 'dkms\n',
      'proc/813/comm': 'dkms\n',
    });
    expect(await findNeighbours(guest, MODULE_PROGRAMS)).toEqual([{ name: 'dkms', pid: '813' }]);
  });

  test('is waited for, and gone on with when that has ended', async () => {
    const { root, guest } = guestWith({ 'proc/812/comm': 'dracut\n' });
    const said: string[] = [];
    const progress: string[] = [];
    const tell = {
      info: (text: string) => void said.push(text),
      warn() {},
      progress(text: string) {
        if (progress.push(text) === 2) rmSync(join(root, 'proc/812'), { recursive: true });
      },
    };
    const stop = new AbortController().signal;
    await awaitNeighbours(guest, eyes => findNeighbours(eyes, INITRD_PROGRAMS), { timeoutMs: 60_000, tell, stop });
    expect(said).toEqual(['dracut (process 812) is at work on this guest; this run waits for its end']);
    expect(progress).toEqual([
      'dracut (process 812) is still at work; it has 60 s more',
      expect.stringMatching(/it has 5\d s more$/),
    ]);
  });

  test('is told to come again when that does not end in time', async () => {
    const { guest } = guestWith({ 'proc/812/comm': 'dkms\n' });
    const wait = { timeoutMs: 0, tell: { info() {}, warn() {}, progress() {} }, stop: new AbortController().signal };
    await expect(awaitNeighbours(guest, eyes => findNeighbours(eyes, MODULE_PROGRAMS), wait)).rejects.toMatchObject({
      fault: 'busy',
      message: 'dkms (process 812) is at work on this guest, for 0 s now',
      remedy: expect.stringContaining('ps -fp 812'),
    });
  });

  test('ends the wait when it is told to stop', async () => {
    const { guest } = guestWith({ 'proc/812/comm': 'dkms\n' });
    const stop = new AbortController();
    const tell = { info: () => stop.abort(new Error('stopped')), warn() {}, progress() {} };
    const wait = { timeoutMs: 60_000, tell, stop: stop.signal };
    await expect(awaitNeighbours(guest, eyes => findNeighbours(eyes, MODULE_PROGRAMS), wait)).rejects.toMatchObject({
      message: 'stopped',
    });
  });
});

describe('cloud-init', () => {
  // lines as cloud-init 22 and 25 write them
  const started =
    '2022-04-07 12:35:50,674 - handlers.py[DEBUG]: start: modules-final/config-package-update-upgrade-install: running config-package-update-upgrade-install with frequency once-per-instance\n';
  const finished =
    '2022-04-07 12:36:50,674 - handlers.py[DEBUG]: finish: modules-final/config-package-update-upgrade-install: SUCCESS: config-package-update-upgrade-install ran successfully\n';
  const newer = started.replaceAll('config-package-update-upgrade-install', 'config-package_update_upgrade_install');

  test.each([
    ['installs packages', started, 1],
    ['installs packages, in a newer release', finished + newer, 1],
    ['has installed them and runs what may have called this program', started + finished, 0],
    ['has not come to that', '', 0],
  ])('that %s', async (_, log, count) => {
    const { guest } = guestWith({ 'proc/700/comm': 'cloud-init\n', 'var/log/cloud-init.log': log });
    expect(await findCloudInitInstalling(guest)).toHaveLength(count);
  });

  test('that was cut while it did is waited for by nobody', async () => {
    const { guest } = guestWith({ 'proc/1/comm': 'systemd\n', 'var/log/cloud-init.log': started });
    expect(await findCloudInitInstalling(guest)).toEqual([]);
  });
});
