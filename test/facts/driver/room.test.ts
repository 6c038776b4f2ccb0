import { expect, test } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles } from '../../helpers/temporary.ts';

test('the places of a driver are seen with the mounts that they share, also before they are there', async () => {
  const root = temporaryFolder();
  writeFiles(root, {
    'usr/bin/x': '',
    'root/x': '',
    'proc/self/mounts': '/dev/vda / ext4 rw 0 0\n/dev/vdb /var ext4 rw,noexec 0 0\n',
  });
  const room = await lookAt(openEyes({ root, env: {} }), configSchema.parse({})).fact('room');
  const freeBytes = expect.any(Number);
  expect(room).toEqual({
    workshops: [
      { path: '/var/lib/vgpu-guest/unpacked', freeBytes, mount: '/var', noexec: true },
      { path: '/root/.vgpu-guest-unpacked', freeBytes, mount: '/', noexec: false },
    ],
    local: { path: '/usr/local', freeBytes, mount: '/', noexec: false },
    system: { path: '/usr', freeBytes, mount: '/', noexec: false },
    store: { path: '/var/lib/vgpu-guest/packages', freeBytes, mount: '/var', noexec: true },
  });
});
