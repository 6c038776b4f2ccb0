import { expect, test } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles } from '../../helpers/temporary.ts';

async function blacklistOf(files: Readonly<Record<string, string>>) {
  const root = temporaryFolder();
  writeFiles(root, { 'etc/os-release': 'ID=sles\n', ...files });
  const fact = await lookAt(openEyes({ root, env: {} }), configSchema.parse({})).fact('blacklist');
  return { ...fact, holders: Object.fromEntries([...fact.holders].map(([module, file]) => [module, file.path])) };
}

test('a guest without modprobe.d has nothing blacklisted', async () => {
  expect(await blacklistOf({})).toEqual({
    own: { path: '/etc/modprobe.d/50-blacklist.conf', text: undefined },
    rivals: ['nouveau'],
    holders: {},
  });
});

test('a file of the distribution counts', async () => {
  const { holders } = await blacklistOf({ 'usr/lib/modprobe.d/nvidia.conf': 'blacklist nouveau\n' });
  expect(holders).toEqual({ nouveau: '/usr/lib/modprobe.d/nvidia.conf' });
});

test('a file in /etc masks its namesake in /usr/lib, also with an empty text', async () => {
  const { holders } = await blacklistOf({
    'usr/lib/modprobe.d/nvidia.conf': 'blacklist nouveau\n',
    'etc/modprobe.d/nvidia.conf': '',
  });
  expect(holders).toEqual({});
});

test('modprobe reads *.conf only', async () => {
  expect((await blacklistOf({ 'etc/modprobe.d/50-blacklist.conf.rpmsave': 'blacklist nouveau\n' })).holders).toEqual(
    {},
  );
});

test('a kernel that has nova makes nova a rival as well', async () => {
  const { rivals } = await blacklistOf({
    'lib/modules/7.0.0-1-generic/kernel/drivers/gpu/nova-core/nova_core.ko.zst': '',
  });
  expect(rivals).toEqual(['nouveau', 'nova_core', 'nova_drm']);
});
