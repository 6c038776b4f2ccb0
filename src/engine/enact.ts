import { posix } from 'node:path';
import type { Argv, Change, ServiceAction } from '../change.ts';
import type { Config } from '../config/schema.ts';
import { AgentError, messageOf } from '../errors.ts';
import type { Family } from '../facts/families.ts';
import { GRIDD_UNIT } from '../facts/license/gridd.ts';
import { findCloudInitInstalling, findNeighbours, INITRD_PROGRAMS, MODULE_PROGRAMS } from '../facts/neighbours.ts';
import { STATE_DIRECTORY } from '../facts/record.ts';
import { REVERTED } from '../facts/revert/reverted.ts';
import type { Guest } from '../guest/guest.ts';
import { awaitNeighbours } from './await-neighbours.ts';
import { endInstall, reachDisk } from './driver/begun-install.ts';
import { fetchPackage } from './driver/fetch-package.ts';
import { forgetDkms } from './driver/forget-dkms.ts';
import { installDriver } from './driver/install-driver.ts';
import { rebuildInitrd } from './driver/rebuild-initrd.ts';
import { removeDriver } from './driver/remove-driver.ts';
import { failedCommand } from './failed-command.ts';
import { installCuda } from './gpu/install-cuda.ts';
import { proveCuda } from './gpu/prove-cuda.ts';
import { restoreEcc, setEcc } from './gpu/set-ecc.ts';
import { awaitLicense } from './license/await-license.ts';
import { fetchToken } from './license/fetch-token.ts';
import { whyDead } from './license/why-dead.ts';
import { addScreenUnit, removeUnit } from './own-units.ts';
import { unknownFamily } from './packages/install-packages.ts';
import { installRemembered } from './packages/install-remembered.ts';
import { removePackages } from './packages/remove-packages.ts';
import { freeName, rememberUnit } from './remember.ts';
import { endJourney, forgetChanges, restore } from './restore.ts';
import { makeStateFolder } from './resume.ts';
import { renderXorg } from './screen/render-xorg.ts';
import type { Tell } from './tell.ts';

/** A deed that is done at once; a reboot ends the run instead. */
export type Enactable = Exclude<Change, { kind: 'reboot' }>;

interface Surroundings {
  readonly guest: Guest;
  readonly config: Config;
  readonly family: Family | undefined;
  readonly tell: Tell;
  readonly stop: AbortSignal;
  /** How this program is called, for units that call it again. */
  readonly program?: Argv;
  readonly resume?: { readonly configPath?: string };
}

/** No license came in time: everything else is in place. */
export class NoLicense extends AgentError {}

const SERVICE_TIMEOUT_MS = 120_000;
/** The guest's clock is read in milliseconds, the journal's in microseconds. */
export const CLOCK_STEP_US = 1_000;

/** Turns one change into a deed. Every failure is an AgentError with its remedy. */
export async function enact(change: Enactable, around: Surroundings): Promise<void> {
  const { guest, tell } = around;
  await yieldToNeighbours(change, around);
  switch (change.kind) {
    case 'write':
      if (!change.encoding) await refuseForeignBytes(guest, change.path);
      return await guest.writeText(change.path, change.text, change.mode, change.encoding);
    case 'copy-secret':
      await guest.makeDirectory(posix.dirname(change.path), 0o755);
      return await guest.copyFile(change.from, change.path, change.mode);
    case 'fetch-token':
      return await fetchToken(guest, around.config.license.token ?? '', change.path);
    case 'move':
      return await move(change, guest);
    case 'set-mode':
      return await guest.setMode(change.path, change.mode);
    case 'install-packages':
      return await install(change, around);
    case 'remove-packages':
      return await removePackages(guest, change.packages, around);
    case 'rebuild-initrd':
      return await rebuildInitrd(guest, change, tell);
    case 'install-driver':
      return await installDriver(guest, change, tell);
    case 'forget-dkms':
      return await forgetDkms(guest, change.version, tell);
    case 'end-install':
      return await endInstall(guest);
    case 'fetch-package':
      return await fetchPackage(guest, around.config.driver.package ?? '', change, tell);
    case 'run':
      return await command(guest, change, tell);
    case 'render-xorg':
      return await renderXorg(guest, around.config, change, tell);
    case 'install-cuda':
      return await installCuda(guest, change, around.config, tell);
    case 'prove-cuda':
      return await proveCuda(guest, change.workshop, around.config, tell);
    case 'set-ecc':
      return await setEcc(guest, change, tell);
    case 'restore-ecc':
      return await restoreEcc(guest, change, tell);
    case 'restore':
      return await restore(guest, change);
    case 'remove-folder':
      return await guest.removeEmptyFolder(change.path);
    case 'remove-driver':
      return await removeDriver(guest, change, tell);
    case 'mark-boot':
      return await guest.writeText(REVERTED, '', 0o644);
    case 'end-resume':
      return await endJourney(guest, change);
    case 'forget-changes':
      return await forgetChanges(guest, change);
    case 'add-unit':
      return await addScreenUnit(guest, around);
    case 'remove-unit':
      return await removeUnit(guest, change.unit);
    case 'remove':
      return await guest.remove(change.path);
    case 'service':
      return await service(change.unit, change.action, around);
    case 'await-license':
      return await license(change.timeoutMs, around);
  }
}

/** Before what must not be done while somebody else is at it. */
async function yieldToNeighbours(change: Enactable, { guest, config, tell, stop }: Surroundings): Promise<void> {
  const wait = { timeoutMs: config.lockTimeoutMs, tell, stop };
  switch (change.kind) {
    case 'install-packages':
    case 'remove-packages':
      return await awaitNeighbours(guest, findCloudInitInstalling, wait);
    case 'rebuild-initrd':
      return await awaitNeighbours(guest, eyes => findNeighbours(eyes, INITRD_PROGRAMS), wait);
    case 'install-driver':
    case 'remove-driver':
    case 'forget-dkms':
      return await awaitNeighbours(guest, eyes => findNeighbours(eyes, MODULE_PROGRAMS), wait);
    case 'run':
      if (change.argv[0] !== 'dkms') return;
      return await awaitNeighbours(guest, eyes => findNeighbours(eyes, MODULE_PROGRAMS), wait);
  }
}

/** Texts are read as UTF-8, so that writing any other one back would change more than was meant. */
async function refuseForeignBytes(guest: Guest, path: string): Promise<void> {
  if (!(await guest.readText(path))?.includes('\uFFFD')) return;
  throw new AgentError(`${path} is not UTF-8, and changing it would damage it`, {
    remedy: `convert it (iconv -f latin1 -t utf-8), or take what is not UTF-8 out of ${path}`,
  });
}

async function move({ path, to }: Extract<Enactable, { kind: 'move' }>, guest: Guest): Promise<void> {
  const folder = posix.dirname(to);
  if (folder.startsWith(`${STATE_DIRECTORY}/`)) await makeStateFolder(guest, folder);
  else await guest.makeDirectory(folder, 0o700);
  await guest.rename(path, await freeName(guest, to));
}

async function install(
  { packages, welcome = [], without }: Extract<Enactable, { kind: 'install-packages' }>,
  { guest, config, family, tell }: Surroundings,
): Promise<void> {
  if (!family) throw unknownFamily('install', packages);
  const how = { family, lockTimeoutMs: config.lockTimeoutMs, tell };
  await installRemembered(guest, { ...how, packages, ...(without ? { without } : {}) });
  if (welcome.length === 0) return;
  try {
    await installRemembered(guest, { ...how, packages: welcome });
  } catch (error) {
    tell.warn(messageOf(error));
  }
}

async function command(
  guest: Guest,
  { argv, timeoutMs, tolerated }: Extract<Enactable, { kind: 'run' }>,
  tell: Tell,
): Promise<void> {
  const outcome = await guest.run(argv, { timeoutMs, onLine: line => tell.progress(line), finishes: true });
  if (outcome.code === 0) return argv[0] === 'dkms' ? await reachDisk(guest) : undefined;
  const failure = failedCommand(argv, outcome);
  if (tolerated === undefined) throw failure;
  tell.warn(`${tolerated}: ${failure.message}`);
}

async function service(unit: string, action: ServiceAction, { guest, config, tell }: Surroundings): Promise<void> {
  const argv: Argv = ['systemctl', action, unit];
  // it is started again where it ran before
  if (action === 'stop') await rememberUnit(guest, unit);
  const beganUs = guest.nowUs() - CLOCK_STEP_US;
  const outcome = await guest.run(argv, { timeoutMs: SERVICE_TIMEOUT_MS, onLine: line => tell.progress(line) });
  if (outcome.code === 0) return;
  const death = unit === GRIDD_UNIT ? await whyDead(guest, config, beganUs) : undefined;
  const failed = failedCommand(argv, outcome, death?.remedy ?? `journalctl -b -u ${unit} says why`);
  if (!death) throw failed;
  throw new AgentError([failed.message, ...death.lines].join('\n  '), { remedy: failed.remedy });
}

async function license(timeoutMs: number, { guest, config, tell, stop }: Surroundings): Promise<void> {
  const { licensed, explanation, remedy } = await awaitLicense(guest, config, { timeoutMs, tell, signal: stop });
  if (!licensed) throw new NoLicense(explanation, { remedy });
}
