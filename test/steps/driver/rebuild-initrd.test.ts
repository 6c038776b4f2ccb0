import { expect, test } from 'vitest';
import type { Config } from '../../../src/config/schema.ts';
import type { BlacklistFact } from '../../../src/facts/driver/blacklist.ts';
import type { InitrdsFact } from '../../../src/facts/driver/initrds.ts';
import { rebuildInitrd } from '../../../src/steps/driver/rebuild-initrd.ts';

const PATH = '/etc/modprobe.d/50-blacklist.conf';
const IMAGE = { kernel: '6.4.0-default', path: '/boot/initrd-6.4.0-default', sizeBytes: 60_000_000, modifiedUs: 2_000 };
const DROP_IN = {
  text: `# vgpu-guest: the nouveau blacklist belongs into every initrd\ninstall_items+=" ${PATH} "\n`,
  changedUs: 1_500,
};

const written: BlacklistFact = {
  own: { path: PATH, text: 'blacklist nouveau\n' },
  rivals: ['nouveau'],
  holders: new Map([['nouveau', { path: PATH, text: 'blacklist nouveau\n', changedUs: 1_000 }]]),
};
const unwritten: BlacklistFact = { own: { path: PATH, text: undefined }, rivals: ['nouveau'], holders: new Map() };
const settledInitrds: InitrdsFact = { builder: 'dracut', images: [IMAGE], freeBytes: 500_000_000, dropIn: DROP_IN };

function judge(blacklist: BlacklistFact, initrds: Partial<InitrdsFact>, ahead: readonly string[] = []) {
  return rebuildInitrd.judge({} as Config, { blacklist, initrds: { ...settledInitrds, ...initrds } }, new Set(ahead));
}

test('an image that is newer than the blacklist is settled', () => {
  expect(judge(written, {})).toEqual({
    is: 'settled',
    because: '/boot/initrd-6.4.0-default is newer than the nouveau blacklist',
  });
});

test('an image that is older than the blacklist is rebuilt', () => {
  expect(judge(written, { images: [{ ...IMAGE, modifiedUs: 999 }], dropIn: { ...DROP_IN, changedUs: 1 } })).toEqual({
    is: 'due',
    changes: [
      {
        kind: 'rebuild-initrd',
        kernel: '6.4.0-default',
        image: '/boot/initrd-6.4.0-default',
        builder: 'dracut',
        holds: PATH,
        because: '/boot/initrd-6.4.0-default is older than the nouveau blacklist',
      },
    ],
  });
});

test('a blacklist that is about to be written makes every image old', () => {
  expect(judge(unwritten, {}, ['blacklist-nouveau'])).toMatchObject({
    is: 'due',
    changes: [{ kind: 'rebuild-initrd' }],
  });
});

test('only the images of kernels that lag behind are rebuilt', () => {
  const newer = { ...IMAGE, kernel: '6.4.1-default', path: '/boot/initrd-6.4.1-default', modifiedUs: 900 };
  const verdict = judge(written, { images: [IMAGE, newer] });
  expect(
    verdict.is === 'due' && verdict.changes.map(change => change.kind === 'rebuild-initrd' && change.kernel),
  ).toEqual(['6.4.1-default']);
});

test('dracut is told once and for all to take the blacklist along, and the images follow', () => {
  const verdict = judge(written, { dropIn: undefined });
  expect(verdict.is === 'due' && verdict.changes.map(change => change.kind)).toEqual(['write', 'rebuild-initrd']);
});

test('initramfs-tools takes /etc/modprobe.d along by itself: no drop-in', () => {
  expect(judge(written, { builder: 'initramfs-tools', dropIn: undefined }).is).toBe('settled');
});

test('a /boot without room for a second image blocks before anything is touched', () => {
  expect(judge(written, { freeBytes: 77_000_000, images: [{ ...IMAGE, modifiedUs: 1 }] })).toMatchObject({
    is: 'blocked',
    because: '/boot has 77 MB free, and a new initrd beside the old one needs 78 MB',
  });
});

test('a kernel without an initrd needs none', () => {
  expect(judge(written, { images: [] }).is).toBe('settled');
});

test('an old image and no program that makes one is blocked', () => {
  expect(judge(written, { builder: undefined, images: [{ ...IMAGE, modifiedUs: 1 }] })).toMatchObject({
    is: 'blocked',
    remedy: 'install dracut',
  });
});
