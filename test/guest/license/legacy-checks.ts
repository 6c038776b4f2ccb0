import assert from 'node:assert/strict';
import type { Check } from '../checks.ts';
import { begin, CONF, type LicenseBed, SERVICE_HOST, TOKEN, TOKEN_DIRECTORY, talkOf, VWS } from './bed.ts';
import { counts } from './ledger.ts';
import { apply, assertBlocked, assertFound, assertLicensed, assertUnlicensed } from './program.ts';

/** Nobody listens there. */
const CLOSED_PORT = 9;

/** Of a driver that can still use the legacy license server (R510 and earlier). */
export function legacyChecks(bed: LicenseBed): readonly Check[] {
  const { guest, service } = bed;
  const server = `server: { address: ${SERVICE_HOST}, port: ${service.legacyPort} }`;
  const url = `http://${SERVICE_HOST}:${service.legacyPort}/request`;
  return [
    [
      'a legacy server leads to a license, which it has given to this guest; a second run changes nothing',
      async () => {
        await begin(bed, { license: server });
        assertLicensed(await apply(bed), VWS);
        assert.ok(counts(service.leases().at(-1)!));
        assert.ok((await talkOf(bed)).includes(`License acquired successfully. (Info: ${url}, ${VWS}; Expiry: `));
        const second = await apply(bed);
        assert.deepEqual([second.code, second.outcome, second.changed], [0, 'settled', false], second.talk);
      },
    ],
    [
      'the backup server gives the license when the first one is out of reach',
      async () => {
        const first = `address: ${SERVICE_HOST}, port: ${CLOSED_PORT}`;
        const backup = `backupAddress: ${SERVICE_HOST}, backupPort: ${service.legacyPort}`;
        await begin(bed, { license: `server: { ${first}, ${backup} }` });
        assertLicensed(await apply(bed), VWS);
        assert.match(
          await talkOf(bed),
          /Failed to acquire\/renew license from license server\. .*:9\/request.*refused/,
        );
      },
    ],
    [
      'a legacy server without licenses of the product is named at the deadline, with its remedy',
      async () => {
        await begin(bed, { license: server });
        service.setPool(VWS, undefined);
        const answer = await apply(bed);
        assertUnlicensed(answer, /has no license of the product .*7000000B.*not found/, /assign licenses/);
        await assertFound(bed, 'error feature-not-on-server');
      },
    ],
    [
      'a legacy server out of reach is named at the deadline, with its remedy',
      async () => {
        await begin(bed, { license: server });
        await service.behave({ is: 'unreachable' });
        assertUnlicensed(
          await apply(bed),
          /cannot be reached .*Connection refused/,
          new RegExp(`to ${SERVICE_HOST}:${service.legacyPort} in firewall`),
        );
        await assertFound(bed, 'error server-unreachable');
      },
    ],
    [
      'a daemon that is stopped gives its license back to the legacy server',
      async () => {
        await begin(bed, { license: server });
        assertLicensed(await apply(bed), VWS);
        await guest.succeed(['systemctl', 'stop', 'nvidia-gridd']);
        assert.notEqual(service.leases().at(-1)?.returnedMs, undefined);
      },
    ],
    [
      'with a token and a legacy server in gridd.conf the token wins',
      async () => {
        const griddConf = `ServerAddress=nowhere.license.test\nServerPort=${CLOSED_PORT}\n`;
        await begin(bed, { license: 'feature: auto', griddConf, directory: { 'a.tok': service.token() } });
        assertLicensed(await apply(bed), VWS);
        assert.doesNotMatch(await talkOf(bed), /nowhere/);
      },
    ],
    [
      'the token takes the place of the legacy server when it is asked for instead',
      async () => {
        await begin(bed, { license: server });
        assertLicensed(await apply(bed), VWS);
        const config = `license:\n  timeout: ${bed.pace.timeoutMs}ms\n  token: ${TOKEN}\n`;
        await guest.write('/etc/vgpu-guest/config.yaml', config, 0o644);
        assertLicensed(await apply(bed), VWS);
        assert.match(await talkOf(bed), new RegExp(`License acquired successfully. \\(Info: ${SERVICE_HOST}, `));
        await guest.fail(['grep', '-q', '^ServerAddress=.', CONF], 1);
        await guest.succeed(['sh', '-c', `test "$(ls ${TOKEN_DIRECTORY} | wc -l)" = 1`]);
      },
    ],
  ];
}

/** Of a later driver. */
export function endOfLegacyChecks(bed: LicenseBed): readonly Check[] {
  const { service } = bed;
  return [
    [
      'a driver that can use no legacy server is told so before anything is changed',
      async () => {
        await begin(bed, { license: `server: { address: ${SERVICE_HOST}, port: ${service.legacyPort} }` });
        assertBlocked(await apply(bed), /cannot use a legacy license server/, /set license\.token/);
        await assertFound(bed, 'error server-unsupported');
      },
    ],
    [
      'a legacy server that stands in gridd.conf all the same is not asked, and the program says that a token is wanting',
      async () => {
        const griddConf = `ServerAddress=${SERVICE_HOST}\nServerPort=${service.legacyPort}\n`;
        await begin(bed, { license: 'feature: auto', griddConf });
        const before = service.leases().length;
        assertUnlicensed(await apply(bed), /no token in the token directory/, /set license\.token/);
        await assertFound(bed, 'error server-unsupported');
        assert.equal(service.leases().length, before);
      },
    ],
  ];
}
