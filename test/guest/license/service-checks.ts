import { makeKey } from '../../helpers/token.ts';
import type { Check } from '../checks.ts';
import { begin, type LicenseBed, OTHER_HOST, SERVICE_HOST, STORE, VWS } from './bed.ts';
import { apply, assertFound, assertLicensed, assertUnlicensed } from './program.ts';
import type { Behaviour } from './service.ts';

/** A service that gives no license, in every way that is known, and what the program makes of it. */
export function serviceChecks(bed: LicenseBed): readonly Check[] {
  return [...refusals(bed).map(refusal => refusalCheck(bed, refusal)), ...returnChecks(bed)];
}

interface Refusal {
  readonly title: string;
  readonly token?: string;
  readonly behaviour?: Behaviour;
  readonly before?: () => Promise<void> | void;
  readonly because: RegExp;
  readonly remedy: RegExp;
  /** What doctor finds first. */
  readonly finding: string;
}

function refusals({ service }: LicenseBed): readonly Refusal[] {
  const open = new RegExp(`open the way .* to ${SERVICE_HOST}:${service.port} in firewall`);
  return [
    {
      title: 'a service without licenses of the product',
      before: () => service.setPool(VWS, undefined),
      because: /has no license of the product .*No pool features found for : NVIDIA RTX Virtual Workstation/,
      remedy: /assign licenses of that product/,
      finding: 'product-not-on-server',
    },
    {
      title: 'a service whose licenses are all in use',
      before: () => service.setPool(VWS, 0),
      because: /all licenses of that product are in use/,
      remedy: /free a license on the license server/,
      finding: 'licenses-exhausted',
    },
    {
      title: 'a closed port',
      behaviour: { is: 'unreachable' },
      because: /the license server cannot be reached .*Connection refused/,
      remedy: open,
      finding: 'server-unreachable',
    },
    {
      title: 'a service that takes the connection and says nothing',
      behaviour: { is: 'hang' },
      because: /the license server cannot be reached .*timed out/,
      remedy: open,
      finding: 'server-unreachable',
    },
    {
      title: 'a host name that nobody knows',
      token: service.token({ host: 'nowhere.license.test' }),
      because: /name is not found .*Could not resolve host: nowhere\.license\.test/,
      remedy: /getent ahosts nowhere\.license\.test/,
      finding: 'server-name-not-found',
    },
    {
      title: 'a certificate of an authority that the guest does not trust',
      behaviour: { is: 'foreign-authority' },
      because: /is not trusted .*unable to get local issuer certificate/,
      remedy: /intercepting proxy/,
      finding: 'tls-not-trusted',
    },
    {
      title: 'a certificate for another name',
      token: service.token({ host: OTHER_HOST }),
      because: /is not trusted .*Hostname mismatch/,
      remedy: /download a new token from it/,
      finding: 'tls-not-trusted',
    },
    {
      title: 'a clock of the service that is three hours ahead',
      behaviour: { is: 'clock-shifted', seconds: 3 * 3600 },
      because: /clocks .* differ.*The allowed time to process response has expired/,
      remedy: /set both clocks by NTP/,
      finding: 'clock-differs',
    },
    {
      title: 'a service of NVIDIA, which a stand-in never asks,',
      token: service.token({ host: 'api.cls.licensing.nvidia.com' }),
      because: /cannot be reached .*the stand-in asks nobody but the test bed/,
      remedy: /open the way .* to api\.cls\.licensing\.nvidia\.com:/,
      finding: 'server-name-not-found',
    },
    {
      title: 'a token of before the service was set up anew',
      token: service.token({ key: makeKey() }),
      because: /the license server has not granted a license .*another service instance/,
      remedy: /journalctl/,
      finding: 'license-refused',
    },
  ];
}

function refusalCheck(bed: LicenseBed, { title, token, behaviour, before, because, remedy, finding }: Refusal): Check {
  return [
    `${title} is named at the deadline, with its remedy`,
    async () => {
      await begin(bed, token === undefined ? {} : { token });
      await before?.();
      if (behaviour) await bed.service.behave(behaviour);
      assertUnlicensed(await apply(bed), because, remedy);
      await assertFound(bed, `error ${finding}`);
    },
  ];
}

/** What ends well after all, or needs something that happened before. */
function returnChecks(bed: LicenseBed): readonly Check[] {
  const { guest, service } = bed;
  return [
    [
      'a service that thinks for a second is waited for',
      async () => {
        await begin(bed, { retryS: bed.pace.retryS + 2 });
        await service.behave({ is: 'slow', ms: 1_000 });
        assertLicensed(await apply(bed, '--license-timeout', '30s'), VWS);
      },
    ],
    [
      'a service that goes away during the wait and comes back gives the license to the same run',
      async () => {
        await begin(bed);
        await service.behave({ is: 'hang' });
        const run = apply(bed, '--license-timeout', '60s');
        run.catch(() => undefined);
        await said(/Acquiring license/);
        await service.behave({ is: 'unreachable' });
        await said(/Connection refused/);
        await service.behave({ is: 'grant' });
        assertLicensed(await run, VWS);
      },
    ],
    [
      'a clock that was set back since the last license is named at the deadline, with its remedy',
      async () => {
        await begin(bed);
        assertLicensed(await apply(bed), VWS);
        await guest.succeed(['systemctl', 'stop', 'nvidia-gridd']);
        // the same to the daemon, and all else on this machine keeps its time
        await guest.succeed(['sed', '-i', 's/"last_time_s": [0-9]/&9/', STORE]);
        assertUnlicensed(await apply(bed), /clock has jumped back/, /set the clock and keep it right/);
        await assertFound(bed, 'error clock-windback');
      },
    ],
  ];

  async function said(words: RegExp): Promise<void> {
    const journal = 'journalctl --boot --output=cat --identifier=nvidia-gridd | tac | sed "/^Started/q"';
    await guest.waitUntilSucceeds(['sh', '-c', `${journal} | grep -e "$1"`, 'sh', words.source]);
  }
}
