import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { makeCertificate } from '../../helpers/certificate.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';
import { makeToken } from '../../helpers/token.ts';

const TOKEN = 'etc/nvidia/ClientConfigToken/a.tok';
const CONNECTED = `echo '{"is":"connected"}'`;

interface Given {
  readonly files?: Readonly<Record<string, string>>;
  readonly getent?: string;
  readonly probe?: string;
  readonly settings?: Settings;
}

async function serversOf({
  files = {},
  getent = 'echo "192.0.2.10 STREAM x"',
  probe = CONNECTED,
  settings = {},
}: Given) {
  const root = temporaryFolder();
  writeFiles(root, files);
  writeProgram(root, 'getent', getent);
  writeProgram(root, 'network-probe', `echo "$@" >>"$GUEST_ROOT/probes"; ${probe}`);
  const servers = await lookAt(openGuest({ root }), configSchema.parse(settings)).fact('servers');
  return { root, servers };
}

const probesOf = (root: string) => readFileSync(join(root, 'probes'), 'utf8').trim().split('\n').sort();

it('each host and port of the token is tried once, with TLS', async () => {
  const { root, servers } = await serversOf({ files: { [TOKEN]: makeToken({ host: 'dls.example.com' }) } });
  expect(servers).toEqual([
    {
      host: 'dls.example.com',
      port: 443,
      services: ['auth', 'lease'],
      world: 'token',
      from: `/${TOKEN}`,
      resolution: { is: 'found', addresses: ['192.0.2.10'] },
      probe: { is: 'connected' },
    },
  ]);
  expect(probesOf(root)).toEqual(['192.0.2.10 443 tls dls.example.com']);
});

it('before a token is in place, the one that is configured counts', async () => {
  const given = { files: { 'opt/a.tok': makeToken() }, settings: { license: { token: '/opt/a.tok' } } };
  expect((await serversOf(given)).servers).toMatchObject([
    { host: 'api.cls.licensing.nvidia.com', from: '/opt/a.tok' },
  ]);
});

it('beside a file that is no token, the one that is configured counts', async () => {
  const files = { 'opt/a.tok': makeToken(), [TOKEN]: '<html>' };
  const { servers } = await serversOf({ files, settings: { license: { token: '/opt/a.tok' } } });
  expect(servers).toMatchObject([{ from: '/opt/a.tok' }]);
});

it('a legacy server and its backup are tried without TLS, on the port that gridd.conf says or 7070', async () => {
  const text = 'ServerAddress="10.5.8.208"\nBackupServerAddress=backup.example.com\nBackupServerPort=7071\n';
  const { root, servers } = await serversOf({ files: { 'etc/nvidia/gridd.conf': text } });
  expect(servers.map(({ host, port, world }) => [host, port, world])).toEqual([
    ['10.5.8.208', 7070, 'legacy'],
    ['backup.example.com', 7071, 'legacy'],
  ]);
  expect(probesOf(root)).toEqual(['192.0.2.10 7070 tcp', '192.0.2.10 7071 tcp']);
});

it('every kind of address is one', async () => {
  const getent = 'for a in 192.0.2.10 2001:db8::1 ::ffff:192.0.2.10 fe80::1%eth0; do echo "$a STREAM x"; done';
  const { servers } = await serversOf({ files: { [TOKEN]: makeToken() }, getent });
  expect(servers[0]?.resolution).toEqual({
    is: 'found',
    addresses: ['192.0.2.10', '2001:db8::1', '::ffff:192.0.2.10', 'fe80::1%eth0'],
  });
});

it.each(['printf "\\000\\033[2J x\\n"', 'echo "Dienst läuft nicht"', 'echo "dead beef"'])(
  'words that are no address are none: %s',
  async getent => {
    const { servers } = await serversOf({ files: { [TOKEN]: makeToken() }, getent });
    expect(servers.map(({ resolution, probe }) => [resolution, probe.is])).toEqual([
      [{ is: 'failed', because: 'getent ahosts named no address' }, 'unknown'],
    ]);
  },
);

it('a driver that knows no legacy server does not ask for one', async () => {
  const files = { 'etc/nvidia/gridd.conf': 'ServerAddress=10.5.8.208\n', 'sys/module/nvidia/version': '570.211.01\n' };
  expect((await serversOf({ files })).servers).toEqual([]);
});

it('a guest without either has none', async () => {
  expect((await serversOf({})).servers).toEqual([]);
});

it.each([
  ['exit 2', 'getent ahosts ended with 2 (no such name)'],
  ['exit 0', 'getent ahosts named no address'],
])('a name that is not found (%s) is not connected to', async (getent, because) => {
  const { servers } = await serversOf({ files: { [TOKEN]: makeToken() }, getent });
  expect(servers).toMatchObject([{ resolution: { is: 'failed', because }, probe: { is: 'unknown' } }]);
});

it('of several addresses the best one counts, and no more than three are tried', async () => {
  const getent = 'for a in 1 2 3 4; do echo "192.0.2.$a STREAM x"; echo "192.0.2.$a DGRAM"; done';
  const probe = `case $1 in *.2) ${CONNECTED};; *) echo '{"is":"unconnected","code":"ETIMEDOUT"}';; esac`;
  const { root, servers } = await serversOf({ files: { [TOKEN]: makeToken() }, getent, probe });
  expect(servers).toMatchObject([{ probe: { is: 'connected' } }]);
  expect(probesOf(root)).toHaveLength(3);
});

it('a host that is an option is no host', async () => {
  const { servers } = await serversOf({
    files: { [TOKEN]: makeToken({ host: '--help' }) },
    getent: 'echo "192.0.2.10 STREAM x"',
  });
  expect(servers).toMatchObject([{ resolution: { is: 'failed' } }]);
});

it('without a network to ask, nothing is known', async () => {
  const files = { [TOKEN]: makeToken(), 'etc/ssl/certs/ca-certificates.crt': makeCertificate({ name: 'x' }).pem };
  expect((await serversOf({ files, probe: 'exit 127' })).servers).toMatchObject([{ probe: { is: 'unknown' } }]);
});
