import { expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { lookAt } from '../../src/facts/facts.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../helpers/temporary.ts';

async function surroundingsOf(files: Readonly<Record<string, string>>, systemctl = 'exit 1') {
  const root = temporaryFolder();
  writeFiles(root, files);
  writeProgram(root, 'systemctl', systemctl);
  return await lookAt(openGuest({ root }), configSchema.parse({})).fact('surroundings');
}

it('the state folder and the D-Bus policy are seen where they are, and missed where they are not', async () => {
  expect(
    await surroundingsOf({ 'var/lib/nvidia/log': '', 'usr/share/dbus-1/system.d/nvidia-grid.conf': '' }),
  ).toMatchObject({
    stateFolder: { kind: 'directory' },
    dbusPolicy: '/usr/share/dbus-1/system.d/nvidia-grid.conf',
    azure: undefined,
  });
  expect(await surroundingsOf({})).toMatchObject({ stateFolder: undefined, dbusPolicy: undefined });
});

it.each([
  ['/dev/vda2 / ext4 rw 0 0\n/dev/vdb /var ext4 ro,relatime 0 0\n', '/dev/vdb /var ext4 ro,relatime 0 0'],
  ['/dev/vda2 / ext4 ro 0 0\n', '/dev/vda2 / ext4 ro 0 0'],
  ['/dev/vda2 / ext4 ro 0 0\ntmpfs /var/lib tmpfs rw 0 0\n', undefined],
  ['/dev/vdb /var ext4 ro 0 0\n/dev/vdb /var ext4 rw 0 0\n', undefined],
  ['/dev/vda2 / ext4 rw,errors=remount-ro 0 0\n/dev/vdc /var/lib/nv ext4 ro 0 0\n', undefined],
])('of mounts "%s" the nearest one decides', async (mounts, line) => {
  expect((await surroundingsOf({ 'proc/self/mounts': mounts })).readOnlyMount).toBe(line);
});

it('on Azure the key-value daemon is looked for by its names', async () => {
  const files = { 'sys/class/dmi/id/chassis_asset_tag': '7783-7084-3265-9085-8269-3286-77\n' };
  const systemctl =
    'case "$2" in hypervkvpd.service) printf "LoadState=loaded\\nActiveState=inactive\\n";; *) printf "LoadState=not-found\\nActiveState=inactive\\n";; esac';
  expect((await surroundingsOf(files, systemctl)).azure).toMatchObject({
    evidence: { at: '/sys/class/dmi/id/chassis_asset_tag' },
    keyValueDaemon: [{ unit: 'hypervkvpd.service', active: 'inactive' }],
  });
});
