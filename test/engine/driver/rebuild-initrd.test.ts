import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { InitrdBuilder } from '../../../src/change.ts';
import { rebuildInitrd } from '../../../src/engine/driver/rebuild-initrd.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const IMAGE = '/boot/initrd-6.4.0';
const BLACKLIST = '/etc/modprobe.d/50-blacklist.conf';
const quiet = { info() {}, warn() {}, progress() {} };

/** A guest whose initrd programs do what the scripts say; `$GUEST_ROOT$3` is the image that dracut is asked for. */
function guestWith(programs: Readonly<Record<string, string>>) {
  const root = temporaryFolder();
  writeFiles(root, {
    'boot/initrd-6.4.0': 'the old image, which boots',
    'etc/modprobe.d/50-blacklist.conf': 'blacklist nouveau\n',
  });
  for (const [name, script] of Object.entries(programs)) writeProgram(root, name, script);
  return { root, guest: openGuest({ root, env: {} }) };
}

function rebuild({ guest }: ReturnType<typeof guestWith>, builder: InitrdBuilder = 'dracut') {
  return rebuildInitrd(
    guest,
    { kind: 'rebuild-initrd', kernel: '6.4.0', image: IMAGE, builder, holds: BLACKLIST },
    quiet,
  );
}

const bootOf = (root: string) => readdirSync(join(root, 'boot'));
const imageOf = (root: string) => readFileSync(join(root, 'boot/initrd-6.4.0'), 'utf8');

const DRACUT = 'echo "a new image, which boots as well" > "$GUEST_ROOT$2"; [ "$1 $3" = "--force 6.4.0" ]';
const LISTS_NOUVEAU = 'if [ "$1" = -f ]; then echo "blacklist nouveau"; else echo "lib/modules/nouveau.ko.xz"; fi';

test('the new image takes the place of the old one, which is kept', async () => {
  const it = guestWith({ dracut: DRACUT, lsinitrd: LISTS_NOUVEAU });
  await rebuild(it);
  expect(imageOf(it.root)).toBe('a new image, which boots as well\n');
  expect(readFileSync(join(it.root, 'boot/initrd-6.4.0.before-vgpu-guest'), 'utf8')).toBe('the old image, which boots');
  expect(bootOf(it.root)).toEqual(['initrd-6.4.0', 'initrd-6.4.0.before-vgpu-guest']);
});

test('the new image is newer than what it holds, although the clock was set back since that was written', async () => {
  const it = guestWith({ dracut: `${DRACUT} && touch -d '2020-01-01' "$GUEST_ROOT$2"`, lsinitrd: LISTS_NOUVEAU });
  await rebuild(it);
  const [image, held] = await Promise.all([IMAGE, BLACKLIST].map(path => it.guest.stat(path)));
  expect(image?.modifiedUs).toBeGreaterThan(held?.changedUs ?? Infinity);
});

test('a second rebuild keeps the image before it', async () => {
  const it = guestWith({ dracut: DRACUT, lsinitrd: LISTS_NOUVEAU });
  await rebuild(it);
  await rebuild(it);
  expect(readFileSync(join(it.root, 'boot/initrd-6.4.0.before-vgpu-guest'), 'utf8')).toBe(
    'a new image, which boots as well\n',
  );
});

test.each([
  [
    'a dracut that runs out of space and deletes its output, as 059 does',
    { dracut: 'rm -f "$GUEST_ROOT$2"; echo "dracut: No space left on device" >&2; exit 1', lsinitrd: LISTS_NOUVEAU },
    'No space left on device',
  ],
  ['a dracut that says yes and writes nothing', { dracut: 'exit 0', lsinitrd: LISTS_NOUVEAU }, 'nothing was written'],
  [
    'a dracut that writes a stump',
    { dracut: 'echo x > "$GUEST_ROOT$2"', lsinitrd: LISTS_NOUVEAU },
    'it has 2 bytes, the old one 26',
  ],
  [
    'an image that lsinitrd cannot read',
    { dracut: DRACUT, lsinitrd: 'echo "not a cpio archive" >&2; exit 1' },
    'lsinitrd cannot read it: not a cpio archive',
  ],
  [
    'an image with nouveau and without the blacklist',
    { dracut: DRACUT, lsinitrd: '[ "$1" = -f ] && exit 1; echo lib/modules/nouveau.ko' },
    'it carries nouveau.ko',
  ],
  [
    'an image whose blacklist is an older text',
    { dracut: DRACUT, lsinitrd: '[ "$1" = -f ] && echo "# nothing" || echo lib/modules/nouveau.ko' },
    'is not in it as it stands on disk',
  ],
  ['no dracut at all', { lsinitrd: LISTS_NOUVEAU }, 'dracut is not there'],
])('%s leaves the guest with the image that boots, and nothing beside it', async (_, programs, words) => {
  const it = guestWith(programs as unknown as Record<string, string>);
  await expect(rebuild(it)).rejects.toThrow(words);
  expect(imageOf(it.root)).toBe('the old image, which boots');
  expect(bootOf(it.root)).toEqual(['initrd-6.4.0']);
});

test('an image without nouveau needs no blacklist in it', async () => {
  const it = guestWith({ dracut: DRACUT, lsinitrd: '[ "$1" = -f ] && exit 1; echo lib/modules/virtio.ko' });
  await rebuild(it);
  expect(imageOf(it.root)).toBe('a new image, which boots as well\n');
});

test.each([
  [[], ['-f']],
  [['/etc/modprobe.d/gone.conf'], ['-f', '/boot/.initrd-6.4.0.vgpu-guest']],
])('an image that has to lack %o is read by lsinitrd %o', async (lacks, asked) => {
  const it = guestWith({ dracut: DRACUT, lsinitrd: `echo "$1" >>"$GUEST_ROOT/asked"; ${LISTS_NOUVEAU}` });
  const deed = { kind: 'rebuild-initrd', kernel: '6.4.0', image: IMAGE, builder: 'dracut', holds: BLACKLIST } as const;
  await rebuildInitrd(it.guest, { ...deed, lacks }, quiet);
  expect(readFileSync(join(it.root, 'asked'), 'utf8').trim().split('\n')).toEqual(asked);
});

test.each(['', undefined])('a blacklist that is %o on disk proves nothing of an image', async text => {
  const it = guestWith({ dracut: DRACUT, lsinitrd: '[ "$1" = -f ] || { echo "not a cpio archive" >&2; exit 1; }' });
  if (text === undefined) rmSync(join(it.root, BLACKLIST));
  else writeFiles(it.root, { [BLACKLIST]: text });
  await expect(rebuild(it)).rejects.toThrow('lsinitrd cannot read it: not a cpio archive');
});

test('an image that still has what was to go from it is not used', async () => {
  const lists = 'echo "-rw-r--r-- 1 root root 18 Jan 1 2024 etc/modprobe.d/gone.conf"';
  const it = guestWith({ dracut: DRACUT, lsinitrd: lists });
  const deed = { kind: 'rebuild-initrd', kernel: '6.4.0', image: IMAGE, builder: 'dracut' } as const;
  await expect(rebuildInitrd(it.guest, { ...deed, lacks: ['/etc/modprobe.d/gone.conf'] }, quiet)).rejects.toThrow(
    '/etc/modprobe.d/gone.conf is still in it',
  );
  expect(imageOf(it.root)).toBe('the old image, which boots');
});

test('what a cut run left in /boot is gone after the next one', async () => {
  const it = guestWith({ dracut: DRACUT, lsinitrd: LISTS_NOUVEAU });
  writeFiles(it.root, { 'boot/.initrd-6.4.0.vgpu-guest': 'half an image' });
  await rebuild(it);
  expect(bootOf(it.root)).toEqual(['initrd-6.4.0', 'initrd-6.4.0.before-vgpu-guest']);
});

test('initramfs-tools: mkinitramfs builds, and the boot loader hooks of update-initramfs run for the new image', async () => {
  const it = guestWith({
    mkinitramfs: 'echo "a new image, which boots as well" > "$GUEST_ROOT$2"; [ "$1 $3" = "-o 6.4.0" ]',
    lsinitramfs: 'echo usr/lib/modules/nouveau.ko; echo etc/modprobe.d/50-blacklist.conf',
    'run-parts': 'echo "$@" > "$GUEST_ROOT/hooks"',
  });
  writeFiles(it.root, { 'etc/initramfs/post-update.d/zz-boot-loader': '' });
  await rebuild(it, 'initramfs-tools');
  expect(readFileSync(join(it.root, 'hooks'), 'utf8')).toBe(
    '--arg=6.4.0 --arg=/boot/initrd-6.4.0 /etc/initramfs/post-update.d\n',
  );
});
