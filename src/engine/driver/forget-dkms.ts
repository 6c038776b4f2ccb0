import type { Argv } from '../../change.ts';
import { DKMS_TREE } from '../../facts/driver/dkms-tree.ts';
import type { Guest } from '../../guest/guest.ts';
import type { Tell } from '../tell.ts';

const DKMS_TIMEOUT_MS = 600_000;

/** DKMS lets go of a version for every kernel; by force where a dkms.conf that has lost its content keeps DKMS itself from it. */
export async function forgetDkms(guest: Guest, version: string, tell: Tell): Promise<void> {
  const folder = `${DKMS_TREE}/${version}`;
  const argv: Argv = ['dkms', 'remove', '-m', 'nvidia', '-v', version, '--all'];
  await guest.run(argv, { timeoutMs: DKMS_TIMEOUT_MS, onLine: line => tell.progress(line), finishes: true });
  if (!(await guest.stat(folder))) return;
  tell.warn(`DKMS cannot let go of nvidia/${version} itself, so that ${folder} is removed`);
  for (const name of await guest.list(DKMS_TREE)) {
    const link = `${DKMS_TREE}/${name}`;
    if ((await guest.readLink(link))?.startsWith(`${version}/`)) await guest.remove(link);
  }
  await guest.removeFolder(folder);
}
