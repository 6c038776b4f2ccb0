import { dirname } from 'node:path/posix';
import type { Deed } from '../../change.ts';
import { findTrusted } from '../../facts/license/servers.ts';
import type { Guest } from '../../guest/guest.ts';
import { makeStateFolder } from '../resume.ts';
import type { Tell } from '../tell.ts';

type FetchPackage = Extract<Deed, { kind: 'fetch-package' }>;

const MIB = 1024 ** 2;

/** Brings the package behind a URL into a folder of root's own. What does not hash as it should never gets its name. */
export async function fetchPackage(
  guest: Guest,
  url: string,
  { path, sha256, from }: FetchPackage,
  tell: Tell,
): Promise<void> {
  await makeStateFolder(guest, dirname(path));
  const trusted = await findTrusted(guest);
  tell.info(`downloading ${from}`);
  await guest.downloadFile(url, path, {
    sha256,
    trusted,
    onProgress: (haveBytes, wholeBytes) => tell.progress(progress(haveBytes, wholeBytes)),
  });
}

function progress(haveBytes: number, wholeBytes: number | undefined): string {
  const have = `${Math.floor(haveBytes / MIB)} MiB`;
  if (!wholeBytes) return have;
  return `${have} of ${Math.ceil(wholeBytes / MIB)} MiB, ${Math.floor((100 * haveBytes) / wholeBytes)} %`;
}
