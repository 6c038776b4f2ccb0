import { describe, expect, test } from 'vitest';
import type { ChangedFile } from '../../../src/facts/record.ts';
import { emptied, filesOf, standingOf, warningsOf } from '../../../src/steps/revert/changed-files.ts';

const [OLD, OURS, THEIRS] = ['a', 'b', 'c'].map(letter => letter.repeat(64)) as [string, string, string];
const BEFORE = { sha256: OLD, mode: 0o640, uid: 0, gid: 44 };
const now = (sha256: string | undefined, mode = 0o644) => ({ sha256, mode, changedUs: 0 });
const file = (given: Partial<ChangedFile>): ChangedFile => ({
  path: '/etc/nvidia/gridd.conf',
  before: null,
  ours: [OURS],
  hasOriginal: false,
  now: now(OURS),
  ...given,
});
const CHANGED = file({ before: BEFORE, hasOriginal: true });
const is = (given: ChangedFile, force = false) => {
  const standing = standingOf(given, { force });
  return standing.is === 'due' ? standing.change.kind : standing.is;
};

describe('a file that was not there', () => {
  test.each<[string, Partial<ChangedFile>, string]>([
    ['is removed as this program has written it', {}, 'remove'],
    ['is back when it is gone', { now: undefined }, 'back'],
    ['stays as somebody else has written it', { now: now(THEIRS) }, 'kept'],
    ['stays where this program has written into what somebody else had', { mixed: true }, 'kept'],
    ['stays where it is a folder by now', { now: now(undefined) }, 'kept'],
    ['is removed as an earlier run has written it, too', { ours: [OURS, THEIRS], now: now(OURS) }, 'remove'],
  ])('%s', (_, given, expected) => {
    expect(is(file(given))).toBe(expected);
  });

  test('goes by force, but not where it is a folder', () => {
    expect(is(file({ now: now(THEIRS) }), true)).toBe('remove');
    expect(is(file({ mixed: true }), true)).toBe('remove');
    expect(is(file({ now: now(undefined) }), true)).toBe('kept');
  });
});

describe('a file that was there', () => {
  test('is put back with mode, owner and label', () => {
    const before = { ...BEFORE, label: 'etc_t' };
    expect(standingOf(file({ before, hasOriginal: true }), { force: false })).toMatchObject({
      is: 'due',
      change: { kind: 'restore', mode: 0o640, uid: 0, gid: 44, label: 'etc_t' },
    });
  });

  test('is back when it has its content, whatever mode somebody has given it', () => {
    expect(is({ ...CHANGED, now: now(OLD, 0o640) })).toBe('back');
    expect(is({ ...CHANGED, now: now(OLD, 0o600) })).toBe('back');
  });

  test('gets its mode again where this program has set another one', () => {
    expect(is({ ...CHANGED, mode: 0o744, now: now(OLD, 0o744) })).toBe('set-mode');
    expect(is({ ...CHANGED, mode: 0o744, now: now(OLD, 0o600) })).toBe('back');
  });

  test('stays as somebody else has left it: written, or removed', () => {
    expect(is({ ...CHANGED, now: now(THEIRS) })).toBe('kept');
    expect(is({ ...CHANGED, now: undefined })).toBe('kept');
    expect(is({ ...CHANGED, now: undefined }, true)).toBe('restore');
  });

  test('cannot be put back without its original, not even by force', () => {
    expect(is({ ...CHANGED, hasOriginal: false })).toBe('kept');
    expect(is({ ...CHANGED, hasOriginal: false }, true)).toBe('kept');
  });
});

test('what is left alone is said with the word that puts it back, where one does', () => {
  const options = { driver: false, packages: false, force: false };
  expect(warningsOf([{ ...CHANGED, now: now(THEIRS) }], options)[0]).toMatch(
    /left alone \(revert --force puts it back\)$/,
  );
  expect(warningsOf([{ ...CHANGED, hasOriginal: false }], options)[0]).toMatch(/left alone$/);
});

test('files that the driver needs are told from the others, and units are neither', () => {
  const paths = ['/etc/modprobe.d/50-blacklist.conf', '/etc/dracut.conf.d/50-vgpu-guest.conf', '/etc/X11/xorg.conf'];
  const unit = '/etc/systemd/system/vgpu-guest-x11vnc.service';
  const record = { files: [...paths, unit].map(path => file({ path })) };
  expect(filesOf(record, 'driver').map(({ path }) => path)).toEqual(paths.slice(0, 2));
  expect(filesOf(record, 'others').map(({ path }) => path)).toEqual(paths.slice(2));
});

test('a folder goes when all that is in it goes, the deepest first; one with anything else in it stays', () => {
  const folders = [
    { path: '/etc/a', entries: ['b'] },
    { path: '/etc/a/b', entries: ['c.conf'] },
    { path: '/etc/d', entries: ['c.conf', 'theirs.conf'] },
  ];
  const changes = emptied({ folders }, ['/etc/a/b/c.conf', '/etc/d/c.conf']);
  expect(changes.map(change => 'path' in change && change.path)).toEqual(['/etc/a/b', '/etc/a']);
});
