import { expect, test } from 'vitest';
import { mountOf } from '../../src/formats/mounts.ts';

const MOUNTS = `/dev/vda2 / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw,nosuid,noexec 0 0
/dev/vdb /var ext4 rw 0 0
/dev/vdc /var/lib ext4 rw 0 0
/dev/vdd /var/lib ext4 rw,noexec 0 0
/dev/vde /srv/my\\040disk ext4 ro 0 0
`;

test.each([
  ['/opt/package.run', '/', 'relatime'],
  ['/tmp', '/tmp', 'noexec'],
  ['/tmpfile', '/', 'rw'],
  ['/var/log', '/var', 'rw'],
  ['/var/lib/vgpu-guest/unpacked', '/var/lib', 'noexec'],
  ['/srv/my disk/package.run', '/srv/my disk', 'ro'],
])('%s lies on %s', (path, point, option) => {
  const mount = mountOf(path, MOUNTS);
  expect(mount?.point).toBe(point);
  expect(mount?.options).toContain(option);
});

test('nothing is known without a table', () => {
  expect(mountOf('/opt', '')).toBeUndefined();
});

test('a guest with very many mounts has one that holds a path', () => {
  expect(mountOf('/var/x', 'a /var ext4 rw 0 0\n'.repeat(200_000))?.point).toBe('/var');
});
