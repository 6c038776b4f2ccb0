import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Probe, ProbeOptions } from '../../src/guest/guest.ts';
import { folderNetwork, machineNetwork } from '../../src/guest/network.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { type MadeCertificate, makeCertificate } from '../helpers/certificate.ts';
import { temporaryFolder, writeProgram } from '../helpers/temporary.ts';

const AUTHORITY = makeCertificate({ name: 'an authority' });
const DLS = makeCertificate({ name: 'dls.example.com', by: AUTHORITY });
const NAMED: NonNullable<ProbeOptions['tls']> = { serverName: 'dls.example.com', trusted: AUTHORITY.pem };

/** A port that greets each connection so. */
async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => {})));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function tlsPort({ pem, keyPem }: MadeCertificate, answer: (line: string) => string | undefined = () => undefined) {
  const server = createTlsServer({ cert: pem + AUTHORITY.pem, key: keyPem }, socket => {
    socket.on('error', () => {});
    socket.on('data', bytes => {
      const text = answer(bytes.toString());
      if (text !== undefined) socket.end(text);
    });
  });
  server.on('tlsClientError', () => {});
  return listen(server);
}

const probe = (
  port: number,
  options: Partial<ProbeOptions> = {},
  stop = new AbortController().signal,
): Promise<Probe> => machineNetwork(stop).probe('127.0.0.1', port, { timeoutMs: 5_000, ...options });

describe('a connection', () => {
  test('comes about where somebody listens', async () => {
    expect(await probe(await listen(createServer()))).toEqual({ is: 'connected' });
  });

  test('is refused where nobody does', async () => {
    const server = createServer();
    const port = await listen(server);
    await new Promise(resolve => server.close(resolve));
    expect(await probe(port)).toEqual({ is: 'unconnected', code: 'ECONNREFUSED' });
  });

  test('ends with the run', async () => {
    const port = await listen(createServer());
    await expect(probe(port, {}, AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped');
  });
});

describe('TLS', () => {
  test('shows the chain, and nothing to find fault with', async () => {
    const seen = await probe(await tlsPort(DLS), { tls: NAMED, timeoutMs: 300 });
    expect(seen).toMatchObject({ is: 'connected', tls: { is: 'agreed' } });
    const tls = seen.is === 'connected' && seen.tls?.is === 'agreed' ? seen.tls : undefined;
    expect(tls?.fault).toBeUndefined();
    expect(tls?.chain).toMatchObject([
      { subject: 'CN=dls.example.com', issuer: `CN=${AUTHORITY.name}`, names: ['DNS:dls.example.com'] },
      { subject: `CN=${AUTHORITY.name}` },
    ]);
    expect(tls?.chain[0]?.validToUs).toBeGreaterThan(Date.now() * 1000);
  });

  const at = (days: number) => new Date(Date.now() + days * 86_400_000);
  const EXPIRED = makeCertificate({ name: 'dls.example.com', by: AUTHORITY, from: at(-0.9), to: at(-0.1) });
  const EARLY = makeCertificate({ name: 'dls.example.com', by: AUTHORITY, from: at(0.1), to: at(0.9) });
  test.each<[string, MadeCertificate, Partial<typeof NAMED>, string]>([
    ['by an unknown authority', DLS, { trusted: makeCertificate({ name: 'x' }).pem }, 'SELF_SIGNED_CERT_IN_CHAIN'],
    ['for another name', DLS, { serverName: 'dls.example.org' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['that has expired', EXPIRED, {}, 'CERT_HAS_EXPIRED'],
    ['of tomorrow', EARLY, {}, 'CERT_NOT_YET_VALID'],
  ])('with a certificate %s says so', async (_, certificate, options, fault) => {
    const seen = await probe(await tlsPort(certificate), { tls: { ...NAMED, ...options }, timeoutMs: 300 });
    expect(seen).toMatchObject({ is: 'connected', tls: { is: 'agreed', fault } });
  });

  test('is not judged where nothing says what to trust', async () => {
    const seen = await probe(await tlsPort(DLS), { tls: { ...NAMED, trusted: undefined }, timeoutMs: 300 });
    expect(seen.is === 'connected' && seen.tls?.is === 'agreed' && seen.tls.fault).toBeUndefined();
  });

  test('that a port does not speak is a failure after the connection', async () => {
    const port = await listen(createServer(socket => socket.end('220 this is mail\r\n')));
    expect(await probe(port, { tls: NAMED })).toMatchObject({
      is: 'connected',
      tls: { is: 'failed', code: expect.stringMatching(/SSL|ECONNRESET/) },
    });
  });

  test('that is never answered ends at its deadline', async () => {
    const port = await listen(createServer());
    const startedMs = performance.now();
    expect(await probe(port, { tls: NAMED, timeoutMs: 300 })).toEqual({
      is: 'connected',
      tls: { is: 'failed', code: 'ETIMEDOUT' },
    });
    expect(performance.now() - startedMs).toBeLessThan(30_000);
  });
});

describe('the clock of the other side', () => {
  test('is the date that its HTTP server gives', async () => {
    const date = new Date(Date.now() + 3 * 3_600_000).toUTCString();
    const asked: string[] = [];
    const port = await tlsPort(DLS, line => {
      asked.push(line);
      return `HTTP/1.1 404 Not Found\r\nServer: x\r\nDate: ${date}\r\n\r\n`;
    });
    const seen = await probe(port, { tls: NAMED });
    const aheadUs = seen.is === 'connected' && seen.tls?.is === 'agreed' ? seen.tls.serverAheadUs : undefined;
    expect(Math.abs((aheadUs ?? 0) / 1e6 - 10_800)).toBeLessThan(60);
    expect(asked.join('')).toBe(
      `HEAD / HTTP/1.1\r\nHost: dls.example.com:${port}\r\nUser-Agent: vgpu-guest\r\nConnection: close\r\n\r\n`,
    );
  });

  test.each([
    ['says nothing of it', 'HTTP/1.1 200 OK\r\n\r\n'],
    [
      'says it after more than any header',
      `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1_000_000)}\r\nDate: ${new Date(0).toUTCString()}\r\n\r\n`,
    ],
    ['is no web server', '{"error":"what?"}\r\n'],
  ])('is unknown where it %s', async (_, answer) => {
    const seen = await probe(await tlsPort(DLS, () => answer), { tls: NAMED });
    expect(seen).toMatchObject({ is: 'connected', tls: { is: 'agreed' } });
    expect(seen.is === 'connected' && seen.tls).not.toHaveProperty('serverAheadUs');
  });
});

describe('a guest in a folder', () => {
  test('has no network unless a program of the folder plays it', async () => {
    const root = temporaryFolder();
    const guest = openGuest({ root });
    expect(await guest.probe('127.0.0.1', 443, { timeoutMs: 1_000 })).toEqual({
      is: 'unknown',
      because: 'a guest in a folder has no network',
    });
    writeProgram(root, 'network-probe', `echo '{"is":"unconnected","code":"'"$*"'"}'`);
    const play = folderNetwork(guest.query);
    expect(await play.probe('192.0.2.1', 443, { timeoutMs: 1_000, tls: NAMED })).toEqual({
      is: 'unconnected',
      code: '192.0.2.1 443 tls dls.example.com',
    });
    expect(await play.probe('192.0.2.1', 7070, { timeoutMs: 1_000 })).toEqual({
      is: 'unconnected',
      code: '192.0.2.1 7070 tcp',
    });
  });

  test('is not believed to have one when what plays it speaks another language', async () => {
    const root = temporaryFolder();
    writeProgram(root, 'network-probe', "echo 'Dienst läuft nicht'");
    expect(await folderNetwork(openGuest({ root }).query).probe('192.0.2.1', 443, { timeoutMs: 1_000 })).toEqual({
      is: 'unknown',
      because: 'what plays the network of this folder says nothing that can be read',
    });
  });
});
