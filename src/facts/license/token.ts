import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path/posix';
import { inspectToken, type TokenClaims } from '../../formats/license/token.ts';
import { isUrl, withoutSecrets } from '../../formats/url.ts';
import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';

/** The client configuration token: as it was given, and as it lies where nvidia-gridd looks. Its text is not a fact. */
export interface TokenFact {
  readonly source:
    | { readonly is: 'not-asked-for' }
    /** `because` names what is wrong: missing, empty, HTML, not three base64url parts, too large, … */
    | { readonly is: 'unusable'; readonly path: string; readonly because: string }
    /** A URL names it, and it is not at `path` yet, where it is kept once it has been downloaded. */
    | { readonly is: 'not-fetched'; readonly from: string; readonly path: string; readonly because: string }
    /** `from`: the URL that it was downloaded from, as it may be shown. */
    | {
        readonly is: 'usable';
        readonly path: string;
        readonly sha256: string;
        readonly claims: TokenClaims;
        readonly from?: string;
      };
  /** Everything in license.tokenDirectory, sorted by name. */
  readonly directory: readonly TokenEntry[];
  /** When something last came into that directory or left it; undefined when it is not there. */
  readonly directoryChangedUs: number | undefined;
  /** It is a file: `cp` makes one where the directory is not there yet. */
  readonly directoryIsFile?: true;
}

export interface TokenEntry {
  readonly name: string;
  /** A link is what it leads to; one that leads nowhere is `other`. */
  readonly kind: 'file' | 'directory' | 'other';
  readonly mode: number;
  readonly changedUs: number;
  /** undefined for what is no file or too large for a token. */
  readonly sha256: string | undefined;
}

/** A token is a few kilobytes. */
export const TOKEN_LIMIT_BYTES = 256 * 1024;

/** Where the token of a URL is kept, so that it is downloaded once. */
export function fetchedTokenPath(url: string): string {
  const digest = createHash('sha256').update(url).digest('hex').slice(0, 16);
  const [, name] = /\/([A-Za-z0-9][\w.-]{0,99})$/.exec(URL.parse(url)?.pathname ?? '') ?? [];
  return `/var/lib/vgpu-guest/tokens/${digest}/${name ?? 'client_configuration_token.tok'}`;
}

export async function collectToken({ guest, config: { license } }: Look): Promise<TokenFact> {
  const { token, tokenDirectory } = license;
  const [source, names, stat] = await Promise.all([
    lookForSource(guest, token, tokenDirectory),
    guest.list(tokenDirectory),
    guest.stat(tokenDirectory),
  ]);
  const directory = await Promise.all(names.map(name => lookAtEntry(guest, tokenDirectory, name)));
  const isFile = stat && stat.kind !== 'directory' ? { directoryIsFile: true as const } : {};
  return { source, directory, directoryChangedUs: stat?.changedUs, ...isFile };
}

async function lookForSource(
  guest: GuestView,
  token: string | undefined,
  directory: string,
): Promise<TokenFact['source']> {
  if (token === undefined) return { is: 'not-asked-for' };
  return isUrl(token) ? await findFetched(guest, token) : await findSource(guest, token, directory);
}

async function findFetched(guest: GuestView, url: string): Promise<TokenFact['source']> {
  const from = withoutSecrets(url);
  if (!URL.canParse(url)) return { is: 'unusable', path: from, because: 'is no URL' };
  const path = fetchedTokenPath(url);
  if (!(await guest.stat(path))) return { is: 'not-fetched', from, path, because: 'it has not been downloaded yet' };
  const found = await lookAtToken(guest, path);
  if (found.is !== 'unusable') return { ...found, from };
  return { is: 'not-fetched', from, path, because: `what was downloaded ${found.because}` };
}

/** A link to a token that lies in the token directory already means that token, which must not be taken for a stray file. */
async function findSource(guest: GuestView, path: string, directory: string): Promise<TokenFact['source']> {
  const [file, folder, ownFolder] = await Promise.all([path, directory, dirname(path)].map(at => guest.realPath(at)));
  if (file === undefined || dirname(file) !== folder) return await lookAtToken(guest, path);
  const name = basename(file);
  if (ownFolder === folder && name !== basename(path)) {
    const because = `is a link to ${name} beside it, and the token directory may hold one file: name ${name} instead`;
    return { is: 'unusable', path, because };
  }
  return await lookAtToken(guest, `${directory}/${name}`);
}

/** Judges one file; reading stops where no token is so long. */
export async function lookAtToken(
  guest: GuestView,
  path: string,
): Promise<Extract<TokenFact['source'], { is: 'usable' | 'unusable' }>> {
  const unusable = (because: string) => ({ is: 'unusable', path, because }) as const;
  const stat = await guest.stat(path);
  if (!stat) return unusable('is not there');
  if (stat.kind !== 'file') return unusable(`is ${stat.kind === 'directory' ? 'a directory' : 'no regular file'}`);
  if (stat.sizeBytes > TOKEN_LIMIT_BYTES)
    return unusable(`is larger than ${TOKEN_LIMIT_BYTES / 1024} KiB, which no token is`);
  const [text, sha256] = await Promise.all([guest.readText(path, TOKEN_LIMIT_BYTES), guest.digest(path, 'sha256')]);
  if (text === undefined || sha256 === undefined) return unusable('is not there');
  const found = inspectToken(text);
  return found.is === 'token' ? { is: 'usable', path, sha256, claims: found.claims } : unusable(found.because);
}

async function lookAtEntry(guest: GuestView, directory: string, name: string): Promise<TokenEntry> {
  const path = `${directory}/${name}`;
  const stat = await guest.stat(path);
  if (!stat) return { name, kind: 'other', mode: 0, changedUs: 0, sha256: undefined };
  const small = stat.kind === 'file' && stat.sizeBytes <= TOKEN_LIMIT_BYTES;
  const sha256 = small ? await guest.digest(path, 'sha256') : undefined;
  return { name, kind: stat.kind, mode: stat.mode, changedUs: stat.changedUs, sha256 };
}
