import { createHash } from 'node:crypto';
import { dirname } from 'node:path/posix';
import type { Change, InstallDriver } from '../change.ts';
import { AgentError } from '../errors.ts';
import { GRIDD_UNIT } from '../facts/license/gridd.ts';
import { CHANGES, lookAtContent, ORIGINALS, readChanges, STATE_DIRECTORY } from '../facts/record.ts';
import { type ChangeRecord, changeRecordText, type FileRecord } from '../formats/change-record.ts';
import type { Guest, GuestView } from '../guest/guest.ts';
import { makeStateFolder } from './resume.ts';

/** A file may be a secret, so that only root reads what is kept of it. */
const SECRET_MODE = 0o600;
const INSTALL_LOG = '/var/lib/nvidia/log';

/** Writes down what a deed is about to change, before it does: what was there, for `revert`. */
export async function remember(guest: Guest, change: Change): Promise<void> {
  switch (change.kind) {
    case 'write':
      return await rememberWrite(guest, change.path, change);
    case 'copy-secret': {
      const sha256 = await guest.digest(change.from, 'sha256');
      return await rememberWrite(guest, change.path, { sha256, mode: change.mode, isSecret: true });
    }
    case 'set-mode':
      return await rememberMode(guest, change.path, change.mode);
    case 'move':
      return await rememberMove(guest, change.path, await freeName(guest, change.to));
    case 'service':
      return await rememberUnit(guest, change.unit);
    case 'install-driver':
      return await rememberDriver(guest, change);
    case 'set-ecc':
      return await rememberEcc(guest, change);
    case 'install-cuda':
      return await rememberToolkit(guest, change.release);
    default:
      return undefined;
  }
}

interface Written {
  /** Or what it hashes to. */
  readonly text?: string;
  readonly encoding?: 'latin1';
  readonly sha256?: string | undefined;
  readonly mode?: number | undefined;
  readonly isSecret?: true;
}

/** A file that is about to be written: what it was the first time, and what this program makes of it. */
export async function rememberWrite(guest: Guest, path: string, written: Written): Promise<void> {
  const sha256 =
    written.sha256 ??
    createHash('sha256')
      .update(written.text ?? '', written.encoding ?? 'utf8')
      .digest('hex');
  const record = await read(guest);
  const known = record.files[path];
  const now = await lookAtContent(guest, path);
  const file: FileRecord = known ?? { before: await keepOriginal(guest, path, written.isSecret), ours: [] };
  const isStrange = known && now && ![...file.ours, file.before?.sha256].includes(now.sha256);
  const changed: FileRecord = {
    ...file,
    ours: [...file.ours.filter(each => each !== sha256), sha256],
    ...(written.mode === undefined ? {} : { mode: written.mode }),
    ...(isStrange ? { mixed: true } : {}),
    ...(written.isSecret ? { isSecret: true } : {}),
  };
  const made = await missingFolders(guest, path);
  const folders = [...record.folders, ...made.filter(folder => !record.folders.includes(folder))];
  await write(guest, { ...record, folders, files: { ...record.files, [path]: changed } });
}

/** What is there now, kept aside byte by byte unless that was done before; null: nothing is there. */
async function keepOriginal(guest: Guest, path: string, isSecret?: true): Promise<FileRecord['before']> {
  const original = `${ORIGINALS}${path}`;
  const now = await lookAtContent(guest, path);
  if (await guest.stat(original)) {
    // of a release that wrote no record, or of a run that was cut just here
    const kept = await lookAtContent(guest, original);
    if (kept && now) return kept.sha256 === now.sha256 ? now : { ...now, sha256: kept.sha256, mode: kept.mode };
  }
  if (!now) return null;
  await makeStateFolder(guest, dirname(original));
  await guest.copyFile(path, original, isSecret ? SECRET_MODE : now.mode);
  return now;
}

/** On the way to a file, the upper ones first. */
async function missingFolders(guest: GuestView, path: string): Promise<readonly string[]> {
  const missing: string[] = [];
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder)) {
    if ((await guest.stat(folder))?.kind === 'directory') break;
    missing.unshift(folder);
  }
  return missing;
}

async function rememberMode(guest: Guest, path: string, mode: number): Promise<void> {
  const record = await read(guest);
  const now = await lookAtContent(guest, path);
  if (!now) return;
  const file = record.files[path] ?? { before: now, ours: [] };
  await write(guest, { ...record, files: { ...record.files, [path]: { ...file, mode } } });
}

async function rememberMove(guest: Guest, from: string, to: string): Promise<void> {
  const record = await read(guest);
  if (record.moves.some(move => move.from === from && move.to === to)) return;
  await write(guest, { ...record, moves: [...record.moves, { from, to }] });
}

/** How a unit stood before it was first touched; this program's own ones were not there. */
export async function rememberUnit(guest: Guest, unit: string): Promise<void> {
  const record = await read(guest);
  if (unit.startsWith('vgpu-guest-') || Object.hasOwn(record.units, unit)) return;
  const { stdout } = await guest.query(['systemctl', 'show', unit, '-p', 'ActiveState', '-p', 'UnitFileState']);
  const word = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? '';
  const found = { enabled: word('UnitFileState'), active: word('ActiveState') };
  await write(guest, { ...record, units: { ...record.units, [unit]: found } });
}

/** A driver brings nvidia-gridd, and enables and starts it. */
async function rememberDriver(guest: Guest, { version }: InstallDriver): Promise<void> {
  await rememberUnit(guest, GRIDD_UNIT);
  const record = await read(guest);
  const log = await guest.readStart(INSTALL_LOG, 256);
  const present = /^.*\((\d+(?:\.\d+)+)\)/.exec(log ?? '')?.[1] ?? null;
  const before = record.driver ? record.driver.before : present;
  await write(guest, { ...record, driver: { version, before } });
}

/** How it stood, where the driver has told. */
async function rememberEcc(guest: Guest, { address, before }: Extract<Change, { kind: 'set-ecc' }>): Promise<void> {
  const record = await read(guest);
  if (before === undefined || record.ecc?.[address] !== undefined) return;
  await write(guest, { ...record, ecc: { ...record.ecc, [address]: before } });
}

async function rememberToolkit(guest: Guest, release: string): Promise<void> {
  const record = await read(guest);
  const { toolkits = [] } = record;
  if (!toolkits.includes(release)) await write(guest, { ...record, toolkits: [...toolkits, release] });
}

/** It is as it was. */
export async function forgetEcc(guest: Guest, address: string): Promise<void> {
  const { ecc = {}, ...record } = await read(guest);
  const others = Object.entries(ecc).filter(([each]) => each !== address);
  await write(guest, { ...record, ...(others.length > 0 ? { ecc: Object.fromEntries(others) } : {}) });
}

/** Packages that are about to be installed, by the names they are asked for. */
export async function rememberPackages(guest: Guest, packages: readonly string[]): Promise<void> {
  const record = await read(guest);
  const added = packages.filter(name => !record.packages.includes(name));
  if (added.length > 0) await write(guest, { ...record, packages: [...record.packages, ...added] });
}

/** They are there: from now on by the names that the package database has for them, and for what came with them. */
export async function nameRememberedPackages(
  guest: Guest,
  asked: readonly string[],
  came: readonly string[],
): Promise<void> {
  const record = await read(guest);
  const others = record.packages.filter(name => !asked.includes(name) && !came.includes(name));
  await write(guest, { ...record, packages: [...others, ...came] });
}

async function read(guest: GuestView): Promise<ChangeRecord> {
  const found = await readChanges(guest);
  if ('record' in found) return found.record;
  throw new AgentError(`${CHANGES} is not what this program wrote: ${found.because}`, {
    fault: 'blocked',
    remedy: unreadableRemedy,
  });
}

const unreadableRemedy = `put it back from a backup, or move it away (mv ${CHANGES} ${CHANGES}.broken), which loses what revert must know; then run this again`;

async function write(guest: Guest, record: ChangeRecord): Promise<void> {
  const text = changeRecordText(record);
  if ((await guest.readText(CHANGES)) === text) return;
  await guest.makeDirectory(STATE_DIRECTORY, 0o700);
  await guest.writeText(CHANGES, text, 0o600);
}

/** The name, with a number where it is taken. */
export async function freeName(guest: GuestView, wanted: string): Promise<string> {
  let name = wanted;
  for (let number = 2; await guest.stat(name); number++) name = `${wanted}.${number}`;
  return name;
}
