import type { Socket } from 'node:net';
import type { ConnectionOptions, DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { GuestView, Probe, ProbeOptions, SeenCertificate } from './guest.ts';

type Network = Pick<GuestView, 'probe'>;

/** How long an answer to the one line that is said may take; what comes later is not needed. */
const DATE_WAIT_MS = 1_500;
/** A header that has no date by then has none. */
const HEADER_LIMIT = 16 * 1024;
/** A chain is three or four certificates long. */
const MOST_CERTIFICATES = 10;

/** Connects from this machine, which is the guest, and says nothing that belongs to a license. Loads TLS when it is first needed. */
export function machineNetwork(stop: AbortSignal): Network {
  return {
    async probe(address, port, options) {
      stop.throwIfAborted();
      const over = AbortSignal.any([stop, AbortSignal.timeout(options.timeoutMs)]);
      const { connect } = await import('node:net');
      const socket = connect({ host: address, port });
      try {
        const failure = await outcomeOf(socket, 'connect', over);
        stop.throwIfAborted();
        if (failure !== undefined) return { is: 'unconnected', code: failure };
        return { is: 'connected', ...(options.tls ? { tls: await shakeHands(socket, port, options.tls, over) } : {}) };
      } finally {
        socket.destroy();
      }
    },
  };
}

/** A guest in a folder has no network: a program of the folder plays it, and without one nothing is known. */
export function folderNetwork(query: GuestView['query']): Network {
  return {
    async probe(address, port, { tls, timeoutMs }) {
      const how = tls ? ['tls', tls.serverName] : ['tcp'];
      const { code, stdout } = await query(['network-probe', address, String(port), ...how], timeoutMs);
      if (code !== 0) return { is: 'unknown', because: 'a guest in a folder has no network' };
      try {
        return JSON.parse(stdout) as Probe;
      } catch {
        return { is: 'unknown', because: 'what plays the network of this folder says nothing that can be read' };
      }
    },
  };
}

type TlsOptions = NonNullable<ProbeOptions['tls']>;
type TlsSeen = NonNullable<Extract<Probe, { is: 'connected' }>['tls']>;

async function shakeHands(
  socket: Socket,
  port: number,
  { serverName, trusted }: TlsOptions,
  over: AbortSignal,
): Promise<TlsSeen> {
  const [{ isIP }, { connect }] = await Promise.all([import('node:net'), import('node:tls')]);
  const options: ConnectionOptions = {
    socket,
    host: serverName,
    servername: isIP(serverName) ? '' : serverName,
    rejectUnauthorized: false, // a chain that is not trusted is what there is to see
    ...(trusted === undefined ? {} : { ca: trusted }),
  };
  const secure = connect(options);
  try {
    const failure = await outcomeOf(secure, 'secureConnect', over);
    if (failure !== undefined) return { is: 'failed', code: failure };
    const chain = chainOf(secure.getPeerCertificate(true));
    const fault = secure.authorized ? undefined : String(secure.authorizationError);
    const dateUs = await dateOf(secure, `${serverName}:${port}`, over);
    return {
      is: 'agreed',
      chain,
      ...(fault === undefined || trusted === undefined ? {} : { fault }),
      ...(dateUs === undefined ? {} : { serverAheadUs: dateUs - Date.now() * 1000 }),
    };
  } finally {
    secure.destroy();
  }
}

/** The code of what went wrong; undefined: it went well. */
async function outcomeOf(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  over: AbortSignal,
): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const onOver = () => resolve('ETIMEDOUT');
  over.addEventListener('abort', onOver);
  socket.once(event, () => resolve(undefined));
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  socket.once('close', () => resolve('ECONNRESET'));
  if (over.aborted) onOver();
  const code = await promise;
  over.removeEventListener('abort', onOver);
  return code;
}

function chainOf(leaf: DetailedPeerCertificate): readonly SeenCertificate[] {
  const chain: SeenCertificate[] = [];
  for (let at: DetailedPeerCertificate | undefined = leaf; at?.subject && chain.length < MOST_CERTIFICATES; ) {
    chain.push({
      subject: nameOf(at.subject),
      issuer: nameOf(at.issuer),
      validFromUs: Date.parse(at.valid_from) * 1000,
      validToUs: Date.parse(at.valid_to) * 1000,
      names: at.subjectaltname?.split(', ') ?? [],
    });
    at = at.issuerCertificate === at ? undefined : at.issuerCertificate;
  }
  return chain;
}

function nameOf(name: DetailedPeerCertificate['subject'] | undefined): string {
  return Object.entries(name ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
}

/** The clock of the other side, by the date that every HTTP server gives; nothing is asked of its license service. */
async function dateOf(secure: TLSSocket, host: string, over: AbortSignal): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => resolve();
  const timer = setTimeout(done, DATE_WAIT_MS);
  over.addEventListener('abort', done);
  let answer = '';
  secure.on('data', (bytes: Buffer) => {
    answer += bytes.toString('latin1');
    if (answer.length > HEADER_LIMIT || answer.includes('\r\n\r\n')) done();
  });
  secure.once('close', done);
  secure.write(`HEAD / HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: vgpu-guest\r\nConnection: close\r\n\r\n`);
  await promise;
  clearTimeout(timer);
  over.removeEventListener('abort', done);
  const [, date] = /^HTTP\/[\s\S]*?\r\nDate: ([^\r]{1,64})\r\n/i.exec(answer) ?? [];
  const ms = Date.parse(date ?? '');
  return Number.isNaN(ms) ? undefined : ms * 1000;
}
