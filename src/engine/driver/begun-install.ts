import type { Argv } from '../../change.ts';
import { BEGUN_INSTALL, type BegunInstall } from '../../facts/driver/begun-install.ts';
import { STATE_DIRECTORY } from '../../facts/record.ts';
import type { Guest } from '../../guest/guest.ts';
import { failedCommand } from '../failed-command.ts';

/** A slow disk may have gigabytes of somebody else's to write first. */
const SYNC_TIMEOUT_MS = 600_000;
/** Where drivers lie. Not everywhere: a server of NFS that does not answer would be waited for. */
const FOLDERS_OF_DRIVERS = ['/usr', '/etc', '/lib/modules', '/var/lib'] as const;

/** From here on to `endInstall` the next boot takes nothing that is there for whole; once it is `killed`, nor does the next run. */
export async function beginInstall(guest: Guest, version: string, how?: 'killed'): Promise<void> {
  const bootId = (await guest.readText('/proc/sys/kernel/random/boot_id'))?.trim() ?? '';
  const begun: BegunInstall = { version, bootId, ...(how ? { isKilled: true } : {}) };
  await guest.makeDirectory(STATE_DIRECTORY, 0o700);
  await guest.writeText(BEGUN_INSTALL, `${JSON.stringify(begun)}\n`, 0o600);
}

export async function endInstall(guest: Guest): Promise<void> {
  await reachDisk(guest);
  await guest.remove(BEGUN_INSTALL);
}

/** Installers and DKMS leave what they have written to the kernel, which keeps it in memory for half a minute: names, and files without content. */
export async function reachDisk(guest: Guest): Promise<void> {
  const argv: Argv = ['sync', '--file-system', ...FOLDERS_OF_DRIVERS];
  const outcome = await guest.run(argv, { timeoutMs: SYNC_TIMEOUT_MS });
  if (outcome.code !== 0) throw failedCommand(argv, outcome);
}
