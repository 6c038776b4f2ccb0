import type { IncomingMessage } from 'node:http';
import { AgentError } from '../errors.ts';
import { withoutSecrets } from '../formats/url.ts';
import type { DownloadOptions } from './guest.ts';

const MOST_REDIRECTS = 5;

export interface Asking extends Pick<DownloadOptions, 'trusted'> {
  readonly env: NodeJS.ProcessEnv;
  readonly headers?: Readonly<Record<string, string>>;
  /** Status codes that are answers and not refusals; 200 unless given. */
  readonly welcome?: readonly number[];
}

interface Surroundings extends DownloadOptions, Asking {
  readonly stop: AbortSignal;
}

/** Every error names the URL without what may be a secret in it. */
export async function download(url: string, around: Surroundings): Promise<string> {
  const { stop, timeoutMs } = around;
  stop.throwIfAborted();
  const over = AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)]);
  try {
    return await textOf(await follow(new URL(url), around, over), new URL(url), around.limitBytes);
  } catch (error) {
    stop.throwIfAborted();
    if (error instanceof AgentError) throw error;
    throw over.aborted
      ? failed(url, `nothing came within ${timeoutMs / 1000} s`, UNREACHABLE)
      : explained(url, error as NodeJS.ErrnoException);
  }
}

/** An error of the network or of TLS, with what to do about it. */
export function explained(url: string, { code, message }: NodeJS.ErrnoException): AgentError {
  return failed(url, withoutSecrets(message), remedyFor(code));
}

export const UNREACHABLE =
  'see whether this guest can reach it: name resolution, firewall, HTTPS_PROXY and NO_PROXY in the environment of this program';
const UNTRUSTED =
  "put the certificate authority of that server into the guest's own store (update-ca-certificates or update-ca-trust), and except it from any inspecting proxy";

/** The answer of the last of the servers that a URL leads to; whoever gets it reads it or destroys it. */
export async function follow(first: URL, around: Asking, over: AbortSignal): Promise<IncomingMessage> {
  let url = first;
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    if (url.protocol !== 'https:') {
      throw failed(first.href, `it leads to ${withoutSecrets(url.href)}, which is not https`, 'name an https:// URL');
    }
    const response = await ask(url, around, over);
    const { statusCode = 0, headers } = response;
    if ((around.welcome ?? [200]).includes(statusCode)) return response;
    response.destroy();
    if (statusCode < 300 || statusCode > 399 || headers.location === undefined) {
      throw failed(
        first.href,
        `${url.host} answered with ${statusCode}`,
        'see whether the URL is right, and still valid',
      );
    }
    url = new URL(headers.location, url);
  }
  throw failed(first.href, `it leads on more than ${MOST_REDIRECTS} times`, 'name the last URL of them');
}

async function ask(url: URL, { env, trusted, headers }: Asking, over: AbortSignal): Promise<IncomingMessage> {
  const { Agent, get } = await import('node:https');
  const { HTTPS_PROXY, https_proxy, NO_PROXY, no_proxy } = env;
  const agent = new Agent({
    keepAlive: false,
    proxyEnv: { HTTPS_PROXY, https_proxy, NO_PROXY, no_proxy },
    ...(trusted === undefined ? {} : { ca: trusted }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  get(url, { agent, signal: over, headers: { 'user-agent': 'vgpu-guest', accept: '*/*', ...headers } }, resolve).on(
    'error',
    reject,
  );
  return await promise;
}

/** Stops reading where it is too long, whatever its header says. */
async function textOf(response: IncomingMessage, url: URL, limitBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size <= limitBytes) continue;
    response.destroy();
    throw failed(url.href, `it is larger than ${limitBytes / 1024} KiB`, 'see what is there: it is not what was meant');
  }
  return Buffer.concat(chunks).toString('utf8');
}

export function failed(url: string, because: string, remedy: string): AgentError {
  return new AgentError(`${withoutSecrets(url)} cannot be downloaded: ${because}`, { remedy });
}

/** Codes of OpenSSL's verification and of Node's check of the name. */
function remedyFor(code = ''): string {
  return /CERT|SIGNED|ISSUER|LEAF|CRL|ALTNAME|^ERR_(TLS|SSL)/.test(code) ? UNTRUSTED : UNREACHABLE;
}
