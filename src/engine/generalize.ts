import type { Config } from '../config/schema.ts';
import { lookAt } from '../facts/facts.ts';
import { GRIDD_UNIT } from '../facts/license/gridd.ts';
import { STATE_DIRECTORY } from '../facts/record.ts';
import type { Guest } from '../guest/guest.ts';
import { failedCommand } from './failed-command.ts';
import { isPackaged } from './resume.ts';
import type { Tell } from './tell.ts';

/** What a clone must not have of the guest that its image was made from. */
export interface Generalized {
  /** Files that are gone, in the order in which they went. */
  readonly removed: readonly string[];
  /** What `license.token` names stays: the first boot goes by it. */
  readonly kept: readonly string[];
}

/** The licensing daemon's trusted store: who this guest is to its license server, and the lease that it has. */
const TRUSTED_STORE = '/var/lib/nvidia/GridLicensing';
const LOG_FOLDER = '/var/log';
const LOGS = /^vgpu-guest\d*\.log$/;
const FIRST_BOOT_UNIT = 'vgpu-guest-first-boot.service';
/** systemd may go through its presets where a clone has no machine-id, and a distribution's may say that nothing is enabled. */
const PRESET = '/etc/systemd/system-preset/10-vgpu-guest.preset';
const PRESET_TEXT = `# a clone of this image goes to its license when it boots for the first time\nenable ${FIRST_BOOT_UNIT}\n`;
const UNIT_PATH = `/etc/systemd/system/${FIRST_BOOT_UNIT}`;

export interface Generalize {
  readonly guest: Guest;
  readonly config: Config;
  readonly tell: Tell;
  /** The first-boot unit, for a program that no package has brought. */
  readonly unitText: string;
}

/** Makes an image of this guest: no token, no lease, no state, no logs; its clones go to their license at their first boot. */
export async function generalize({ guest, config, tell, unitText }: Generalize): Promise<Generalized> {
  const release = await guest.lock();
  try {
    const look = lookAt(guest, config);
    const { path: tokens } = await look.fact('tokenFiles');
    // it gives its license back, and would write its store once more
    if ((await look.fact('gridd')).binary) await systemctl(guest, 'stop', GRIDD_UNIT);
    await enableFirstBoot(guest, unitText);
    const removed: string[] = [];
    const places = [tokens, config.license.tokenDirectory, TRUSTED_STORE, STATE_DIRECTORY];
    for (const place of new Set(places)) removed.push(...(await removeFiles(guest, place)));
    for (const name of (await guest.list(LOG_FOLDER)).filter(log => LOGS.test(log))) {
      removed.push(...(await removeFiles(guest, `${LOG_FOLDER}/${name}`)));
    }
    for (const path of removed) tell.info(`removed ${path}`);
    const source = config.license.token;
    const kept = source?.startsWith('/') && (await guest.stat(source)) ? [source] : [];
    return { removed, kept };
  } finally {
    await release();
  }
}

/** Every file at and below a path; a link goes, and what it leads to stays. Folders stay: they say nothing of who this is. */
async function removeFiles(guest: Guest, path: string): Promise<readonly string[]> {
  const isLink = (await guest.readLink(path)) !== undefined;
  const kind = (await guest.stat(path))?.kind;
  if (!isLink && kind === 'directory') {
    const removed: string[] = [];
    for (const name of await guest.list(path)) removed.push(...(await removeFiles(guest, `${path}/${name}`)));
    return removed;
  }
  if (!isLink && kind === undefined) return [];
  await guest.remove(path);
  return [path];
}

async function enableFirstBoot(guest: Guest, unitText: string): Promise<void> {
  if (!(await isPackaged(guest, FIRST_BOOT_UNIT))) {
    await guest.writeText(UNIT_PATH, unitText, 0o644);
    await systemctl(guest, 'daemon-reload');
  }
  await guest.writeText(PRESET, PRESET_TEXT, 0o644);
  await systemctl(guest, 'enable', FIRST_BOOT_UNIT);
}

async function systemctl(guest: Guest, ...args: readonly string[]): Promise<void> {
  const argv = ['systemctl', ...args] as const;
  const outcome = await guest.run(argv, { timeoutMs: 120_000 });
  if (outcome.code !== 0)
    throw failedCommand(argv, outcome, 'see what systemd says, and run vgpu-guest generalize again');
}
