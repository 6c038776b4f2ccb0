import assert from 'node:assert/strict';
import type { Check } from '../checks.ts';
import { begin, cover, type LicenseBed, talkOf, VWS } from './bed.ts';
import { counts } from './ledger.ts';
import { apply, assertFound, assertLicensed, assertUnlicensed } from './program.ts';

const LICENSE_IN_DRIVER = '/run/stubs-license';
const SHORT_LEASE_MS = 3_000;
/** Other network interfaces than the guest has. */
const OTHER_MACS = { '/eth7/address': '52:54:00:00:00:07\n' };

/** What becomes of a license after it was granted, as the service has it in its record and as the program sees it. */
export function leaseChecks(bed: LicenseBed): readonly Check[] {
  const { guest, service } = bed;
  return [
    [
      'a daemon that is stopped gives its license back, and the next run gets a new one',
      async () => {
        await licensed();
        await guest.succeed(['systemctl', 'stop', 'nvidia-gridd']);
        assert.notEqual(service.leases().at(-1)?.returnedMs, undefined);
        assert.deepEqual(await seen(), ['grace', 'inactive']);
        const before = service.leases().length;
        assertLicensed(await apply(bed), VWS);
        assert.equal(service.leases().length, before + 1);
      },
    ],
    [
      'a daemon that is killed keeps its license at the service and in the driver, and goes on with it when it runs again',
      async () => {
        await licensed();
        await kill();
        const before = service.leases();
        assert.ok(counts(before.at(-1)!));
        assert.deepEqual(await seen(), ['licensed', 'failed']);
        await assertFound(bed, 'error daemon-dead');
        assertLicensed(await apply(bed), VWS);
        // the license of before is still in the driver, so that the program need not wait for the daemon
        await guest.waitUntilSucceeds(journalHas('License acquired successfully'));
        assert.equal(service.leases().length, before.length);
        assert.equal(service.leases().at(-1)?.renewedMs.length, 1);
      },
    ],
    [
      'a lease is renewed before it ends, lost when the service is gone for longer, and had again when it is back',
      async () => {
        await begin(bed);
        service.setLease(SHORT_LEASE_MS);
        assertLicensed(await apply(bed), VWS);
        await guest.waitUntilSucceeds(journalHas('License renewed successfully'));
        assert.notEqual(service.leases().at(-1)?.renewedMs.length, 0);
        await service.behave({ is: 'unreachable' });
        await guest.waitUntilSucceeds(journalHas('Valid GRID license not found'));
        await guest.fail(['test', '-e', LICENSE_IN_DRIVER], 1);
        assertUnlicensed(await apply(bed), /cannot be reached/, /firewall/);
        await assertFound(bed, 'error server-unreachable');
        await service.behave({ is: 'grant' });
        await guest.waitUntilSucceeds(['test', '-e', LICENSE_IN_DRIVER]);
      },
    ],
    [
      'a service that has lost its record says so, and the guest gets its license anew',
      async () => {
        await licensed();
        await kill();
        service.forgetLeases();
        assertLicensed(await apply(bed), VWS);
        await guest.waitUntilSucceeds(journalHas('License acquired successfully'));
        await guest.succeed(journalHas('Mismatch between client and server with respect to licenses held'));
        assert.ok(counts(service.leases().at(-1)!));
      },
    ],
    [
      'other MAC addresses make another guest of it, which is licensed as such',
      async () => {
        await licensed();
        await kill();
        const first = service.leases().at(-1);
        await guest.succeed(['rm', LICENSE_IN_DRIVER]);
        await cover(bed, '/sys/class/net', OTHER_MACS);
        assertLicensed(await apply(bed), VWS);
        assert.match(await talkOf(bed), /^Client fingerprint mismatch - No valid lease found in local trusted store$/m);
        assert.notEqual(service.leases().at(-1)?.who, first?.who);
      },
    ],
    [
      'the last license that a guest took before it changed its MAC addresses is missed until it expires',
      async () => {
        await begin(bed);
        service.forgetLeases();
        service.setPool(VWS, 1);
        assertLicensed(await apply(bed), VWS);
        await kill();
        await guest.succeed(['rm', LICENSE_IN_DRIVER]);
        await cover(bed, '/sys/class/net', OTHER_MACS);
        assertUnlicensed(await apply(bed), /all licenses of that product are in use/, /not shut down keep theirs/);
        await assertFound(bed, 'error licenses-exhausted');
      },
    ],
    [
      'too many network interfaces are named at the deadline, with their remedy',
      async () => {
        await begin(bed);
        const many = Array.from({ length: 80 }, (_, index) => index.toString(16).padStart(2, '0'));
        const macs = Object.fromEntries(many.map(number => [`/veth${number}/address`, `52:54:00:00:01:${number}\n`]));
        await cover(bed, '/sys/class/net', macs);
        assertUnlicensed(await apply(bed), /too many network interfaces/, /take away the network interfaces/);
        await assertFound(bed, 'error identity-too-large');
      },
    ],
  ];

  async function licensed(): Promise<void> {
    await begin(bed);
    assertLicensed(await apply(bed), VWS);
  }

  async function kill(): Promise<void> {
    await guest.succeed(['systemctl', 'kill', '--signal=KILL', 'nvidia-gridd']);
    await guest.waitUntilSucceeds(['systemctl', 'is-failed', 'nvidia-gridd']);
  }

  /** By `vgpu-guest status`: the license and the daemon. */
  async function seen(): Promise<readonly string[]> {
    const status = JSON.parse(await guest.succeed(['vgpu-guest', 'status', '--json']));
    return [status.license.state, status.gridd.active];
  }

  /** Said by the present daemon. */
  function journalHas(words: string): [string, ...string[]] {
    return [
      'sh',
      '-c',
      'journalctl -b -u nvidia-gridd -o cat _PID="$(cat /run/nvidia-gridd/nvidia-gridd.pid)" | grep "$1"',
      'sh',
      words,
    ];
  }
}
