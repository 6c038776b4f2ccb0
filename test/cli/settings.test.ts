import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/cli/settings.ts';
import { openEyes } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles } from '../helpers/temporary.ts';

function read(
  options: Readonly<Record<string, string>> = {},
  env: NodeJS.ProcessEnv = {},
  file?: string,
  resumed?: Parameters<typeof readConfig>[3],
) {
  const root = temporaryFolder();
  if (file !== undefined) writeFiles(root, { 'etc/vgpu-guest/config.yaml': file });
  return readConfig(openEyes({ root, env: {} }), { root, color: false, ...options }, env, resumed);
}

test('flags win over the environment, the environment over the file, the file over the default', async () => {
  const file = 'license: { feature: vapps, timeout: 10s }\nreboot: auto\n';
  const { config } = await read(
    { feature: 'vws' },
    { VGPU_GUEST_FEATURE: 'compute', VGPU_GUEST_LICENSE_TIMEOUT: '20s' },
    file,
  );
  expect([config.license.feature, config.license.timeoutMs, config.reboot, config.xorg.manage]).toEqual([
    'vws',
    20_000,
    'auto',
    'auto',
  ]);
});

test('what flags and environment asked for is told apart, for the boot that has neither', async () => {
  const { asked } = await read(
    { driver: '/opt/a.run', reboot: 'auto' },
    { VGPU_GUEST_TOKEN: '/opt/t.tok' },
    'xorg: { manage: never }\n',
  );
  expect(asked).toEqual({ license: { token: '/opt/t.tok' }, driver: { package: '/opt/a.run' }, reboot: 'auto' });
});

test('of two worlds in two places the stronger one is what the next boot is told', async () => {
  const { asked } = await read({ server: '10.5.8.208' }, { VGPU_GUEST_TOKEN: '/opt/t.tok' });
  expect(asked).toEqual({ license: { server: { address: '10.5.8.208' } } });
});

test('a resumed journey goes on as it was asked for', async () => {
  const { config } = await read({}, {}, 'driver: { package: /opt/file.run }\n', {
    driver: { package: '/opt/flag.run' },
  });
  expect(config.driver.package).toBe('/opt/flag.run');
});

describe('--server', () => {
  test.each([
    ['10.5.8.208', { address: '10.5.8.208', port: 7070 }],
    ['license.example:7071', { address: 'license.example', port: 7071 }],
    ['[2001:db8::1]:7071', { address: '2001:db8::1', port: 7071 }],
  ])('%s', async (given, server) => {
    expect((await read({ server: given })).config.license.server).toEqual(server);
  });

  test.each([
    ['license.example:0', '--server: license.server.port: found 0, allowed: 1 or more'],
    ['bad host', '--server: license.server.address: found "bad host", allowed: a host name or an IP address'],
  ])('%s is refused by its name', async (given, line) => {
    await expect(read({ server: given })).rejects.toMatchObject({ fault: 'config', message: line });
  });
});

test('a token and a server side by side are refused, and the later flag says so', async () => {
  const file = 'license: { feature: vws }\n';
  await expect(read({ token: '/opt/t.tok', server: '10.5.8.208' }, {}, file)).rejects.toThrow(
    '--server: license.server: found',
  );
});

test('an empty variable is an unset one', async () => {
  expect((await read({}, { VGPU_GUEST_FEATURE: '' })).config.license.feature).toBe('auto');
});

test('a package behind a URL is refused without its sum', async () => {
  await expect(read({ driver: 'https://example.com/a.run' })).rejects.toThrow(
    'driver.sha256: found nothing: what a package from a URL must hash to',
  );
});

test('with --root a path is the guest’s own, so it is absolute', async () => {
  await expect(read({ token: 'client.tok' })).rejects.toMatchObject({ fault: 'usage' });
});

test('a configuration that was named must be there; the default need not', async () => {
  await expect(read({ config: '/etc/other.yaml' })).rejects.toMatchObject({
    fault: 'config',
    message: '/etc/other.yaml: there is no such file',
  });
  await read();
});
