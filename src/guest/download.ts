import type { IncomingMessage } from 'node:http';
import { AgentError } from '../errors.ts';
import { withoutSecrets } from '../formats/url.ts';
import type { DownloadOptions } from './guest.ts';

const MOST_REDIRECTS = 5;

interface Surroundings extends DownloadOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly stop: AbortSignal;
}

/** Every error names the URL without what may be a secret in it. */
export async function download(url: string, around: Surroundings): Promise<string> {
  const { stop, timeoutMs } = around;
  stop.throwIfAborted();
  const over = AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)]);
  try {
    return await follow(new URL(url), around, over);
  } catch (error) {
    stop.throwIfAborted();
    if (error instanceof AgentError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const because = over.aborted ? `nothing came within ${timeoutMs / 1000} s` : `${withoutSecrets(message)}`;
    throw failed(url, because, over.aborted ? UNREACHABLE : remedyFor(code));
  }
}

const UNREACHABLE =
  'see whether this guest can reach it: name resolution, firewall, HTTPS_PROXY and NO_PROXY in the environment of this program';
const UNTRUSTED =
  "put the certificate authority of that server into the guest's own store (update-ca-certificates or update-ca-trust), and except it from any inspecting proxy";

async function follow(first: URL, around: Surroundings, over: AbortSignal): Promise<string> {
  let url = first;
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    if (url.protocol !== 'https:') {
      throw failed(first.href, `it leads to ${withoutSecrets(url.href)}, which is not https`, 'name an https:// URL');
    }
    const response = await ask(url, around, over);
    const { statusCode = 0, headers } = response;
    if (statusCode === 200) return await textOf(response, first, around.limitBytes);
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

async function ask(url: URL, { env, trusted }: Surroundings, over: AbortSignal): Promise<IncomingMessage> {
  const { Agent, get } = await import('node:https');
  const { HTTPS_PROXY, https_proxy, NO_PROXY, no_proxy } = env;
  const agent = new Agent({
    keepAlive: false,
    proxyEnv: { HTTPS_PROXY, https_proxy, NO_PROXY, no_proxy },
    ...(trusted === undefined ? {} : { ca: trusted }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  get(url, { agent, signal: over, headers: { 'user-agent': 'vgpu-guest', accept: '*/*' } }, resolve).on(
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

function failed(url: string, because: string, remedy: string): AgentError {
  return new AgentError(`${withoutSecrets(url)} cannot be downloaded: ${because}`, { remedy });
}

/** Codes of OpenSSL's verification and of Node's check of the name. */
function remedyFor(code = ''): string {
  return /CERT|SIGNED|ISSUER|LEAF|CRL|ALTNAME|^ERR_(TLS|SSL)/.test(code) ? UNTRUSTED : UNREACHABLE;
}
