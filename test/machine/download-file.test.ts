import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { AgentError } from '../../src/errors.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { serveProxy, serveWeb, type Web } from '../helpers/web.ts';

const PACKAGE = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
const SHA256 = createHash('sha256').update(PACKAGE).digest('hex');
const PATH = '/var/lib/vgpu-guest/packages/package.run';

/** As web servers do it: the whole, or the rest from a place on. */
const wholeOrRest: RequestListener = (request, response) => {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (from >= PACKAGE.length) return void response.writeHead(416).end();
  const headers = { 'content-length': PACKAGE.length - from };
  if (from === 0) response.writeHead(200, headers);
  else
    response.writeHead(206, { ...headers, 'content-range': `bytes ${from}-${PACKAGE.length - 1}/${PACKAGE.length}` });
  response.end(PACKAGE.subarray(from));
};

interface How {
  readonly sha256?: string;
  /** What an earlier run has left. */
  readonly part?: Buffer;
  readonly env?: NodeJS.ProcessEnv;
  readonly trusted?: string;
}

async function bring(web: Web, { sha256 = SHA256, part, env = {}, trusted = web.authority }: How = {}) {
  const root = temporaryFolder();
  mkdirSync(join(root, 'var/lib/vgpu-guest/packages'), { recursive: true });
  if (part) writeFileSync(join(root, `${PATH}.part`), part);
  const progress: (readonly [number, number | undefined])[] = [];
  const guest = openGuest({ root, env });
  const fault: AgentError | undefined = await guest
    .downloadFile(`${web.origin}/a.run?key=s3cret`, PATH, {
      sha256,
      trusted,
      onProgress: (...told) => progress.push(told),
    })
    .then(
      () => undefined,
      error => error,
    );
  const found = existsSync(join(root, PATH)) ? readFileSync(join(root, PATH)) : undefined;
  return { root, fault, found, progress, hasPart: existsSync(join(root, `${PATH}.part`)) };
}

describe('a package behind a URL', () => {
  test('is brought whole, for root alone, and its progress is told', async () => {
    const { root, fault, found, progress, hasPart } = await bring(await serveWeb(wholeOrRest));
    expect(fault).toBeUndefined();
    expect(found).toEqual(PACKAGE);
    expect(statSync(join(root, PATH)).mode & 0o777).toBe(0o600);
    expect(hasPart).toBe(false);
    expect(progress[0]?.[1]).toBe(PACKAGE.length);
  });

  test('is gone on with where an earlier run has left off', async () => {
    const ranges: (string | undefined)[] = [];
    const web = await serveWeb((request, response) => {
      ranges.push(request.headers.range);
      wholeOrRest(request, response);
    });
    expect((await bring(web, { part: PACKAGE.subarray(0, 100_000) })).found).toEqual(PACKAGE);
    expect(ranges).toEqual(['bytes=100000-']);
  });

  test('that was there but for its name is not brought again', async () => {
    expect((await bring(await serveWeb(wholeOrRest), { part: PACKAGE })).found).toEqual(PACKAGE);
  });

  test('is brought anew where what was there is not its beginning', async () => {
    const web = await serveWeb(wholeOrRest);
    expect((await bring(web, { part: Buffer.alloc(100_000, 1) })).found).toEqual(PACKAGE);
    expect(web.asked).toHaveLength(2);
  });

  test('is brought whole by a server that knows no parts', async () => {
    const web = await serveWeb((_, response) => response.end(PACKAGE));
    expect((await bring(web, { part: PACKAGE.subarray(0, 100_000) })).found).toEqual(PACKAGE);
  });

  test('survives connections that break in the middle', async () => {
    let breaks = 3;
    const web = await serveWeb((request, response) => {
      if (breaks-- <= 0) return wholeOrRest(request, response);
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      response.writeHead(from ? 206 : 200, {
        'content-length': PACKAGE.length - from,
        'content-range': `bytes ${from}-${PACKAGE.length - 1}/${PACKAGE.length}`,
      });
      response.write(PACKAGE.subarray(from, from + 50_000), () => response.destroy());
    });
    const { fault, found } = await bring(web);
    expect(fault).toBeUndefined();
    expect(found).toEqual(PACKAGE);
  });

  test('comes through the proxy of the environment', async () => {
    const web = await serveWeb(wholeOrRest);
    const proxy = await serveProxy();
    expect((await bring(web, { env: { HTTPS_PROXY: proxy.origin } })).found).toEqual(PACKAGE);
    expect(proxy.tunnels).toEqual([`localhost:${web.port}`]);
  });
});

describe('a package behind a URL is refused', () => {
  test('where it hashes to something else, and nothing of it stays', async () => {
    const { fault, found, hasPart } = await bring(await serveWeb(wholeOrRest), { sha256: 'f'.repeat(64) });
    expect(fault).toMatchObject({
      fault: 'blocked',
      message: expect.stringMatching(
        new RegExp(`/a\\.run\\?… hashes to ${SHA256}, and driver\\.sha256 asks for f{64}$`),
      ),
    });
    expect([found, hasPart]).toEqual([undefined, false]);
  });

  test('where there is less room than it needs, before any of it comes', async () => {
    const web = await serveWeb((_, response) => {
      response.writeHead(200, { 'content-length': 2 ** 52 });
      response.write('x');
    });
    const { fault } = await bring(web);
    expect(fault?.message).toMatch(/cannot be downloaded: \d+ MiB are free, and 4294967296 MiB have still to come$/);
  });

  test('where the server says no', async () => {
    const web = await serveWeb((_, response) => response.writeHead(403).end());
    const { fault } = await bring(web);
    expect(fault?.message).toContain(`/a.run?… cannot be downloaded: localhost:${web.port} answered with 403`);
    expect(web.asked).toHaveLength(1);
  });

  test('where the connection breaks again and again without bringing anything', async () => {
    const web = await serveWeb((_, response) => void response.destroy());
    const { fault } = await bring(web);
    expect(fault?.message).toMatch(/\/a\.run\?… cannot be downloaded: /);
    expect(fault?.message).not.toContain('s3cret');
    expect(web.asked).toHaveLength(4);
  });

  test('where nobody trusts the certificate', async () => {
    const web = await serveWeb(wholeOrRest);
    const other = await serveWeb(wholeOrRest);
    const { fault } = await bring(web, { trusted: other.authority });
    expect(fault?.remedy).toContain('update-ca-certificates');
    expect(web.asked).toEqual([]);
  });
});
