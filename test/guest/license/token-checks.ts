import assert from 'node:assert/strict';
import type { Check } from '../checks.ts';
import { begin, type LicenseBed, OTHER_HOST, SERVICE_HOST, talkOf, VWS } from './bed.ts';
import { counts } from './ledger.ts';
import { apply, assertBlocked, assertFailed, assertFound, assertLicensed, assertUnlicensed } from './program.ts';

const NOT_ASKED_FOR = 'feature: auto';
const NEW_TOKEN = /download a (?:new )?client configuration token/;

/** What the program, and where it cannot know the daemon, make of what lies in the place of the token. */
export function tokenChecks(bed: LicenseBed): readonly Check[] {
  const { guest, service } = bed;
  const nowS = Math.floor(Date.now() / 1000);
  return [
    [
      'a token leads to a license, which the service has given to this guest; a second run changes nothing',
      async () => {
        await begin(bed);
        assertLicensed(await apply(bed), VWS);
        const lease = service.leases().at(-1);
        assert.equal(lease?.product, VWS);
        assert.ok(counts(lease));
        const second = await apply(bed);
        assert.deepEqual([second.code, second.outcome, second.changed], [0, 'settled', false], second.talk);
      },
    ],
    [
      'a token that is not there is missed before anything is changed',
      async () => {
        await begin(bed, { license: 'token: /opt/nowhere.tok' });
        assertBlocked(await apply(bed), /\/opt\/nowhere\.tok is not there/, NEW_TOKEN);
        await assertFound(bed, 'error token-unusable');
      },
    ],
    [
      'an empty token directory leaves the daemon waiting, and the program names the setting that is wanting',
      async () => {
        await begin(bed, { license: NOT_ASKED_FOR });
        assertUnlicensed(await apply(bed), /there is no token in the token directory/, /set license\.token/);
        await assertFound(bed, 'error token-missing');
        await guest.waitForUnit('nvidia-gridd.service');
      },
    ],
    [
      'a token that comes later is taken by the daemon that waits for it',
      async () => {
        await begin(bed, { license: NOT_ASKED_FOR });
        await guest.succeed(['systemctl', 'start', 'nvidia-gridd']);
        await guest.write('/etc/nvidia/late.tok', service.token(), 0o744);
        // at once, so that the daemon never sees half of it
        await guest.succeed(['mv', '/etc/nvidia/late.tok', '/etc/nvidia/ClientConfigToken/late.tok']);
        await guest.waitUntilSucceeds(['grep', VWS, '/run/stubs-license']);
      },
    ],
    [
      'a second file beside the token is set aside, and the license comes',
      async () => {
        await begin(bed, { directory: { 'gridd.conf': 'FeatureType=1\n' } });
        assertLicensed(await apply(bed), VWS);
        await guest.succeed(['test', '-e', '/var/lib/vgpu-guest/set-aside/gridd.conf']);
      },
    ],
    [
      'where no token is asked for, a second file in the directory ends the daemon, and the program says of what it died',
      async () => {
        await begin(bed, { license: NOT_ASKED_FOR, directory: { 'a.tok': service.token(), 'gridd.conf': '' } });
        assertFailed(await apply(bed), /no valid token/, NEW_TOKEN);
        await assertFound(bed, 'error token-unusable');
      },
    ],
    [
      'a daemon that dies of its token after systemd has called it started is missed all the same',
      async () => {
        await begin(bed, { license: NOT_ASKED_FOR, directory: { 'a.tok': service.token(), 'gridd.conf': '' } });
        await guest.write('/var/lib/stubs/gridd-death', 'late\n', 0o644);
        const { code, because, remedy, talk } = await apply(bed);
        // whether it is seen at the restart or during the wait is a matter of moments
        assert.ok(code === 1 || code === 5, talk);
        assert.match(because, /no valid token/);
        assert.match(remedy, NEW_TOKEN);
      },
    ],
    [
      'a token that is cut off is refused before anything is changed',
      async () => {
        await begin(bed, { token: service.token().slice(0, -40) });
        assertBlocked(await apply(bed), /is cut off/, NEW_TOKEN);
        await assertFound(bed, 'error token-unusable');
      },
    ],
    [
      'a token that was edited looks well, and the verdict of the daemon on its signature is passed on',
      async () => {
        await begin(bed, { token: withOtherClaims(service.token()) });
        assertFailed(await apply(bed), /no valid token/, NEW_TOKEN);
        await assertFound(bed, 'error token-unusable');
      },
    ],
    [
      'a token that has expired is refused before anything is changed',
      async () => {
        await begin(bed, { token: service.token({ expiresS: nowS - 1_800 }) });
        assertBlocked(await apply(bed), /expired on 20/, NEW_TOKEN);
        await assertFound(bed, 'error token-expired');
      },
    ],
    [
      'a token that is not yet valid is refused before anything is changed',
      async () => {
        await begin(bed, { token: service.token({ notBeforeS: nowS + 86_400 }) });
        assertBlocked(await apply(bed), /is valid from 20.* on/, /set the guest's clock/);
        await assertFound(bed, 'error token-not-yet-valid');
      },
    ],
    [
      'a token that expired in its directory is told by the daemon, and the remedy speaks of the clock and the token',
      async () => {
        await begin(bed, { license: NOT_ASKED_FOR, directory: { 'a.tok': service.token({ expiresS: nowS - 60 }) } });
        assertUnlicensed(await apply(bed), /or the token has expired/, /NTP.*new token/);
        await assertFound(bed, 'error token-expired');
      },
    ],
    [
      'the second node of a token gives the license when the first one is out of reach',
      async () => {
        const ports = { auth: service.port, lease: service.port };
        const nodes = [
          { host: OTHER_HOST, ports: { auth: 9, lease: 9 } },
          { host: SERVICE_HOST, ports },
        ];
        await begin(bed, { token: service.token({ nodes }) });
        assertLicensed(await apply(bed), VWS);
        assert.match(await talkOf(bed), /Failed to acquire license from other\.license\.test .*Connection refused/);
      },
    ],
  ];
}

/** Signed as it was, and with another time of issue. */
function withOtherClaims(token: string): string {
  const [head, claims = '', signature] = token.split('.');
  const read = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
  const changed = Buffer.from(JSON.stringify({ ...read, iat: 1 })).toString('base64url');
  return `${head}.${changed}.${signature}`;
}
