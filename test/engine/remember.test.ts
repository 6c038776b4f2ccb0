import { createHash } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { remember } from '../../src/engine/remember.ts';
import { restore } from '../../src/engine/restore.ts';
import { parseChangeRecord } from '../../src/formats/change-record.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../helpers/temporary.ts';

const CONF = '/etc/nvidia/gridd.conf';
const RECORD = 'var/lib/vgpu-guest/changes.json';
const because = 'it is asked for';
const sha = (text: string) => createHash('sha256').update(text).digest('hex');

function guestWith(files: Readonly<Record<string, string>> = {}) {
  const root = temporaryFolder();
  writeFiles(root, files);
  const guest = openGuest({ root, env: {} });
  const record = () => {
    const read = parseChangeRecord(readFileSync(join(root, RECORD), 'utf8'));
    if ('because' in read) throw new Error(read.because);
    return read.record;
  };
  const write = async (text: string) => {
    await remember(guest, { kind: 'write', path: CONF, text, because });
    await guest.writeText(CONF, text);
  };
  return { root, guest, record, write };
}

describe('before a file is written', () => {
  test('it is on record that there was none, and which folders are made for it', async () => {
    const { root, guest, record } = guestWith({ 'etc/passwd': '' });
    await remember(guest, { kind: 'write', path: CONF, text: 'new', because });
    expect(existsSync(join(root, CONF))).toBe(false);
    expect(record()).toMatchObject({
      files: { [CONF]: { before: null, ours: [sha('new')] } },
      folders: ['/etc/nvidia'],
    });
    expect(statSync(join(root, RECORD)).mode & 0o777).toBe(0o600);
  });

  test('it is kept as it was the first time, whatever is written over it later', async () => {
    const { root, record, write } = guestWith({ [CONF.slice(1)]: 'old' });
    await write('one');
    await write('two');
    expect(readFileSync(join(root, `var/lib/vgpu-guest/originals${CONF}`), 'utf8')).toBe('old');
    expect(record().files[CONF]).toMatchObject({ before: { sha256: sha('old') }, ours: [sha('one'), sha('two')] });
    expect(record().files[CONF]).not.toHaveProperty('mixed');
  });

  test('it is on record that somebody else had written into it since', async () => {
    const { root, record, write } = guestWith({ [CONF.slice(1)]: 'old' });
    await write('one');
    writeFileSync(join(root, CONF), 'theirs');
    await write('theirs and two');
    expect(record().files[CONF]).toMatchObject({ mixed: true });
  });

  test('an original that a release without a record has kept counts, and not what that has written', async () => {
    const { root, record, write } = guestWith({ [CONF.slice(1)]: 'one' });
    writeFiles(root, { [`var/lib/vgpu-guest/originals${CONF}`]: 'old' });
    await write('two');
    expect(record().files[CONF]).toMatchObject({ before: { sha256: sha('old') }, ours: [sha('two')] });
    expect(readFileSync(join(root, `var/lib/vgpu-guest/originals${CONF}`), 'utf8')).toBe('old');
  });

  test('nothing is written where the record is not what this program wrote', async () => {
    const { root, write } = guestWith({ [RECORD]: '{}' });
    await expect(write('new')).rejects.toThrow('changes.json is not what this program wrote');
    expect(existsSync(join(root, CONF))).toBe(false);
  });
});

test('a token that was there before is kept for root alone', async () => {
  const { root, guest } = guestWith({ 'etc/a.tok': 'old', 'opt/a.tok': 'new' });
  await remember(guest, { kind: 'copy-secret', from: '/opt/a.tok', path: '/etc/a.tok', mode: 0o744, because });
  expect(statSync(join(root, 'var/lib/vgpu-guest/originals/etc/a.tok')).mode & 0o777).toBe(0o600);
});

test('a unit is on record as it was before it was first touched', async () => {
  const { root, guest, record } = guestWith();
  writeProgram(root, 'systemctl', 'cat "$GUEST_ROOT/shown"');
  writeFiles(root, { shown: 'ActiveState=inactive\nUnitFileState=disabled\n' });
  const restart = { kind: 'service', unit: 'nvidia-gridd.service', action: 'restart', because } as const;
  await remember(guest, restart);
  writeFiles(root, { shown: 'ActiveState=active\nUnitFileState=enabled\n' });
  await remember(guest, restart);
  expect(record().units).toEqual({ 'nvidia-gridd.service': { enabled: 'disabled', active: 'inactive' } });
});

test.runIf(process.geteuid?.() === 0)(
  'a file goes back with mode and owner also where it is not there any more',
  async () => {
    const { root, guest } = guestWith({ 'var/lib/vgpu-guest/originals/etc/a.conf': 'old' });
    mkdirSync(join(root, 'etc'));
    const original = '/var/lib/vgpu-guest/originals/etc/a.conf';
    chownSync(join(root, original), 0, 0);
    await restore(guest, { kind: 'restore', path: '/etc/a.conf', original, mode: 0o4750, uid: 12, gid: 34 });
    const stat = statSync(join(root, 'etc/a.conf'));
    expect([stat.uid, stat.gid, stat.mode & 0o7777]).toEqual([12, 34, 0o4750]);
  },
);

test('a file gets the SELinux label again that it had', async () => {
  const { root, guest } = guestWith({
    'var/lib/vgpu-guest/originals/etc/a.conf': 'old',
    'etc/a.conf': 'new',
    'sys/fs/selinux/enforce': '1',
  });
  writeProgram(root, 'stat', 'echo system_u:object_r:unlabeled_t:s0');
  writeProgram(root, 'chcon', 'echo "$@" >>"$GUEST_ROOT/chcon.log"');
  const { uid, gid } = statSync(join(root, 'etc/a.conf'));
  const original = '/var/lib/vgpu-guest/originals/etc/a.conf';
  const label = 'system_u:object_r:etc_t:s0';
  await restore(guest, { kind: 'restore', path: '/etc/a.conf', original, mode: 0o644, uid, gid, label });
  expect(readFileSync(join(root, 'chcon.log'), 'utf8')).toContain(`${label} /etc/a.conf`);
});
