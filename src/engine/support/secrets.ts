import type { Config } from '../../config/schema.ts';
import { messageOf } from '../../errors.ts';
import { GRIDD_CONF } from '../../facts/license/gridd.ts';
import { TOKEN_LIMIT_BYTES } from '../../facts/license/token.ts';
import { ORIGINALS, STATE_DIRECTORY } from '../../facts/record.ts';
import { readGriddConf } from '../../formats/license/gridd-conf.ts';
import type { GuestView } from '../../guest/guest.ts';

/** What must not be in anything that leaves this guest, word by word. */
export interface KnownSecrets {
  readonly secrets: readonly string[];
  /** Files that may hold one and could not be read: nothing could be compared with them. */
  readonly unread: readonly string[];
}

const PROXY_FILES = [
  '/etc/environment',
  '/etc/sysconfig/proxy',
  '/etc/profile.d/proxy.sh',
  '/etc/apt/apt.conf',
  '/etc/yum.conf',
  '/etc/dnf/dnf.conf',
];
const PROXY_VARIABLES = ['http_proxy', 'https_proxy', 'ftp_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'];
const TOKEN_FOLDERS = [
  '/etc/nvidia/ClientConfigToken',
  `${STATE_DIRECTORY}/tokens`,
  `${STATE_DIRECTORY}/set-aside`,
  `${ORIGINALS}/etc/nvidia/ClientConfigToken`,
];
const MOST_FILES = 100;

/** Tokens, keys and proxy credentials, as they lie on the guest. */
export async function findSecrets(guest: GuestView, config: Config, env: NodeJS.ProcessEnv): Promise<KnownSecrets> {
  const unread: string[] = [];
  const read = async (path: string): Promise<string> => {
    try {
      const found = await guest.stat(path);
      return found?.kind === 'file' ? ((await guest.readStart(path, TOKEN_LIMIT_BYTES)) ?? '') : '';
    } catch (error) {
      unread.push(`${path} (${messageOf(error)})`);
      return '';
    }
  };
  const list = async (folder: string): Promise<readonly string[]> => {
    try {
      return (await guest.list(folder)).slice(0, MOST_FILES).map(name => `${folder}/${name}`);
    } catch (error) {
      unread.push(`${folder} (${messageOf(error)})`);
      return [];
    }
  };
  const gridd = readGriddConf(await read(GRIDD_CONF));
  const bare = (key: string) => gridd.get(key)?.replace(/^"(.*)"$/, '$1');
  const folders = [...TOKEN_FOLDERS, config.license.tokenDirectory, bare('ClientConfigTokenPath')];
  const inFolders = await Promise.all([...new Set(folders.filter(isPath))].map(list));
  const files = [config.license.token, config.driver.signingKey].filter(isPath);
  const passwords = [config.vnc?.passwordFile, bare('ProxyCredentialsFilePath')].filter(isPath);
  const [tokens, lines, proxies] = await Promise.all([
    Promise.all([...files, ...inFolders.flat()].map(read)),
    Promise.all(passwords.map(read)),
    Promise.all(PROXY_FILES.map(read)),
  ]);
  const urls = [...PROXY_VARIABLES.map(name => env[name] ?? ''), ...proxies].flatMap(credentialsIn);
  const asked = config.license.token?.split('?').slice(1) ?? [];
  return { secrets: [...tokens.flatMap(secretLines), ...lines, ...urls, ...asked].filter(Boolean), unread };
}

/** A gridd.conf or a web page in the place of a token is no secret, and its lines are in every log. */
function secretLines(text: string): readonly string[] {
  return text.split('\n').filter(line => /^[\w.+/-]{40,}={0,2}\r?$/.test(line.trim()));
}

function isPath(text: string | undefined): text is string {
  return text?.startsWith('/') ?? false;
}

/** `http://user:password@proxy:3128`, with the password as it is typed and as it is meant. */
function credentialsIn(text: string): readonly string[] {
  const found = text.matchAll(/(?:\/\/|[="'\s]|^)[^\s:/@"'=]{1,128}:([^\s"'@/]{1,256}(?:@[^\s"'@/.]{1,64})?)@/g);
  return [...found].flatMap(([, password = '']) => [password, decoded(password)]);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a percent sign that is only that
  }
}
