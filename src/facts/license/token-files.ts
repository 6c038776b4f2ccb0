import { readGriddConf } from '../../formats/license/gridd-conf.ts';
import { inspectToken, type TokenInspection } from '../../formats/license/token.ts';
import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';
import { TOKEN_LIMIT_BYTES } from './token.ts';

/** What lies where nvidia-gridd looks for its token, by its own configuration. The text of a token is not a fact. */
export interface TokenFilesFact {
  /** ClientConfigTokenPath of gridd.conf, or NVIDIA's default. */
  readonly path: string;
  /** What that path is. */
  readonly is: 'absent' | 'directory' | 'file';
  readonly files: readonly TokenFile[];
  /** Of that directory; 0 where there is none. */
  readonly mode: number;
  readonly uid: number;
  /** When something last came into it or left it. */
  readonly changedUs: number;
}

export interface TokenFile {
  readonly path: string;
  /** What its link says; undefined: it is no link. */
  readonly link: string | undefined;
  /** The file behind all links; undefined: there is none. */
  readonly realPath: string | undefined;
  readonly mode: number;
  readonly uid: number;
  readonly changedUs: number;
  readonly inspection: TokenInspection;
}

const DEFAULT_DIRECTORY = '/etc/nvidia/ClientConfigToken';
/** More than one is a fault already. */
const MOST_FILES = 20;

export async function collectTokenFiles({ guest, fact }: Look): Promise<TokenFilesFact> {
  const { conf } = await fact('gridd');
  const given = readGriddConf(conf?.text ?? '')
    .get('ClientConfigTokenPath')
    ?.replace(/^"(.*)"$/, '$1');
  const path = given?.startsWith('/') ? given.replace(/(?<=.)\/+$/, '') : DEFAULT_DIRECTORY;
  const stat = await guest.stat(path);
  const { mode = 0, uid = 0, changedUs = 0 } = stat ?? {};
  if (stat?.kind !== 'directory') return { path, is: stat ? 'file' : 'absent', files: [], mode, uid, changedUs };
  const names = (await guest.list(path)).slice(0, MOST_FILES);
  const files = await Promise.all(names.map(name => lookAt(guest, `${path}/${name}`)));
  return { path, is: 'directory', files, mode, uid, changedUs };
}

async function lookAt(guest: GuestView, path: string): Promise<TokenFile> {
  const [stat, link, realPath] = await Promise.all([guest.stat(path), guest.readLink(path), guest.realPath(path)]);
  const inspection = await inspect();
  const { mode = 0, uid = 0, changedUs = 0 } = stat ?? {};
  return { path, link, realPath, mode, uid, changedUs, inspection };

  async function inspect(): Promise<TokenInspection> {
    if (!stat) return unusable('is a link that leads nowhere');
    if (stat.kind !== 'file') return unusable(stat.kind === 'directory' ? 'is a directory' : 'is no regular file');
    if (stat.sizeBytes > TOKEN_LIMIT_BYTES)
      return unusable(`is larger than ${TOKEN_LIMIT_BYTES / 1024} KiB, which no token is`);
    return inspectToken((await guest.readText(path, TOKEN_LIMIT_BYTES)) ?? '');
  }
}

function unusable(because: string): TokenInspection {
  return { is: 'unusable', because };
}

/** When what nvidia-gridd may take for its token was changed last; what comes from the future of the clock cannot be compared. */
export function tokenChangedUs({ files, changedUs }: TokenFilesFact, nowUs: number): number {
  const known = [changedUs, ...files.map(file => file.changedUs)].filter(us => us <= nowUs);
  return Math.max(0, ...known);
}
