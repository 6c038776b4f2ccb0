import type { Change } from '../../change.ts';
import { MODPROBE_FOLDER } from '../../facts/driver/carried.ts';
import { DRACUT_DROP_IN } from '../../facts/driver/initrds.ts';
import { type ChangedFile, ORIGINALS, type RecordFact } from '../../facts/record.ts';

/** How `revert` was asked for. */
export interface RevertOptions {
  /** The driver goes as well. */
  readonly driver: boolean;
  /** Packages that came with it go as well. */
  readonly packages: boolean;
  /** Also what somebody has changed since. */
  readonly force: boolean;
}

/** How a changed file stands. */
export type Standing =
  | { readonly is: 'back' }
  | { readonly is: 'due'; readonly change: Change; readonly isUnsure: boolean }
  /** Somebody has changed it since. */
  | { readonly is: 'kept'; readonly because: string; readonly canBeForced: boolean };

const BACK: Standing = { is: 'back' };

/** What is to be done with a file, by what was there, what this program has written, and what is there now. */
export function standingOf(file: ChangedFile, { force }: Pick<RevertOptions, 'force'>): Standing {
  const { path, before, now } = file;
  if (now && now.sha256 === undefined) return kept(`${path} is no file any more`, false);
  if (!before) {
    if (!now) return BACK;
    const isText = hasSecret(file) ? {} : { isText: true as const };
    const remove: Change = { kind: 'remove', path, ...isText, because: `${path} was not there before` };
    return isOurs(file) || force ? dueTo(remove, file) : kept(`${path} was made by vgpu-guest, ${SINCE}`, true);
  }
  if (now?.sha256 === before.sha256) return modeOf(file);
  if (!file.hasOriginal) return kept(`the original of ${path} is not kept any more`, false);
  if (!isOurs(file) && !force)
    return kept(now ? `${path} was changed by vgpu-guest, ${SINCE}` : `${path} was removed by somebody`, true);
  const { mode, uid, gid, label } = before;
  const because = `${path} was another one before`;
  const more = { ...(label === undefined ? {} : { label }), ...(hasSecret(file) ? { isSecret: true as const } : {}) };
  return dueTo({ kind: 'restore', path, original: `${ORIGINALS}${path}`, mode, uid, gid, ...more, because }, file);
}

const SINCE = 'and by somebody else since';

function kept(because: string, canBeForced: boolean): Standing {
  return { is: 'kept', because, canBeForced };
}

function dueTo(change: Change, { isUnsure }: ChangedFile): Standing {
  return { is: 'due', change, isUnsure: isUnsure ?? false };
}

/** A token, or what was in its place. */
function hasSecret({ isSecret }: ChangedFile): boolean {
  return isSecret ?? false;
}

function isOurs({ ours, mixed, now }: ChangedFile): boolean {
  return !mixed && now?.sha256 !== undefined && ours.includes(now.sha256);
}

/** The content is as it was; a mode that somebody else has set is theirs. */
function modeOf({ path, before, mode, now }: ChangedFile): Standing {
  if (!before || now?.mode === before.mode || now?.mode !== mode) return BACK;
  const because = `${path} had mode 0${before.mode.toString(8)} before`;
  return { is: 'due', change: { kind: 'set-mode', path, mode: before.mode, because }, isUnsure: false };
}

/** The driver needs what keeps nouveau away, and what lets modprobe load it. */
function isForDriver(path: string): boolean {
  return path.startsWith(MODPROBE_FOLDER) || path === DRACUT_DROP_IN;
}

/** Those that this program writes for itself go with their units. */
const OWN_UNIT = /^\/etc\/systemd\/system\/vgpu-guest-[^/]+$/;

/** The files of one of the two steps that put files back. */
export function filesOf({ files }: Pick<RecordFact, 'files'>, whose: 'driver' | 'others'): readonly ChangedFile[] {
  return files.filter(({ path }) => !OWN_UNIT.test(path) && isForDriver(path) === (whose === 'driver'));
}

/** Folders that were made and in which nothing is left without these files, the deepest first. */
export function emptied({ folders }: Pick<RecordFact, 'folders'>, removed: Iterable<string>): readonly Change[] {
  const gone = new Set(removed);
  const changes: Change[] = [];
  for (const { path, entries } of folders.toReversed()) {
    if (!entries.every(name => gone.has(`${path}/${name}`))) continue;
    gone.add(path);
    changes.push({ kind: 'remove-folder', path, because: `${path} was not there before` });
  }
  return changes;
}

/** What to say of files that stay as somebody has left them, and of those of which nothing says whether they are. */
export function warningsOf(files: readonly ChangedFile[], options: RevertOptions): readonly string[] {
  return files.flatMap(file => {
    const standing = standingOf(file, options);
    if (standing.is === 'due' && standing.isUnsure)
      return [`${file.path} goes back without a record: whether somebody has changed it since is unknown`];
    if (standing.is !== 'kept') return [];
    return [`${standing.because}: it is left alone${standing.canBeForced ? ' (revert --force puts it back)' : ''}`];
  });
}

/** The deeds that put these files back. */
export function changesOf(files: readonly ChangedFile[], options: RevertOptions): readonly Change[] {
  return files.flatMap(file => {
    const standing = standingOf(file, options);
    const { leftover: path } = file;
    const because = 'a write that was cut has left it';
    return [
      ...(path === undefined ? [] : [{ kind: 'remove', path, because } as const]),
      ...(standing.is === 'due' ? [standing.change] : []),
    ];
  });
}

/** The record cannot be read, so that nobody knows what there is to put back. */
export function refuseUnreadable({ unreadable }: Pick<RecordFact, 'unreadable'>) {
  if (unreadable === undefined) return undefined;
  return {
    is: 'blocked',
    because: `/var/lib/vgpu-guest/changes.json is not what this program wrote: ${unreadable}`,
    remedy:
      'put it back from a backup; or move it away, and run it again: then files go back as far as their originals are kept',
  } as const;
}
