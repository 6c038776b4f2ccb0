import { describe, expect, test } from 'vitest';
import { redact, redactDeep } from '../../../src/formats/redact/redact.ts';
import { makeToken } from '../../helpers/token.ts';

const TOKEN = makeToken();
const KEY_BODY = [
  'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj',
  'MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu',
  'NMoSfm76oqFvAp8Gy0iz5sxj',
  'Q29vbA==',
];
const PEM = ['-----BEGIN PRIVATE KEY-----', ...KEY_BODY, '-----END PRIVATE KEY-----'];

/** What it says, and nothing of it may be left; whatever stands around. */
const SECRETS: readonly (readonly [what: string, line: string, secret: string])[] = [
  ['a key of a configuration file', 'password=hunter2', 'hunter2'],
  ['one with blanks in it', 'Password: correct horse battery', 'horse'],
  ['one in quotes, with a quote inside', 'db_password = "hun\\"ter2 x" # y', 'ter2'],
  ['what a shell joins to a quoted word', 'password="hun"ter2', 'ter2'],
  ['a line that goes on', 'passphrase=hunt\\\ner2', 'er2'],
  ['one within a line', 'connect user=u passwd=hunter2 host=h', 'hunter2'],
  ['one of JSON', '{"clientSecret":"hunter2","x":1}', 'hunter2'],
  ['a value that begins with a slash', 'password=/hunter2', 'hunter2'],
  ['an assignment of a shell', 'export VAULT_TOKEN=s.hunter', 'hunter'],
  ['an option', 'x11vnc -passwd hunter2 -display :0', 'hunter2'],
  ['an option of our own kind', 'app --auth-token hunter2hunter -v', 'hunter2'],
  ['curl’s user', 'curl -u me:hunter2 https://x/', 'hunter2'],
  ['an encoded form', 'a=1&password%3Dhunter2&b=2', 'hunter2'],
  ['colors in the middle', 'pass\u001b[1mword=\u001b[31mhun\u001b[0mter2', 'ter2'],
  ['an invisible sign in the middle', 'pass\u200bword=hunter2', 'hunter2'],
  ['a header', 'Authorization: Basic dXNlcjpwYXNz', 'dXNlcjpwYXNz'],
  ['a header of a proxy, in a command', "curl -H 'Proxy-Authorization: Digest a=b, c=d' x", 'c=d'],
  ['a bearer without its header', 'sent Bearer abcDEF123456', 'abcDEF123456'],
  ['Vault’s header', 'X-Vault-Token: hvs.CAESIJ', 'CAESIJ'],
  ['a cookie', 'Set-Cookie: sid=abc; Path=/', 'abc'],
  ['a proxy with its user', 'https_proxy=http://user:p%40ss@proxy:3128', 'p%40ss'],
  ['a password with signs of URLs', 'proxy http://user:p/a?s#s@proxy:3128/', 'a?s'],
  ['a proxy without scheme', 'HTTPS_PROXY="user:hunter2@proxy:3128"', 'hunter2'],
  ['an encoded proxy', 'u=http%3A%2F%2Fuser%3Ahunter2%40proxy', 'hunter2'],
  ['a signed URL', 'get https://x.example/f?sig=abc&se=1', 'abc'],
  ['the account of a proxy', 'ProxyUserName=svc gridd', 'svc'],
  ['a token', `read ${TOKEN} now`, TOKEN.slice(0, 30)],
  ['a token without its signature', `read ${TOKEN.split('.').slice(0, 2).join('.')}`, TOKEN.slice(60, 90)],
  ['a token with encoded dots', TOKEN.replaceAll('.', '%2E'), TOKEN.slice(-30)],
  [
    'a token in base64 again',
    Buffer.from(TOKEN).toString('base64'),
    Buffer.from(TOKEN).toString('base64').slice(8, 40),
  ],
  ['a key of a cloud', 'id AKIAIOSFODNN7EXAMPLE', 'AKIAIOSFODNN7'],
  ['a hash of a password', 'root:$6$salt$abcdefghijklmnop:1', 'abcdefghijkl'],
  ['a key in PEM', PEM.join('\n'), KEY_BODY[1]!],
  ['its last and short line', PEM.join('\n'), KEY_BODY[3]!],
  ['a key behind the words of a logger', PEM.map(line => `Nov 20 17:01:27 g app[8]: ${line}`).join('\n'), KEY_BODY[0]!],
  [
    'a key in one line of JSON, behind a certificate',
    JSON.stringify({ k: `-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n${PEM.join('\n')}` }),
    KEY_BODY[1]!,
  ],
  ['a key whose end is cut off', `${PEM.slice(0, 3).join('\n')}\nnext line`, KEY_BODY[1]!],
  ['a key whose beginning is cut off', `before\n${PEM.slice(2).join('\n')}\nnext`, KEY_BODY[2]!],
  [
    'a key whose beginning is cut off, behind the words of a logger',
    PEM.slice(2)
      .map(line => `Nov 20 17:01:27 g app[8]: ${line}`)
      .join('\n'),
    KEY_BODY[2]!,
  ],
  ['an encoded file', Array.from({ length: 6 }, () => 'Zm9v'.repeat(19)).join('\n'), 'Zm9vZm9v'],
];

test.each(SECRETS)('%s goes', (_, line, secret) => {
  const { text, removed } = redact(`first line\n${line}\nlast line`);
  expect(text).not.toContain(secret);
  expect(text).toMatch(/^first line\n[\s\S]*last line$/);
  expect([...removed.values()].reduce((sum, times) => sum + times, 0)).toBeGreaterThan(0);
});

test.each([10, 30, 64, 76])(
  'a token that a logger has broken after every %d characters goes, whoever it belongs to',
  width => {
    const pieces = TOKEN.match(new RegExp(`.{1,${width}}`, 'g'))!;
    const shown = pieces
      .map((piece, index) => `Nov 20 17:01:${10 + index} guest nvidia-gridd[812]: ${piece}`)
      .join('\n');
    // from the guest's own file it is known in whole; a stranger's is known by how it begins
    expect(
      leftOf(
        redact(shown, [TOKEN]).text,
        pieces.filter(piece => piece.length >= 23),
      ),
    ).toEqual([]);
    if (width >= 30)
      expect(
        leftOf(
          redact(shown).text,
          pieces.filter(piece => piece.length === width),
        ),
      ).toEqual([]);
  },
);

test('a piece from the middle of a token that lies on the guest goes, whatever stands around it', () => {
  const piece = TOKEN.slice(100, 130);
  expect(redact(`buffer was ${piece}, which is no header`, [TOKEN]).text).toBe(
    'buffer was <removed:known-secret>, which is no header',
  );
});

describe('a secret that lies on the guest', () => {
  const known = 'kT9-violet rain';
  test.each([
    ['as it is', known],
    ['encoded for a URL', encodeURIComponent(known)],
    ['in base64', Buffer.from(known).toString('base64')],
    ['broken over two lines', `${known.slice(0, 7)}\n    ${known.slice(7)}`],
    ['with a color within', `${known.slice(0, 7)}\u001b[31m${known.slice(7)}`],
  ])('goes from every line, %s', (_, shown) => {
    const { text } = redact(`the daemon said ${shown} and ended`, [known]);
    expect(text).toBe('the daemon said <removed:known-secret> and ended');
  });

  test('that is a word of every line stays, since its marks would tell it', () => {
    expect(redact('nvidia has started', ['nvidia']).text).toBe('nvidia has started');
  });
});

test.each([
  'Nov 20 17:01:27 guest nvidia-gridd[812]: Started (812)',
  'License acquired successfully. (Info: api.cls.licensing.nvidia.com, NVIDIA RTX Virtual Workstation; Expiry: 2026-4-3 19:11:16 GMT)',
  'License acquired successfully. Server URL : http://10.5.8.208:7070/request',
  'License acquired successfully. (Info: http://10.5.8.208:7070/request; Quadro-Virtual-DWS,5.0)',
  'Unable to fetch the client configuration token file',
  'Failed to decode signature from token received',
  'Failed to read configurations from client configuration token (Error: 3)',
  'Failed to acquire/renew license from license server - Error: [1,7E2,2,0[7000000B,0,702C7]] Requested feature was not found.',
  'Failed to acquire license from dls (Info: X - Error: SSL certificate problem: self signed certificate)',
  'Configuration parameter ( ServerAddress  FeatureType) not set',
  'Failed to read proxy credentials: Permission denied',
  'Mismatch between client and server with respect to licenses held. Returning the licenses',
  'ClientConfigTokenPath="/etc/nvidia/ClientConfigToken"',
  '  token: /opt/client_configuration_token_11-20-2026-10-00-00.tok',
  'run vgpu-guest apply --token ./client_configuration_token.tok',
  '/etc/nvidia/ClientConfigToken/client_configuration_token.tok: exp 2026-11-20T10:00:00Z',
  'the token has expired: download a new client configuration token from the licensing portal',
  'ServerAddress=10.5.8.208',
  'ProxyCredentialsFilePath=/etc/nvidia/proxy.cred',
  'PWD=/root',
  'sig_key:        36:9B:4C:11',
  'Loading of module with unavailable key is rejected',
  'NVRM: GPU 0000:00:06.0: RmInitAdapter failed! (0x22:0x56:884)',
  'sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  'http_proxy=http://proxy.example:3128',
  '/opt/NVIDIA-Linux-x86_64-570.211.01-grid.run ./nvidia-installer --module-signing-secret-key=/var/lib/dkms/mok.key',
  'pass-through GPU: bypass=1',
  'BOOT_IMAGE=/boot/vmlinuz-6.4.0 root=UUID=6a3c quiet modprobe.blacklist=nouveau',
])('what support needs stays, letter by letter: %s', line => {
  expect(redact(line)).toEqual({ text: line, removed: new Map() });
});

test('a certificate is public, and stays', () => {
  const lines = ['-----BEGIN CERTIFICATE-----', ...KEY_BODY, ...KEY_BODY, '-----END CERTIFICATE-----'].join('\n');
  expect(redact(lines).text).toBe(lines);
});

test('data keep their shape: the name above a value counts as its key', () => {
  const { value, removed } = redactDeep({ a: [{ password: 'hunter2', n: 3 }], because: 'x', token: '/opt/a.tok' });
  expect(value).toEqual({ a: [{ password: '<removed:password>', n: 3 }], because: 'x', token: '/opt/a.tok' });
  expect(removed.get('password')).toBe(1);
});

function leftOf(text: string, pieces: readonly string[]): readonly string[] {
  return pieces.filter(piece => text.includes(piece));
}
