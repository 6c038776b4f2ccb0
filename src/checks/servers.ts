import type { Facts } from '../facts/facts.ts';
import type { LicenseServer } from '../facts/license/servers.ts';
import { timeOf } from '../formats/time.ts';
import type { Probe } from '../guest/guest.ts';
import { defineSubject, type Evidence, evidence, type Found, seen, unknown } from './check.ts';
import { commandsOf } from './commands.ts';
import { gravity, isLicensed, logEvidence, standing } from './situation.ts';

/** The way to the license servers: name, port, TLS. */
export const servers = defineSubject({
  id: 'servers',
  title: 'license servers',
  reads: ['servers', 'griddLog', 'network', 'gridd', 'smi', 'system'],
  saw(_config, { servers: found, network: { interfaces } }) {
    if (found.length === 0) return seen('neither a token nor gridd.conf names one');
    if (found.every(isUnknown)) return unknown(`${found.map(nameOf).join(', ')}: the network cannot be asked`);
    const ways = found.map(server => `${nameOf(server)} ${howFar(server)}`).join('; ');
    return seen(`${ways} (network interfaces here: ${interfaces.length})`);
  },
  checks: [
    {
      id: 'server-name-not-found',
      causes: [28],
      judge(_config, facts): Found | undefined {
        const { servers: all, griddLog } = facts;
        const nameless = all.filter(({ resolution }) => resolution.is === 'failed');
        const refused = standing(griddLog, 'no-name');
        const [first] = nameless;
        if (!first && refused.length === 0) return undefined;
        return {
          severity: graveIfAll(facts, nameless, refused.length),
          summary: first
            ? `the name ${first.host} of the license server is not found`
            : "nvidia-gridd does not find the license server's name",
          cause:
            'DNS does not know the name, no name server answers, or the name in the token is one of another network',
          remedy: `getent ahosts ${first?.host ?? 'NAME'} shows what this guest finds; set the name server (resolvectl status, /etc/resolv.conf), or put the DLS into /etc/hosts`,
          evidence: [
            ...nameless.flatMap(server => [
              evidence(server.from, nameOf(server)),
              evidence(
                `getent ahosts ${server.host}`,
                server.resolution.is === 'failed' ? server.resolution.because : '',
              ),
            ]),
            ...logEvidence(griddLog, refused),
            ...proxyEvidence(facts),
          ],
        };
      },
    },
    {
      id: 'server-unreachable',
      causes: [28],
      judge(_config, facts): Found | undefined {
        const { servers: all, griddLog } = facts;
        const closed = all.filter(({ probe }) => probe.is === 'unconnected');
        const refused = standing(griddLog, 'unreachable');
        const [first] = closed;
        if (!first && refused.length === 0) return undefined;
        return {
          severity: graveIfAll(facts, closed, refused.length),
          summary: first
            ? `${nameOf(first)} of the license server cannot be reached`
            : 'nvidia-gridd cannot reach the license server',
          cause: first
            ? whyClosed(first.probe)
            : 'its log says so; when this guest was looked at, the ways that are known were open or could not be tried',
          remedy: `open the way from this guest to ${(closed.length > 0 ? closed : all).map(nameOf).join(' and ') || 'the license server'} in firewall and routing, and see that the service runs there`,
          evidence: [
            ...closed.flatMap(server => [evidence(server.from, nameOf(server)), probeEvidence(server)]),
            ...logEvidence(griddLog, refused),
            ...proxyEvidence(facts),
          ],
        };
      },
    },
    {
      id: 'proxy-not-told',
      causes: [29],
      judge(_config, facts): Found | undefined {
        const { servers: all, network, gridd } = facts;
        const [first] = all.filter(({ resolution, probe }) => resolution.is === 'failed' || probe.is === 'unconnected');
        if (!first || network.proxies.length === 0 || proxyKeys(gridd.conf?.text).length > 0) return undefined;
        const offered = proxyKeys(gridd.template, 'commented too');
        return {
          severity: isLicensed(facts.smi) ? 'info' : 'warning',
          summary: 'this system reaches the web by a proxy, and nvidia-gridd is not told of it',
          cause: 'nvidia-gridd may take its proxy from gridd.conf only, and not from the environment',
          remedy:
            offered.length > 0
              ? `open the way to ${nameOf(first)}, or set the keys that the installed template offers (${offered.join(', ')}) under gridd: in /etc/vgpu-guest/config.yaml and run vgpu-guest apply; for a proxy with a password, /etc/nvidia/grid-proxy-credentials.sh`
              : `open the way to ${nameOf(first)}; the installed gridd.conf.template offers no keys for a proxy`,
          evidence: [...network.proxies.map(({ at, shows }) => evidence(at, shows)), probeEvidence(first)],
        };
      },
    },
    {
      id: 'tls-fails',
      causes: [30],
      judge(_config, facts): Found | undefined {
        const { servers: all, griddLog } = facts;
        const broken = all.filter(({ probe }) => probe.is === 'connected' && probe.tls?.is === 'failed');
        const [first] = broken;
        if (!first) return undefined;
        return {
          severity: graveIfAll(facts, broken, 0),
          summary: `${nameOf(first)} takes the connection and does not speak TLS with this guest`,
          cause:
            'something on the way, such as a firewall that inspects or an intercepting proxy, may end it, or another service listens there',
          remedy: `except ${first.host} from inspection, and see what listens on port ${first.port}`,
          evidence: [...broken.map(probeEvidence), ...logEvidence(griddLog, standing(griddLog, 'tls'))],
        };
      },
    },
    {
      id: 'tls-not-trusted',
      causes: [30],
      judge(_config, facts): Found | undefined {
        const { servers: all, griddLog, system } = facts;
        const doubtful = all.flatMap(server => {
          const fault = faultOf(server.probe);
          return fault === undefined ? [] : [{ server, fault }];
        });
        const refused = standing(griddLog, 'tls');
        const [first] = doubtful;
        if (!first && refused.length === 0) return undefined;
        // many a DLS has an authority of its own, and the license has come all the same
        const isOwnAuthority = doubtful.every(({ fault }) => !(fault in WHY_NOT_TRUSTED));
        return {
          severity:
            refused.length > 0 ? gravity(facts.smi) : isOwnAuthority && isLicensed(facts.smi) ? 'info' : 'warning',
          summary: first
            ? `this guest does not trust the certificate of ${nameOf(first.server)}`
            : 'nvidia-gridd does not trust the license server',
          cause: first
            ? whyNotTrusted(first.fault)
            : 'its connection may be intercepted, or the DLS has another certificate than its token knows',
          remedy: remedyForAuthority(first?.server, system),
          evidence: [
            ...doubtful.flatMap(({ server, fault }) => [
              evidence(`TLS to ${nameOf(server)}`, fault),
              ...chainEvidence(server),
            ]),
            ...logEvidence(griddLog, refused),
          ],
        };
      },
    },
  ],
});

/** What the trust of the guest itself is worth to nvidia-gridd has not been published. */
function remedyForAuthority(server: LicenseServer | undefined, system: Facts['system']): string {
  const name = server ? nameOf(server) : 'the license server';
  return [
    `see who issued the certificate of ${name}`,
    'if it is your own DLS: download a new token from it, as after each change of its certificate or host name, and vgpu-guest token rotate FILE',
    `if it is an intercepting proxy: let it except ${server?.host ?? 'that host'}`,
    `to let the programs of this guest trust that authority: ${commandsOf(system).trustAuthority} (whether nvidia-gridd goes by that is not known)`,
  ].join('; ');
}

type Seen = Pick<Facts, 'servers' | 'smi' | 'gridd'>;

/** One dead node of several is a warning, and so is a way that a proxy may go instead. */
function graveIfAll(
  { servers: all, smi, gridd }: Seen,
  bad: readonly LicenseServer[],
  lines: number,
): Found['severity'] {
  if (lines > 0) return gravity(smi);
  const isAll = all.every(({ host }) => bad.some(server => server.host === host));
  return isAll && proxyKeys(gridd.conf?.text).length === 0 ? gravity(smi) : 'warning';
}

function isUnknown({ resolution, probe }: LicenseServer): boolean {
  return resolution.is === 'unknown' || (resolution.is === 'found' && probe.is === 'unknown');
}

function nameOf({ host, port }: LicenseServer): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function howFar({ resolution, probe }: LicenseServer): string {
  if (resolution.is !== 'found')
    return resolution.is === 'failed' ? 'is not found' : `is not known (${resolution.because})`;
  switch (probe.is) {
    case 'unknown':
      return `is not known (${probe.because})`;
    case 'unconnected':
      return `cannot be reached (${probe.code})`;
    case 'connected':
      if (probe.tls === undefined) return 'can be reached';
      if (probe.tls.is === 'failed') return `can be reached, no TLS (${probe.tls.code})`;
      return `can be reached, ${probe.tls.fault === undefined ? 'TLS' : `TLS with a certificate that is not trusted (${probe.tls.fault})`}`;
  }
}

function probeEvidence(server: LicenseServer): Evidence {
  const { resolution } = server;
  const addresses = resolution.is === 'found' ? ` (${resolution.addresses.join(', ')})` : '';
  return evidence(`TCP to ${nameOf(server)}${addresses}`, howFar(server));
}

function whyClosed(probe: Probe): string {
  switch (probe.is === 'unconnected' ? probe.code : '') {
    case 'ECONNREFUSED':
      return 'nothing listens on that port, or a firewall refuses for it';
    case 'ETIMEDOUT':
      return 'nothing answers: a firewall may drop the packets, or the service does not run';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no route to it';
    default:
      return 'the connection ends before it has begun';
  }
}

function faultOf(probe: Probe): string | undefined {
  return probe.is === 'connected' && probe.tls?.is === 'agreed' ? probe.tls.fault : undefined;
}

/** Codes of OpenSSL and of Node; all others are about the authority. */
const WHY_NOT_TRUSTED: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "a certificate of the chain has expired, or the guest's clock is ahead",
  CERT_NOT_YET_VALID: "a certificate of the chain is not valid yet: the guest's clock may be behind",
  ERR_TLS_CERT_ALTNAME_INVALID:
    'the certificate is for another name: something may answer in the place of the license server',
};

function whyNotTrusted(fault: string): string {
  return (
    WHY_NOT_TRUSTED[fault] ??
    'its authority is none that this guest knows: the own one of a DLS, or that of an intercepting proxy; whether nvidia-gridd minds, its log and the license tell'
  );
}

function chainEvidence({ host, port, probe }: LicenseServer): readonly Evidence[] {
  if (probe.is !== 'connected' || probe.tls?.is !== 'agreed') return [];
  return probe.tls.chain.map(({ subject, issuer, validFromUs, validToUs }) =>
    evidence(
      `certificate of ${host}:${port}`,
      `${subject}; issued by ${issuer}; ${timeOf(validFromUs)} to ${timeOf(validToUs)}`,
    ),
  );
}

/** Names only: what they are set to may be a secret. Their spelling is the installed driver's own matter. */
function proxyKeys(text = '', which: 'active' | 'commented too' = 'active'): readonly string[] {
  const line = which === 'active' ? /^[ \t]*(Proxy\w+)[ \t]*=[ \t]*\S/gim : /^[ \t#]*(Proxy\w+)[ \t]*=/gim;
  return [...new Set([...text.matchAll(line)].map(([, key]) => key ?? ''))];
}

function proxyEvidence({ gridd }: Pick<Facts, 'gridd'>): readonly Evidence[] {
  const keys = proxyKeys(gridd.conf?.text);
  return keys.length === 0
    ? []
    : [evidence('/etc/nvidia/gridd.conf', `${keys.join(', ')} set: the daemon may go by a proxy`)];
}
