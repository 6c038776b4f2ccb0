import { describe, expect, test } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles } from '../../helpers/temporary.ts';

function initrdsOf(files: Readonly<Record<string, string>>) {
  const root = temporaryFolder();
  writeFiles(root, { 'proc/sys/kernel/osrelease': '6.8.0-49-generic\n', 'etc/os-release': 'ID=ubuntu\n', ...files });
  return lookAt(openEyes({ root, env: {} }), configSchema.parse({})).fact('initrds');
}

const kernels = (...releases: readonly string[]) =>
  Object.fromEntries(
    releases.flatMap(release => [
      [`lib/modules/${release}/modules.dep`, ''],
      [`boot/initrd.img-${release}`, 'image'],
    ]),
  );

test('the running kernel and newer ones matter, which the next boot may take; older ones do not', async () => {
  const { images } = await initrdsOf(kernels('6.8.0-9-generic', '6.8.0-49-generic', '6.8.0-100-generic'));
  expect(images.map(image => image.path)).toEqual([
    '/boot/initrd.img-6.8.0-100-generic',
    '/boot/initrd.img-6.8.0-49-generic',
  ]);
});

test('a kernel without an image has none to rebuild', async () => {
  expect((await initrdsOf({ 'lib/modules/6.8.0-49-generic/modules.dep': '' })).images).toEqual([]);
});

describe('the program that makes the initrd', () => {
  test.each([
    ['initramfs-tools', { 'usr/sbin/mkinitramfs': '', 'usr/sbin/update-initramfs': '#!/bin/sh\n' }],
    [
      'initramfs-tools',
      { 'usr/sbin/mkinitramfs': '', 'usr/sbin/update-initramfs': '#!/bin/sh\n', 'usr/bin/dracut': '' },
    ],
    [
      'dracut',
      {
        'usr/sbin/mkinitramfs': '',
        'usr/sbin/update-initramfs': '#!/bin/sh\nexec dracut "$@"\n',
        'usr/bin/dracut': '',
      },
    ],
    ['dracut', { 'usr/bin/dracut': '' }],
    ['dracut', { 'sbin/dracut': '', 'sbin/mkinitrd': '' }],
    ['mkinitrd', { 'sbin/mkinitrd': '' }],
    [undefined, {}],
  ])('is %s', async (builder, files) => {
    expect((await initrdsOf(files as Record<string, string>)).builder).toBe(builder);
  });
});
