import assert from 'node:assert/strict';
import type { Check } from '../checks.ts';
import type { Container } from '../container.ts';
import { differences } from '../manifest.ts';
import { isFasterThanAnsible } from './ansible-pace.ts';
import {
  CONFIG,
  example,
  isLicensed,
  isResumed,
  layOut,
  MINUTE_MS,
  manifestOf,
  readRepository,
  readToken,
  TOKEN,
} from './bed.ts';

/** Ansible asks apt through its Python. */
export const ANSIBLE_PACKAGES: readonly string[] = ['ansible-core', 'python3-apt', 'puppet-agent'];

const PLAYS = '/root/plays';
/**
 * The play cannot reboot its own controller, which a guest under a local connection is: its tasks with this tag are left out,
 * and the bed reboots the guest.
 */
const WITHOUT_REBOOT = ['--skip-tags', 'reboot'];
/** R510 was the last driver that could use one, and the example's is R570. */
const LEGACY_SERVER = ['--extra-vars', '{"vgpu_config": {"license": {"server": {"address": "license.test"}}}}'];
const REMEDY = `set license.token in ${CONFIG} to a client configuration token`;

/** examples/ansible.yaml, run inside of the guest by the distribution's Ansible. */
export function ansibleChecks(guest: Container): readonly Check[] {
  return [
    [
      'a check of a bare guest names the program and the files that it lacks, and changes nothing',
      async () => {
        await layOut(guest, `${PLAYS}/files`);
        await guest.write(`${PLAYS}/ansible.yaml`, await example('ansible.yaml'), 0o644);
        await guest.write(`${PLAYS}/inventory`, '[vgpu_guests]\nguest\n', 0o644);
        await guest.boot();
        await guest.waitForBoot();
        await readRepository(guest);
        const before = manifestOf(guest);
        const { changed, told } = await play(guest, 0, '--check', '--diff');
        assert.equal(changed, 5, told);
        await guest.fail(['test', '-e', '/usr/bin/vgpu-guest'], 1);
        assert.ok(told.includes('+    package: /opt/NVIDIA-Linux-x86_64-'), told);
        assert.ok(!told.includes(await readToken(guest, `${PLAYS}/files`)), 'the token is in the diff');
        assert.deepEqual(differences(before, manifestOf(guest)), []);
      },
    ],
    [
      'with the files in place a check says what is due, and changes nothing',
      async () => {
        await play(guest, 0, '--tags', 'files');
        await guest.succeed(['dpkg', '--verify', 'vgpu-guest']);
        assert.match(await guest.succeed(['stat', '--format=%a %U', `/opt/${TOKEN}`]), /^600 root$/m);
        const before = manifestOf(guest);
        const { changed, told } = await play(guest, 0, '--check');
        assert.equal(changed, 1, told);
        for (const due of ['nothing keeps nouveau from', 'no NVIDIA driver is installed', 'the token is not in']) {
          assert.ok(told.includes(due), told);
        }
        assert.deepEqual(differences(before, manifestOf(guest)), []);
      },
    ],
    [
      'the play stops before the reboot, which the guest needs then',
      async () => {
        const { changed, told } = await play(guest, 0, ...WITHOUT_REBOOT);
        assert.equal(changed, 1, told);
        await guest.succeed(['vgpu-guest', 'reboot-required']);
      },
    ],
    [
      'the next boot reaches multi-user.target, for which the rebooting task waits, with the license',
      async () => {
        await guest.reboot();
        await guest.waitUntilSucceeds(['systemctl', 'is-active', 'multi-user.target'], 4 * MINUTE_MS);
        await isLicensed(guest);
        await guest.waitForBoot(MINUTE_MS);
        await isResumed(guest);
      },
    ],
    [
      'the play once more changes nothing',
      async () => {
        const before = manifestOf(guest);
        const { changed, told } = await play(guest, 0);
        assert.equal(changed, 0, told);
        assert.deepEqual(differences(before, manifestOf(guest)), []);
      },
    ],
    [
      'and a check finds nothing due',
      async () => {
        const { changed, told } = await play(guest, 0, '--check');
        assert.equal(changed, 0, told);
        assert.match(told, /"msg": \[\]/);
      },
    ],
    isFasterThanAnsible(guest),
    [
      'a legacy license server for a driver of today fails the play with the remedy',
      async () => {
        const { failed, told } = await play(guest, 2, ...LEGACY_SERVER);
        assert.equal(failed, 1, told);
        assert.ok(told.includes(REMEDY), told);
      },
    ],
    [
      'and fails a check with the remedy, too',
      async () => {
        const before = manifestOf(guest);
        const { failed, told } = await play(guest, 2, '--check', ...LEGACY_SERVER);
        assert.equal(failed, 1, told);
        assert.ok(told.includes(REMEDY), told);
        assert.deepEqual(differences(before, manifestOf(guest)), []);
      },
    ],
  ];
}

interface Play {
  readonly changed: number;
  readonly failed: number;
  /** All that it printed. */
  readonly told: string;
}

async function play(guest: Container, code: number, ...options: readonly string[]): Promise<Play> {
  const { stdout, stderr } = await guest.fail(
    ['ansible-playbook', '--connection=local', `--inventory=${PLAYS}/inventory`, `${PLAYS}/ansible.yaml`, ...options],
    code,
    // it refuses to run in a locale that is not UTF-8
    { deadlineMs: 4 * MINUTE_MS, env: { LC_ALL: 'C.UTF-8', ANSIBLE_NOCOLOR: '1' } },
  );
  const [, changed, failed] = /^guest +: .*\bchanged=(\d+) .*\bfailed=(\d+)/m.exec(stdout) ?? [];
  return { changed: Number(changed), failed: Number(failed), told: `${stdout}\n${stderr}` };
}
