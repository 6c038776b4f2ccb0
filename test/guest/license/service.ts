/**
 * The license service of the test bed, for the stand-in nvidia-gridd only: PROTOCOL.md says how they talk. It is not NVIDIA's protocol,
 * and no daemon of NVIDIA's can get anything here.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { createSecureContext, TLSSocket } from 'node:tls';
import { makeKey, makeToken, type TokenOptions } from '../../helpers/token.ts';
import { makeCertificates } from './certificates.ts';
import { createLedger, type Lease } from './ledger.ts';

export interface LicenseServiceOptions {
  /** Names and addresses that the certificate is good for; the first one is what tokens say. */
  readonly hosts: readonly [string, ...string[]];
  /** How many licenses there are of each product. */
  readonly pools?: Readonly<Record<string, number>>;
  /** For how long a license is given; a day unless it is said. */
  readonly leaseMs?: number;
  /** Ends whatever is under way. */
  readonly signal: AbortSignal;
}

export type Behaviour =
  | { readonly is: 'grant' }
  | { readonly is: 'refuse'; readonly reason: string }
  | { readonly is: 'slow'; readonly ms: number }
  /** Its ports are closed. */
  | { readonly is: 'unreachable' }
  /** Takes connections and says nothing. */
  | { readonly is: 'hang' }
  /** Its certificate comes from an authority that nobody trusts. */
  | { readonly is: 'foreign-authority' }
  | { readonly is: 'clock-shifted'; readonly seconds: number };

export interface LicenseService extends AsyncDisposable {
  /** By token, over TLS. */
  readonly port: number;
  /** Of the legacy server. */
  readonly legacyPort: number;
  /** The certificate (PEM) that guests must trust. */
  readonly authority: string;
  /** From now on; connections that are open are closed. */
  behave(behaviour: Behaviour): Promise<void>;
  /** A token for this service, unless the options say otherwise. */
  token(options?: TokenOptions): string;
  /** Everything that was granted so far. */
  leases(): readonly Lease[];
  /** As after an older state of its database was put back. */
  forgetLeases(): void;
  /** How many licenses there are of a product from now on; undefined: there is no such pool. */
  setPool(product: string, count: number | undefined): void;
  setLease(leaseMs: number): void;
  /** Pools and length of a lease as at the beginning. */
  restore(): void;
}

const PROTOCOL = 'vgpu-guest-test-bed/1';
/** Of NLS, as its tokens and logs show it. */
const DAY_MS = 86_400_000;
/** How far the clocks may differ: a choice of the test bed. */
const CLOCK_TOLERANCE_S = 300;
const NO_LEGACY_FEATURE = '[1,7E2,2,0[7000000B,0,702C7]] Requested feature was not found.';
const PRODUCTS = [
  'NVIDIA RTX Virtual Workstation',
  'NVIDIA Virtual PC',
  'NVIDIA Virtual Applications',
  'NVIDIA Virtual Compute Server',
  'NVIDIA vGPU for Compute',
];
/** Below the ports that a kernel gives to outgoing connections, so that a closed port is still free when it is opened again. */
const PORTS = { from: 20_000, to: 32_000 };

/** On this machine's loopback: a container sees it there, a VM as 10.0.2.2. */
export async function startLicenseService(options: LicenseServiceOptions): Promise<LicenseService> {
  const { hosts, signal } = options;
  let { leaseMs = DAY_MS } = options;
  const allPools = options.pools ?? Object.fromEntries(PRODUCTS.map(product => [product, 100]));
  let pools = { ...allPools };
  const [trusted, foreign] = await Promise.all([makeCertificates(hosts, signal), makeCertificates(hosts, signal)]);
  const contexts = {
    trusted: createSecureContext(secretsOf(trusted)),
    foreign: createSecureContext(secretsOf(foreign)),
  };
  const key = makeKey();
  const ledger = createLedger(product => pools[product]);
  const sockets = new Set<Socket>();
  let behaviour: Behaviour = { is: 'grant' };

  const byToken = createServer(socket => {
    if (!admit(socket)) return;
    const secureContext = behaviour.is === 'foreign-authority' ? contexts.foreign : contexts.trusted;
    converse(new TLSSocket(socket, { isServer: true, secureContext }), 'token');
  });
  const legacy = createServer(socket => {
    if (admit(socket)) converse(socket, 'legacy');
  });
  const [port, legacyPort] = [await openAnywhere(byToken), await openAnywhere(legacy)];

  /** Whether the connection is spoken to. */
  function admit(socket: Socket): boolean {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // a guest that is killed, or that does not trust the certificate
    socket.on('error', () => undefined);
    return behaviour.is !== 'hang';
  }

  function converse(stream: Socket, world: 'token' | 'legacy'): void {
    stream.on('error', () => undefined);
    const lines = createInterface({ input: stream });
    lines.on('error', () => undefined);
    lines.once('line', async line => {
      const present = behaviour;
      if (present.is === 'slow') await delay(present.ms, undefined, { signal }).catch(() => undefined);
      // somebody who has gone away gets no lease
      if (!stream.destroyed) stream.end(`${JSON.stringify({ protocol: PROTOCOL, ...answer(line, world, present) })}\n`);
    });
  }

  function answer(line: string, world: 'token' | 'legacy', present: Behaviour): object {
    const question = readQuestion(line);
    if (!question) return refused('not a question of this protocol');
    const { lease: id, who, product, seats } = question;
    if (question.verb === 'return') {
      ledger.giveBack({ id, who });
      return { answer: 'returned' };
    }
    if (present.is === 'refuse') return refused(present.reason);
    const nowS = Date.now() / 1000 + (present.is === 'clock-shifted' ? present.seconds : 0);
    if (Math.abs(nowS - question.time_s) > CLOCK_TOLERANCE_S)
      return refused('The allowed time to process response has expired');
    if (world === 'token' && !isSignedBy(key, question.token))
      return refused('The token was given by another service instance');
    const askedMs = (question.interval_s ?? Number.POSITIVE_INFINITY) * 1000;
    const request = { id, who, product, seats, leaseMs: Math.min(leaseMs, world === 'legacy' ? askedMs : leaseMs) };
    const lease = question.verb === 'renew' ? ledger.renew(request) : ledger.acquire(request);
    if (lease === undefined) return { answer: 'mismatch' };
    if (lease === 'no such pool')
      return refused(world === 'legacy' ? NO_LEGACY_FEATURE : `No pool features found for : ${product}`);
    if (lease === 'exhausted') return refused(`Insufficient licenses for : ${product}`);
    return { answer: 'granted', lease_s: request.leaseMs / 1000, expires_s: lease.expiresMs / 1000 };
  }

  async function close(): Promise<void> {
    for (const socket of sockets) socket.destroy();
    await Promise.all([byToken, legacy].filter(({ listening }) => listening).map(server => closed(server)));
  }

  return {
    port,
    legacyPort,
    authority: trusted.authority,
    async behave(next) {
      behaviour = next;
      for (const socket of sockets) socket.destroy();
      if (next.is === 'unreachable') return await close();
      if (!byToken.listening) await Promise.all([open(byToken, port), open(legacy, legacyPort)]);
    },
    token: given => makeToken({ host: hosts[0], ports: { auth: port, lease: port }, key, ...given }),
    leases: ledger.leases,
    forgetLeases: ledger.forget,
    setPool(product, count) {
      const { [product]: _, ...others } = pools;
      pools = count === undefined ? others : { ...others, [product]: count };
    },
    setLease(ms) {
      leaseMs = ms;
    },
    restore() {
      pools = { ...allPools };
      leaseMs = options.leaseMs ?? DAY_MS;
    },
    [Symbol.asyncDispose]: close,
  };
}

interface Question {
  readonly verb: 'acquire' | 'renew' | 'return';
  readonly who: string;
  readonly lease: string;
  readonly product: string;
  readonly seats: number;
  readonly time_s: number;
  readonly token?: string;
  readonly interval_s?: number;
}

function readQuestion(line: string): Question | undefined {
  try {
    const question = JSON.parse(line) as Question & { readonly protocol?: string };
    return question.protocol === PROTOCOL ? question : undefined;
  } catch {
    return undefined;
  }
}

function refused(reason: string): object {
  return { answer: 'refused', reason };
}

/** A token of before the service was set up anew is worth nothing. */
function isSignedBy(key: KeyObject, token = ''): boolean {
  const [head, claims, signature = ''] = token.split('.');
  const signed = Buffer.from(`${head}.${claims}`);
  return verify('RSA-SHA256', signed, createPublicKey(key), Buffer.from(signature, 'base64url'));
}

function secretsOf({ certificate, key }: { readonly certificate: string; readonly key: string }) {
  return { cert: certificate, key };
}

async function openAnywhere(server: Server): Promise<number> {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    try {
      await open(server, port);
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

async function open(server: Server, port: number): Promise<void> {
  server.listen({ port, host: '127.0.0.1' });
  await once(server, 'listening');
}

async function closed(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}
