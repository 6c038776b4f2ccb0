import { expect, test } from 'vitest';
import { makeFolderGuest } from '../helpers/folder-guest.ts';

test('the stand-in of getent finds every name but those that are said to be lost, and knows one database', async () => {
  using guest = makeFolderGuest();
  expect((await guest.run('getent', 'ahosts', 'dls.example.com')).stdout).toMatch(
    /^192\.0\.2\.10 +STREAM dls\.example\.com\n/,
  );
  guest.write('/var/lib/stubs/network', 'name dls.example.com -\nname two.example.com 192.0.2.1 192.0.2.2\n');
  expect(await guest.run('getent', 'ahosts', 'dls.example.com')).toMatchObject({ code: 2, stdout: '' });
  expect((await guest.run('getent', 'ahosts', 'two.example.com')).stdout.match(/STREAM/g)).toHaveLength(2);
  expect((await guest.run('getent', 'oracles', 'x')).code).toBe(1);
});

test('the stand-in network is open but for the ports that are said to be closed', async () => {
  using guest = makeFolderGuest();
  guest.write('/var/lib/stubs/network', 'port 192.0.2.10 443 {"is":"unconnected","code":"ETIMEDOUT"}\n');
  expect(JSON.parse((await guest.run('network-probe', '192.0.2.10', '7070', 'tcp')).stdout)).toEqual({
    is: 'connected',
  });
  expect(JSON.parse((await guest.run('network-probe', '192.0.2.11', '443', 'tls', 'dls')).stdout)).toMatchObject({
    tls: { is: 'agreed' },
  });
  expect(JSON.parse((await guest.run('network-probe', '192.0.2.10', '443', 'tls', 'dls')).stdout)).toMatchObject({
    code: 'ETIMEDOUT',
  });
  expect((await guest.run('network-probe', '192.0.2.10', '1', 'quic')).code).toBe(1);
});

test('the stand-in of timedatectl refuses what the real one refuses', async () => {
  using guest = makeFolderGuest();
  expect((await guest.run('timedatectl', 'show')).stdout).toContain('NTPSynchronized=yes\n');
  expect(await guest.run('timedatectl', 'shoe')).toMatchObject({ code: 1, stderr: 'Unknown command verb shoe.\n' });
});

test('the stand-in journal keeps what the kernel said apart', async () => {
  using guest = makeFolderGuest();
  guest.write('/var/lib/stubs/journal', '1\t1\tkernel\t-\tNVRM: hello\n2\t7\tnvidia-gridd\t-\tStarted (7)\n');
  expect((await guest.run('journalctl', '-k', '-o', 'cat')).stdout).toBe(
    `Linux version ${guest.kernel}\nNVRM: hello\n`,
  );
});
