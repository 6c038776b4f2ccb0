import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { lookAt } from '../../src/facts/facts.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles } from '../helpers/temporary.ts';

async function networkOf(files: Readonly<Record<string, string>>, links: Readonly<Record<string, string>> = {}) {
  const root = temporaryFolder();
  writeFiles(root, files);
  for (const [path, target] of Object.entries(links)) symlinkSync(target, join(root, path));
  return await lookAt(openGuest({ root }), configSchema.parse({})).fact('network');
}

it('interfaces with a device behind them are told from those that software made', async () => {
  const files = {
    'sys/devices/pci0/0000:00:03.0/net/eth0/address': '52:54:00:12:34:56\n',
    'sys/devices/pci0/0000:00:03.0/net/eth0/device/vendor': '0x1af4\n',
    'sys/devices/virtual/net/veth1/address': '6a:00:00:00:00:01\n',
    'sys/devices/virtual/net/lo/address': '00:00:00:00:00:00\n',
    'sys/class/net/bonding_masters': 'bond0\n',
  };
  const { interfaces } = await networkOf(files, {
    'sys/class/net/eth0': '../../devices/pci0/0000:00:03.0/net/eth0',
    'sys/class/net/veth1': '../../devices/virtual/net/veth1',
    'sys/class/net/lo': '../../devices/virtual/net/lo',
  });
  expect(interfaces).toEqual([
    { name: 'eth0', device: true, mac: '52:54:00:12:34:56' },
    { name: 'veth1', device: false, mac: '6a:00:00:00:00:01' },
  ]);
});

it('a proxy of the system is seen without the password in it', async () => {
  const { proxies } = await networkOf({
    'etc/environment':
      'PATH=/bin\nexport HTTPS_PROXY="http://user:s3cret@proxy.example.com:3128/"\n#http_proxy=http://old\nno_proxy=localhost\n',
    'etc/sysconfig/proxy': 'PROXY_ENABLED="yes"\nHTTP_PROXY="http://proxy.example.com:8080"\n',
  });
  expect(proxies).toEqual([
    { at: '/etc/environment', shows: 'HTTPS_PROXY=http://***@proxy.example.com:3128/' },
    { at: '/etc/sysconfig/proxy', shows: 'HTTP_PROXY=http://proxy.example.com:8080' },
  ]);
});

it('a proxy that is switched off is none', async () => {
  const off = { 'etc/sysconfig/proxy': 'PROXY_ENABLED="no"\nHTTP_PROXY="http://proxy:8080"\nHTTPS_PROXY=""\n' };
  expect(await networkOf(off)).toEqual({ interfaces: [], proxies: [] });
});
