import { describe, expect, it } from 'vitest';
import type { AgentError } from '../../src/errors.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { serveProxy, serveWeb, type Web } from '../helpers/web.ts';

interface How {
  readonly trusted?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
  readonly stop?: AbortSignal;
}

const download = (url: string, { trusted, env = {}, timeoutMs = 20_000, stop }: How) =>
  openGuest({ root: temporaryFolder(), env, ...(stop ? { stop } : {}) }).download(url, {
    limitBytes: 2048,
    timeoutMs,
    trusted,
  });
const refusalOf = async (url: string, how: How) =>
  (await download(url, how).then(
    text => expect.unreachable(`it was downloaded: ${text}`),
    error => error,
  )) as AgentError;
const trustIn = ({ authority }: Web) => ({ trusted: authority });

describe('what lies behind an https:// URL', () => {
  it('is brought as it is', async () => {
    const web = await serveWeb((_, response) => response.end('a token\n'));
    expect(await download(`${web.origin}/a.tok?signature=s3cret`, trustIn(web))).toBe('a token\n');
    expect(web.asked).toEqual(['/a.tok?signature=s3cret']);
  });

  it('is brought from where it has gone', async () => {
    const web = await serveWeb((request, response) => {
      if (request.url === '/there/new') response.end('found');
      else response.writeHead(302, { location: request.url === '/old' ? '/there' : 'there/new' }).end();
    });
    expect(await download(`${web.origin}/old`, trustIn(web)).catch(() => 'lost')).toBe('found');
  });

  it('is brought through the proxy of the environment, and past it where that says so', async () => {
    const web = await serveWeb((_, response) => response.end('a token'));
    const proxy = await serveProxy();
    const env = { HTTPS_PROXY: proxy.origin };
    expect(await download(`${web.origin}/`, { ...trustIn(web), env })).toBe('a token');
    expect(proxy.tunnels).toEqual([`localhost:${web.port}`]);
    expect(await download(`${web.origin}/`, { ...trustIn(web), env: { ...env, NO_PROXY: 'localhost' } })).toBe(
      'a token',
    );
    expect(proxy.tunnels).toHaveLength(1);
  });
});

describe('a download is refused by name', () => {
  it('where nobody trusts the certificate', async () => {
    const web = await serveWeb((_, response) => response.end('x'));
    const { message, remedy } = await refusalOf(`${web.origin}/a?key=s3cret`, {});
    expect(message).toMatch(new RegExp(`^${web.origin}/a\\?… cannot be downloaded: .*certificate`));
    expect(remedy).toContain('update-ca-certificates');
    expect(web.asked).toEqual([]);
  });

  it.each<[string, Parameters<typeof serveWeb>[1]]>([
    ['has another name', { names: ['elsewhere.example'] }],
    ['has expired', { fromDays: -9, toDays: -2 }],
    ['is not valid yet', { fromDays: 2, toDays: 9 }],
  ])('where the certificate %s', async (_title, given) => {
    const web = await serveWeb((_, response) => response.end('x'), given);
    expect((await refusalOf(web.origin, trustIn(web))).remedy).toContain('update-ca-certificates');
    expect(web.asked).toEqual([]);
  });

  it('where it leads away from https', async () => {
    const web = await serveWeb((_, response) =>
      response.writeHead(301, { location: 'http://localhost/a?k=s3cret' }).end(),
    );
    const { message } = await refusalOf(`${web.origin}/a`, trustIn(web));
    expect(message).toBe(`${web.origin}/a cannot be downloaded: it leads to http://localhost/a?…, which is not https`);
  });

  it('where it leads round in a circle', async () => {
    const web = await serveWeb((_, response) => response.writeHead(302, { location: '/' }).end());
    expect((await refusalOf(web.origin, trustIn(web))).message).toContain('leads on more than 5 times');
    expect(web.asked).toHaveLength(6);
  });

  it('where it is not there', async () => {
    const web = await serveWeb((_, response) => response.writeHead(404).end('no'));
    expect((await refusalOf(`${web.origin}/a`, trustIn(web))).message).toContain(
      `localhost:${web.port} answered with 404`,
    );
  });

  it('where it does not end', async () => {
    const web = await serveWeb((_, response) => {
      response.on('error', () => {});
      const more = () => response.writable && response.write('x'.repeat(1024), () => setImmediate(more));
      more();
    });
    expect((await refusalOf(web.origin, trustIn(web))).message).toContain('it is larger than 2 KiB');
  });

  it('where nothing comes in time', async () => {
    const web = await serveWeb((_, response) => response.write('x'));
    expect((await refusalOf(web.origin, { ...trustIn(web), timeoutMs: 300 })).message).toContain(
      'nothing came within 0.3 s',
    );
  });

  it('where nobody listens', async () => {
    const { message, remedy } = await refusalOf('https://127.0.0.1:1/', {});
    expect(message).toMatch(/cannot be downloaded: .*ECONNREFUSED/);
    expect(remedy).toContain('HTTPS_PROXY');
  });
});

it('a download ends when the run is told to stop', async () => {
  const stop = new AbortController();
  const web = await serveWeb(() => stop.abort(new Error('stopped')));
  await expect(download(web.origin, { ...trustIn(web), stop: stop.signal })).rejects.toThrow('stopped');
});
