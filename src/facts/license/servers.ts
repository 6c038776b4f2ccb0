import type { Config } from '../../config/schema.ts';
import { readGriddConf } from '../../formats/license/gridd-conf.ts';
import type { LicenseSource } from '../../formats/license/license-log.ts';
import type { TokenClaims } from '../../formats/license/token.ts';
import type { GuestView, Outcome, Probe } from '../../guest/guest.ts';
import type { Facts, Look } from '../facts.ts';
import { GRIDD_CONF } from './gridd.ts';

/** Where the license is to come from, and how far the guest gets on the way there. */
export type ServersFact = readonly LicenseServer[];

export interface LicenseServer {
  readonly host: string;
  readonly port: number;
  /** `auth`, `lease`: what the token says that this port is for. */
  readonly services: readonly string[];
  readonly world: 'token' | 'legacy';
  /** The file that names it. */
  readonly from: string;
  readonly resolution: Resolution;
  readonly probe: Probe;
}

type Resolution =
  | { readonly is: 'found'; readonly addresses: readonly string[] }
  | { readonly is: 'failed'; readonly because: string }
  | { readonly is: 'unknown'; readonly because: string };

const RESOLVE_TIMEOUT_MS = 5_000;
const PROBE_TIMEOUT_MS = 4_000;
/** A token that names more is no reason to scan a network. */
const MOST_SERVERS = 16;
/** Of one host; the rest is as good as these. */
const MOST_ADDRESSES = 3;
const LEGACY_PORT = 7070;
/** vGPU 15: from this branch on the daemon knows no legacy server. */
const FIRST_BRANCH_WITHOUT_SERVER = 525;
/** What a system trusts: Debian and SUSE, Red Hat, older SUSE. */
const TRUSTED = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem'];
const TRUSTED_LIMIT_BYTES = 4 * 1024 * 1024;

/** Where the license is to come from, as far as it can be known without asking anybody. */
export function licenseSourceOf(
  { license }: Config,
  { tokenFiles, token, gridd }: Pick<Facts, 'tokenFiles' | 'token' | 'gridd'>,
): LicenseSource {
  return license.server
    ? { world: 'server', servers: namedByConf(gridd) }
    : { world: 'token', servers: namedByTokens(tokenFiles, token).slice(0, MOST_SERVERS) };
}

type Named = Pick<LicenseServer, 'host' | 'port' | 'services' | 'world' | 'from'>;

export async function collectServers({ guest, fact }: Look): Promise<ServersFact> {
  const [files, token, gridd, driver] = await Promise.all([
    fact('tokenFiles'),
    fact('token'),
    fact('gridd'),
    fact('driver'),
  ]);
  const named = [...namedByTokens(files, token), ...(knowsLegacyServers(driver) ? namedByConf(gridd) : [])].slice(
    0,
    MOST_SERVERS,
  );
  if (named.length === 0) return [];
  const trusted = named.some(({ world }) => world === 'token') ? await findTrusted(guest) : undefined;
  const hosts = new Map([...new Set(named.map(({ host }) => host))].map(host => [host, resolve(guest, host)] as const));
  return await Promise.all(
    named.map(async server => {
      const resolution = (await hosts.get(server.host)) ?? NOBODY_ASKED;
      return { ...server, resolution, probe: await probe(guest, server, resolution, trusted) };
    }),
  );
}

const NOBODY_ASKED: Resolution = { is: 'unknown', because: 'nobody was asked' };

/** By the tokens that lie in place; where there is none, by the one that is asked for. */
function namedByTokens({ files }: Facts['tokenFiles'], { source }: Facts['token']): readonly Named[] {
  const placed = files.flatMap(({ path, inspection }) =>
    inspection.is === 'token' ? serversOf(path, inspection.claims) : [],
  );
  if (placed.length > 0) return placed;
  return source.is === 'usable' ? serversOf(source.path, source.claims) : [];
}

/** One entry a host and port, whatever it is for. */
function serversOf(from: string, { nodes }: TokenClaims): readonly Named[] {
  const servers = new Map<string, Named>();
  for (const { host, ports } of nodes) {
    for (const { service, port } of ports) {
      const known = servers.get(`${host}:${port}`)?.services ?? [];
      servers.set(`${host}:${port}`, { host, port, services: [...known, service], world: 'token', from });
    }
  }
  return [...servers.values()];
}

function knowsLegacyServers({ loaded, onDisk }: Facts['driver']): boolean {
  return !(Number.parseInt(loaded ?? onDisk ?? '', 10) >= FIRST_BRANCH_WITHOUT_SERVER);
}

function namedByConf({ conf }: Facts['gridd']): readonly Named[] {
  const keys = readGriddConf(conf?.text ?? '');
  return ['', 'Backup'].flatMap(which => {
    const host = keys.get(`${which}ServerAddress`)?.replace(/^"(.*)"$/, '$1');
    if (!host) return [];
    const port = Number(keys.get(`${which}ServerPort`)) || LEGACY_PORT;
    return [{ host, port, services: [], world: 'legacy' as const, from: GRIDD_CONF }];
  });
}

/** The certificates, as PEM, that the guest trusts; undefined: it keeps none. */
export async function findTrusted(guest: GuestView): Promise<string | undefined> {
  for (const path of TRUSTED) {
    const text = await guest.readText(path, TRUSTED_LIMIT_BYTES);
    if (text?.includes('-----BEGIN CERTIFICATE-----')) return text;
  }
  return undefined;
}

/** At the begin of a line of getent(1): `192.0.2.10`, `2001:db8::1`, `fe80::1%eth0`. */
const ADDRESS = /^((?=\S*[.:])[\da-f.:]+(?:%[\w.-]+)?)\s/i;

/** As every program of the guest resolves it: /etc/hosts, DNS and whatever else nsswitch.conf names. */
async function resolve(guest: GuestView, host: string): Promise<Resolution> {
  if (host.startsWith('-')) return { is: 'failed', because: 'this is no host name' };
  const outcome = await guest.query(['getent', 'ahosts', host], RESOLVE_TIMEOUT_MS);
  const addresses = [...new Set(outcome.stdout.split('\n').flatMap(line => ADDRESS.exec(line)?.[1] ?? []))];
  if (outcome.code === 0 && addresses.length > 0) return { is: 'found', addresses };
  if (outcome.code === 127) return { is: 'unknown', because: 'there is no getent' };
  return { is: 'failed', because: whyNoAddress(outcome) };
}

function whyNoAddress({ code }: Outcome): string {
  if (code === 124) return `getent ahosts gave no answer within ${RESOLVE_TIMEOUT_MS / 1000} s`;
  if (code === 0) return 'getent ahosts named no address';
  return `getent ahosts ended with ${code}${code === 2 ? ' (no such name)' : ''}`;
}

/** Its first addresses at once; the best of what they came to. */
async function probe(
  guest: GuestView,
  { host, port, world }: Named,
  resolution: Resolution,
  trusted: string | undefined,
): Promise<Probe> {
  if (resolution.is !== 'found') return { is: 'unknown', because: 'no address is known' };
  const tls = world === 'token' ? { tls: { serverName: host, trusted } } : {};
  const probes = await Promise.all(
    resolution.addresses
      .slice(0, MOST_ADDRESSES)
      .map(address => guest.probe(address, port, { timeoutMs: PROBE_TIMEOUT_MS, ...tls })),
  );
  return probes.toSorted((one, other) => rank(other) - rank(one))[0] ?? { is: 'unknown', because: 'nobody was asked' };
}

function rank(found: Probe): number {
  if (found.is !== 'connected') return found.is === 'unknown' ? 0 : 1;
  return found.tls === undefined || found.tls.is === 'failed' ? 2 : found.tls.fault === undefined ? 4 : 3;
}
