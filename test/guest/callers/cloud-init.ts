import assert from 'node:assert/strict';
import { makeToken } from '../../helpers/token.ts';
import type { Check } from '../checks.ts';
import type { RealGuest } from '../real-guest.ts';
import { CONFIG, example, isLicensed, isResumed, layOutPackage, MINUTE_MS, TOKEN } from './bed.ts';

const LOG = '/var/log/cloud-init.log';
/** What the programs that it ran have printed. */
const OUTPUT = '/var/log/cloud-init-output.log';
const RESULT = '/run/cloud-init/result.json';
export const CLOUD_INIT_PACKAGES: readonly string[] = ['cloud-init'];
export const CLOUD_INIT_LOGS: readonly string[] = [LOG, OUTPUT];

const TOKEN_HERE = 'TEXT-OF-THE-TOKEN';
const SEED = '/var/lib/cloud/seed/nocloud';
/** Network and disk are the bed's, package sources and locale the image's. */
const BED = `datasource_list: [NoCloud]
network: {config: disabled}
apt: {preserve_sources_list: true}
locale: C.UTF-8
growpart: {mode: 'off'}
resize_rootfs: false
`;
/**
 * cloud-init reboots the guest as soon as it has finished. This unit keeps the shutdown waiting until the test has looked and is
 * there to see the guest go down; once released, it never holds again.
 */
const RELEASED = '/var/lib/hold-reboot-released';
const HOLD_UNIT = `[Unit]
Description=Shutdown waits until the test has looked
ConditionPathExists=!${RELEASED}
# stops before the door by which the test looks in
After=qemu-guest-agent.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sh -c 'until [ -e ${RELEASED} ]; do sleep 1; done'
TimeoutStopSec=300
`;

/** How a kind of guest has its first boot with a seed, which ends in a reboot. */
export interface FirstBoot {
  readonly start: () => Promise<void>;
  /** The guest is on its way down by itself; returns when it is up again. */
  readonly followReboot: () => Promise<void>;
  /** How long one boot may take, with what it does of the journey. */
  readonly deadlineMs: number;
}

/** Makes a guest one of a cloud from its next boot on: files only, so that an image can have them as well. */
export async function seedCloudInit(guest: RealGuest, token = makeToken()): Promise<void> {
  await layOutPackage(guest, '/opt');
  await seed(guest, 'first', await userDataWith(token));
  await guest.write('/etc/cloud/cloud.cfg.d/90_bed.cfg', BED, 0o644);
  await guest.write('/etc/systemd/system/hold-reboot.service', HOLD_UNIT, 0o644);
  await guest.write(
    '/etc/systemd/system/basic.target.d/hold-reboot.conf',
    '[Unit]\nWants=hold-reboot.service\n',
    0o644,
  );
}

/** examples/cloud-init.yaml as the user data of a guest that boots for the first time. */
export function cloudInitChecks(guest: RealGuest, first: FirstBoot): readonly Check[] {
  const { deadlineMs } = first;
  return [
    [
      'the first boot has the configuration, and its cloud-init ends without an error',
      async () => {
        await first.start();
        await guest.succeed(['cloud-init', 'schema', '--config-file', `${SEED}/user-data`]);
        const { errors, datasource } = await resultOf(guest, deadlineMs);
        assert.deepEqual(errors, []);
        assert.match(datasource, /^DataSourceNoCloud /);
        assert.match(await guest.succeed(['cat', CONFIG]), /^driver:\n {2}package: \/opt\//);
        assert.equal(await guest.succeed(['stat', '--format=%a %U', `/opt/${TOKEN}`]), '600 root\n');
        assert.match(await guest.succeed(['cat', OUTPUT]), /leave-nouveau {2}reboot-needed/);
      },
    ],
    [
      'it reboots then, because the journey needs it',
      async () => {
        await guest.waitUntilSucceeds(['sh', '-c', 'systemctl is-system-running | grep -x stopping'], deadlineMs);
        assert.match(await guest.succeed(['cat', LOG]), /reboot-required.*condition met/);
        await guest.succeed(['touch', RELEASED]);
        await first.followReboot();
      },
    ],
    [
      'the second boot goes on by itself, and the final stage of cloud-init comes after the license',
      async () => {
        await guest.waitForBoot(deadlineMs);
        await isResumed(guest);
        await isLicensed(guest);
        const journal = (await guest.succeed(['journalctl', '--boot', '--output=cat'])).split('\n');
        const licensed = journal.findIndex(line => line.startsWith('Finished vgpu-guest-resume.service'));
        const final = journal.findIndex(line => line.startsWith('Starting cloud-final.service'));
        assert.ok(licensed >= 0 && licensed < final, journal.join('\n'));
      },
    ],
    [
      'as a clone it applies once more, finds everything settled, and does not reboot',
      async () => {
        await seed(guest, 'clone', await userDataWith(await guest.succeed(['cat', `/opt/${TOKEN}`])));
        await guest.reboot(deadlineMs);
        const { errors } = await resultOf(guest, deadlineMs);
        assert.deepEqual(errors, []);
        assert.match(await guest.succeed(['cat', OUTPUT]), /^settled: .*nothing had to be changed/m);
        await staysUp(guest, 1);
      },
    ],
    [
      'a legacy license server for a driver of today is an error of cloud-init, with the remedy in its output',
      async () => {
        const server = (await example('cloud-init.yaml')).replace(
          /^ *token: .*$/m,
          '        server: {address: license.test}',
        );
        await seed(guest, 'blocked', server);
        await guest.reboot(deadlineMs);
        const { errors } = await resultOf(guest, deadlineMs);
        assert.match(errors.join(), /scripts-user/);
        assert.match(await guest.succeed(['cat', OUTPUT]), /set license\.token in \S+ to a client configuration token/);
        await staysUp(guest, 2);
      },
    ],
  ];
}

/** The example, with a token in the place that it has for one. */
async function userDataWith(token: string): Promise<string> {
  const text = await example('cloud-init.yaml');
  assert.ok(text.includes(TOKEN_HERE), `the example has no ${TOKEN_HERE}`);
  return text.replace(TOKEN_HERE, token.trim());
}

/** A new instance runs everything that is for once. */
async function seed(guest: RealGuest, instance: string, userData: string): Promise<void> {
  await guest.write(`${SEED}/meta-data`, `instance-id: ${instance}\nlocal-hostname: guest\n`, 0o644);
  await guest.write(`${SEED}/user-data`, userData, 0o600);
}

interface Result {
  readonly errors: readonly string[];
  readonly datasource: string;
}

/** What cloud-init says at its end. */
async function resultOf(guest: RealGuest, deadlineMs: number): Promise<Result> {
  await guest.waitUntilSucceeds(['test', '-e', RESULT], deadlineMs);
  return JSON.parse(await guest.succeed(['cat', RESULT])).v1;
}

/** The question for a reboot comes after cloud-init's end; it was answered with no so many times. */
async function staysUp(guest: RealGuest, times: number): Promise<void> {
  const asked = `grep 'reboot-required.*condition not met' ${LOG} | wc -l | grep -x ${times}`;
  await guest.waitUntilSucceeds(['sh', '-c', asked], MINUTE_MS);
}
