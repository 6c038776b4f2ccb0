import { describe, expect, test } from 'vitest';
import {
  type ChangeRecord,
  changeRecordText,
  isNothing,
  NOTHING_CHANGED,
  parseChangeRecord,
} from '../../src/formats/change-record.ts';

const SHA = 'a'.repeat(64);
const RECORD: ChangeRecord = {
  ...NOTHING_CHANGED,
  files: {
    '/etc/nvidia/gridd.conf': { before: null, ours: [SHA] },
    '/etc/X11/xorg.conf': {
      before: { sha256: SHA, mode: 0o640, uid: 0, gid: 44, label: 'system_u:object_r:etc_t:s0' },
      ours: [SHA],
      mixed: true,
    },
  },
  units: { 'nvidia-gridd.service': { enabled: 'disabled', active: 'inactive' } },
  driver: { version: '570.211.01', before: null },
};

test('what was written is read again, word for word', () => {
  expect(parseChangeRecord(changeRecordText(RECORD))).toEqual({ record: RECORD });
});

describe('a record that this program did not write says why', () => {
  test.each([
    ['is no JSON', '{"schema": "vgpu-guest/changes/1", ', /^it is no JSON/],
    ['is another kind', '{"schema": "vgpu-guest/changes/2"}', /^schema: /],
    [
      'has a path that leads elsewhere',
      changeRecordText({ ...RECORD, files: { 'etc/passwd': RECORD.files['/etc/nvidia/gridd.conf']! } }),
      /^files/,
    ],
    ['has a move to nowhere', changeRecordText({ ...RECORD, moves: [{ from: '/a', to: '../b' }] }), /^moves\.0\.to: /],
    [
      'has a hash that is none',
      changeRecordText({ ...RECORD, files: { '/a': { before: null, ours: ['x'] } } }),
      /^files/,
    ],
  ])('because it %s', (_, text, because) => {
    expect(parseChangeRecord(text)).toEqual({ because: expect.stringMatching(because) });
  });
});

test('a record with anything left in it is not nothing', () => {
  expect(isNothing(NOTHING_CHANGED)).toBe(true);
  expect(isNothing({ ...NOTHING_CHANGED, folders: ['/etc/dracut.conf.d'] })).toBe(false);
  expect(isNothing({ ...NOTHING_CHANGED, driver: { version: '1', before: null } })).toBe(false);
});
