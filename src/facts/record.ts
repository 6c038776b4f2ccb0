import { basename, dirname } from 'node:path/posix';
import {
  type ChangeRecord,
  type FileBefore,
  type FileRecord,
  NOTHING_CHANGED,
  parseChangeRecord,
} from '../formats/change-record.ts';
import type { GuestView } from '../guest/guest.ts';
import type { Look } from './facts.ts';

/** What this program has changed, by its own record, and how each of it stands now. */
export interface RecordFact {
  /** Why nobody knows; undefined: it was read, or there is none. */
  readonly unreadable: string | undefined;
  /** Without a record: what can be told from the originals that an earlier release has kept. */
  readonly record: ChangeRecord;
  readonly files: readonly ChangedFile[];
  readonly folders: readonly { readonly path: string; readonly entries: readonly string[] }[];
  readonly moves: readonly MovedFile[];
  /** Releases of the CUDA toolkit that came from a runfile and are still there. */
  readonly toolkits: readonly string[];
  /** Paths whose originals are kept. */
  readonly originals: readonly string[];
  /** Names in the folder of this program's own state; undefined: it is not there. */
  readonly state: readonly string[] | undefined;
}

export interface ChangedFile extends FileRecord {
  readonly path: string;
  /** The original is kept, and is what it was. */
  readonly hasOriginal: boolean;
  /** Nothing says what this program wrote: whether somebody has changed the file since is unknown. */
  readonly isUnsure?: true;
  readonly now: FileNow | undefined;
  /** What a write that was cut has left beside it. */
  readonly leftover?: string;
}

interface FileNow {
  /** undefined: it is no file. */
  readonly sha256: string | undefined;
  readonly mode: number;
  readonly changedUs: number;
}

export interface MovedFile {
  readonly from: string;
  readonly to: string;
  /** What lies at `to`; undefined: nothing. */
  readonly there: { readonly sha256: string | undefined } | undefined;
  /** Something has that name again. */
  readonly isTaken: boolean;
}

/** What this program remembers: the record and the originals that `revert` puts back, the resume marker, the last report. */
export const STATE_DIRECTORY = '/var/lib/vgpu-guest';
export const CHANGES = `${STATE_DIRECTORY}/changes.json`;
export const ORIGINALS = `${STATE_DIRECTORY}/originals`;
/** It grows with every file and package, and never near this. */
const LIMIT_BYTES = 4 * 1024 * 1024;

export async function collectRecord({ guest }: Look): Promise<RecordFact> {
  const [read, originals, folder] = await Promise.all([
    readChanges(guest),
    listFiles(guest, ORIGINALS),
    guest.stat(STATE_DIRECTORY),
  ]);
  const record = 'record' in read ? read.record : NOTHING_CHANGED;
  const paths = originals.map(path => path.slice(ORIGINALS.length));
  const known = await Promise.all(Object.entries(record.files).map(([path, file]) => lookAtFile(guest, path, file)));
  const unknown = paths.filter(path => !Object.hasOwn(record.files, path));
  const older = 'record' in read ? await Promise.all(unknown.map(path => lookAtOlder(guest, path))) : [];
  const byPath = (one: ChangedFile, other: ChangedFile) => (one.path < other.path ? -1 : 1);
  return {
    unreadable: 'because' in read ? read.because : undefined,
    record,
    files: [...known, ...older].toSorted(byPath),
    folders: await lookAtFolders(guest, record.folders),
    moves: await Promise.all(record.moves.map(move => lookAtMove(guest, move))),
    toolkits: await lookAtToolkits(guest, record.toolkits ?? []),
    originals: paths,
    state: folder && (await guest.list(STATE_DIRECTORY)),
  };
}

/** The record as it stands; an absent one is an empty one. */
export async function readChanges(
  guest: GuestView,
): Promise<{ readonly record: ChangeRecord } | { readonly because: string }> {
  const foreign = (await whyForeign(guest, CHANGES)) ?? (await whyForeign(guest, ORIGINALS));
  if (foreign !== undefined) return { because: foreign };
  const text = await guest.readText(CHANGES, LIMIT_BYTES);
  return text === undefined ? { record: NOTHING_CHANGED } : parseChangeRecord(text);
}

/** Why something of this program's own state may be somebody else's: root does what it says. */
export async function whyForeign(guest: GuestView, path: string): Promise<string | undefined> {
  const exposed = await guest.exposure(path);
  if (exposed === undefined) return undefined;
  return `others than root can change ${exposed} (chown root ${exposed} && chmod go-w ${exposed}, after a look at what lies there)`;
}

/** Content, mode and owner of a file, links followed; undefined: there is none. */
export async function lookAtContent(guest: GuestView, path: string): Promise<FileBefore | undefined> {
  const [stat, sha256] = await Promise.all([guest.stat(path), digestOf(guest, path)]);
  if (!stat || sha256 === undefined) return undefined;
  const label = await labelOf(guest, path);
  return { sha256, mode: stat.mode, uid: stat.uid, gid: stat.gid, ...(label ? { label } : {}) };
}

/** SELinux's, where there is SELinux. */
export async function labelOf(guest: GuestView, path: string): Promise<string | undefined> {
  if (!(await guest.stat('/sys/fs/selinux/enforce'))) return undefined;
  const { code, stdout } = await guest.query(['stat', '--dereference', '--format=%C', path]);
  return code === 0 ? stdout.trim() || undefined : undefined;
}

async function lookAtFile(guest: GuestView, path: string, file: FileRecord): Promise<ChangedFile> {
  const beside = `${dirname(path)}/.${basename(path)}.vgpu-guest`;
  const [now, original, isCut] = await Promise.all([
    lookAtNow(guest, path),
    digestOf(guest, `${ORIGINALS}${path}`),
    isThere(guest, beside),
  ]);
  const hasOriginal = original !== undefined && original === file.before?.sha256;
  return { ...file, path, now, hasOriginal, ...(isCut ? { leftover: beside } : {}) };
}

/** Kept by a release that wrote no record: what stands there now is taken for its own. */
async function lookAtOlder(guest: GuestView, path: string): Promise<ChangedFile> {
  const [now, original] = await Promise.all([lookAtNow(guest, path), lookAtContent(guest, `${ORIGINALS}${path}`)]);
  const ours = now?.sha256 === undefined ? [] : [now.sha256];
  return { path, now, before: original ?? null, ours, hasOriginal: original !== undefined, isUnsure: true };
}

async function lookAtNow(guest: GuestView, path: string): Promise<FileNow | undefined> {
  const stat = await guest.stat(path);
  return stat && { sha256: await digestOf(guest, path), mode: stat.mode, changedUs: stat.changedUs };
}

async function lookAtFolders(guest: GuestView, folders: readonly string[]) {
  const looked = await Promise.all(
    folders.map(async path => ((await guest.stat(path)) ? [{ path, entries: await guest.list(path) }] : [])),
  );
  return looked.flat();
}

async function lookAtToolkits(guest: GuestView, releases: readonly string[]): Promise<readonly string[]> {
  const looked = await Promise.all(
    releases.map(async release => ((await guest.stat(`/usr/local/cuda-${release}/bin/nvcc`)) ? [release] : [])),
  );
  return looked.flat();
}

async function lookAtMove(guest: GuestView, move: { from: string; to: string }): Promise<MovedFile> {
  const [from, to] = await Promise.all([isThere(guest, move.from), isThere(guest, move.to)]);
  return { ...move, isTaken: from, there: to ? { sha256: await digestOf(guest, move.to) } : undefined };
}

async function isThere(guest: GuestView, path: string): Promise<boolean> {
  return (await guest.stat(path)) !== undefined || (await guest.readLink(path)) !== undefined;
}

async function digestOf(guest: GuestView, path: string): Promise<string | undefined> {
  return (await guest.stat(path))?.kind === 'file' ? await guest.digest(path, 'sha256') : undefined;
}

async function listFiles(guest: GuestView, folder: string): Promise<readonly string[]> {
  const names = await guest.list(folder);
  const below = await Promise.all(
    names.map(async name => {
      const path = `${folder}/${name}`;
      return (await guest.stat(path))?.kind === 'directory' ? await listFiles(guest, path) : [path];
    }),
  );
  return below.flat();
}
