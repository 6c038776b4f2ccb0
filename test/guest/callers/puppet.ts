import assert from 'node:assert/strict';
import type { Check } from '../checks.ts';
import type { Container } from '../container.ts';
import { differences } from '../manifest.ts';
import { CONFIG, example, isLicensed, isResumed, layOut, MINUTE_MS, manifestOf, TOKEN } from './bed.ts';

export const PUPPET_PACKAGES: readonly string[] = ['ansible-core', 'puppet-agent'];

const MANIFEST = '/root/puppet.pp';
/** What systemd keeps of a shutdown that is to come. */
const SCHEDULED = '/run/systemd/shutdown/scheduled';
/** puppet-apply(8), --detailed-exitcodes. */
const UNCHANGED = 0;
const CHANGED = 2;
const FAILED = 4;

/** examples/puppet.pp, applied inside of the guest by the distribution's Puppet. */
export function puppetChecks(guest: Container): readonly Check[] {
  return [
    [
      'a noop on a bare guest names what it would do, and changes nothing',
      async () => {
        await layOut(guest, '/opt');
        await guest.write(MANIFEST, await example('puppet.pp'), 0o644);
        await guest.boot();
        await guest.waitForBoot();
        const before = manifestOf(guest);
        const told = await puppet(guest, UNCHANGED, ['--noop']);
        assert.match(told, /config\.yaml\]\/ensure: current_value 'absent', should be 'file' \(noop\)/);
        assert.match(told, /Exec\[vgpu-guest apply --quiet\]\/returns: current_value 'notrun', should be .*\(noop\)/);
        // on its first run it makes folders of its own there
        const strange = differences(before, manifestOf(guest)).filter(line => !line.startsWith('/etc/puppet'));
        assert.deepEqual(strange, []);
      },
    ],
    [
      'the first run changes the guest and schedules the reboot that it needs',
      async () => {
        // a token that was brought carelessly
        await guest.succeed(['chmod', '0644', `/opt/${TOKEN}`]);
        const told = await puppet(guest, CHANGED);
        assert.match(told, /Exec\[vgpu-guest apply --quiet\]\/returns: executed successfully/);
        assert.match(await guest.succeed(['stat', '--format=%a %U', `/opt/${TOKEN}`]), /^600 root$/m);
        assert.match(await guest.succeed(['cat', SCHEDULED]), /^MODE=reboot$/m);
      },
    ],
    [
      'the next boot goes on by itself, to the end',
      async () => {
        await guest.reboot();
        await guest.waitForBoot(4 * MINUTE_MS);
        await isResumed(guest);
        await isLicensed(guest);
      },
    ],
    [
      'the second run changes nothing',
      async () => {
        const before = manifestOf(guest);
        await puppet(guest, UNCHANGED);
        assert.deepEqual(differences(before, manifestOf(guest)), []);
        await guest.fail(['test', '-e', SCHEDULED], 1);
      },
    ],
    [
      'and a noop has nothing to say',
      async () => {
        const told = await puppet(guest, UNCHANGED, ['--noop']);
        assert.ok(!told.includes('(noop)'), told);
      },
    ],
    [
      'a configuration that was changed by hand is put back',
      async () => {
        await guest.succeed(['cp', '/dev/null', CONFIG]);
        const told = await puppet(guest, CHANGED);
        assert.match(told, /config\.yaml\]\/content: content changed/);
        // the guest itself is as it was asked for before
        assert.ok(!told.includes('Exec[vgpu-guest apply --quiet]'), told);
      },
    ],
    [
      'a legacy license server for a driver of today fails the run with the remedy',
      async () => {
        const server = (await example('puppet.pp')).replace(/^ *token: .*$/m, '      server: {address: license.test}');
        await guest.write(MANIFEST, server, 0o644);
        // 2 more: the configuration was written
        const told = await puppet(guest, CHANGED + FAILED);
        assert.match(told, /set license\.token in \/etc\/vgpu-guest\/config\.yaml to a client configuration token/);
      },
    ],
  ];
}

async function puppet(guest: Container, code: number, options: readonly string[] = []): Promise<string> {
  const argv = ['puppet', 'apply', '--detailed-exitcodes', '--color=false', MANIFEST, ...options] as const;
  const { stdout, stderr } = await guest.fail(argv, code, { deadlineMs: 4 * MINUTE_MS });
  return `${stdout}\n${stderr}`;
}
