import { describe, expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { lookAt } from '../../src/facts/facts.ts';
import { openEyes } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles } from '../helpers/temporary.ts';

function systemOf(files: Readonly<Record<string, string>>) {
  const root = temporaryFolder();
  writeFiles(root, { 'proc/sys/kernel/osrelease': '6.4.0\n', 'proc/sys/kernel/random/boot_id': 'b\n', ...files });
  return lookAt(openEyes({ root, env: {} }), configSchema.parse({})).fact('system');
}

// each from os-release of the system that it names
describe.each([
  [
    'SLES 15 SP6',
    'NAME="SLES"\nVERSION="15-SP6"\nVERSION_ID="15.6"\nPRETTY_NAME="SUSE Linux Enterprise Server 15 SP6"\nID="sles"\nID_LIKE="suse"\n',
    'suse',
  ],
  [
    'openSUSE Leap 15.6',
    'NAME="openSUSE Leap"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n',
    'suse',
  ],
  [
    'Rocky 9',
    'NAME="Rocky Linux"\nVERSION="9.5 (Blue Onyx)"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.5"\n',
    'rhel',
  ],
  ['RHEL 9', 'NAME="Red Hat Enterprise Linux"\nID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\n', 'rhel'],
  ['Amazon Linux 2023', 'NAME="Amazon Linux"\nID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n', 'rhel'],
  [
    'Ubuntu 24.04',
    'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nNAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n',
    'debian',
  ],
  [
    'Debian 12',
    'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n',
    'debian',
  ],
  ['Alpine', 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.0\n', undefined],
])('%s', (_, text, family) => {
  test(`is of the family ${family}`, async () => {
    expect((await systemOf({ 'etc/os-release': text })).family?.id).toBe(family);
  });
});

test('os-release of /usr counts where /etc has none', async () => {
  expect((await systemOf({ 'usr/lib/os-release': 'ID=debian\nVERSION_ID="12"\n' })).family?.id).toBe('debian');
});

describe('a guest that cannot be changed says what to run instead', () => {
  const mounts = (line: string) => ({ 'proc/self/mounts': `${line}\ntmpfs /run tmpfs rw 0 0\n` });

  test.each([
    [
      'a snapshot of SL Micro',
      { ...mounts('/dev/vda3 / btrfs ro,relatime 0 0'), 'usr/sbin/transactional-update': '' },
      'transactional-update run vgpu-guest apply',
    ],
    [
      'an ostree system',
      { ...mounts('/dev/vda3 / xfs rw 0 0'), 'run/ostree-booted': '' },
      'build the driver into the image',
    ],
    ['a root that is mounted read-only', mounts('/dev/vda1 / ext4 ro 0 0'), 'mount -o remount,rw /'],
    ['a /usr that is mounted read-only', mounts('/dev/vda2 /usr ext4 ro,nodev 0 0'), 'remount it writable'],
  ])('%s', async (_, files, remedy) => {
    expect((await systemOf(files as unknown as Record<string, string>)).readOnly?.remedy).toContain(remedy);
  });

  test('the last mount of a point is the one that counts', async () => {
    const files = { 'proc/self/mounts': 'rootfs / rootfs ro 0 0\n/dev/vda1 / ext4 rw,errors=remount-ro 0 0\n' };
    expect((await systemOf(files)).readOnly).toBeUndefined();
  });
});
