import { afterAll, describe, expect, test } from 'vitest';
import { fetchedTokenPath } from '../../src/facts/license/token.ts';
import { type LicenseService, makeFolderGuest } from '../helpers/folder-guest.ts';
import { makeRefusedToken } from '../helpers/refused-token.ts';
import { makeToken } from '../helpers/token.ts';
import { serveWeb } from '../helpers/web.ts';

/** One run is enough: nothing has taken the GPU, and everything to build with is there. */
const nearly = { family: 'suse', nouveau: 'not-bound', prerequisites: 'installed' } as const;
const DIRECTORY = '/etc/nvidia/ClientConfigToken';
const SET_ASIDE = '/var/lib/vgpu-guest/set-aside';
const NEW = '/opt/new.tok';

const guest = makeFolderGuest(nearly);
afterAll(() => guest.dispose());
const CONFIG = guest.read('/etc/vgpu-guest/config.yaml') ?? '';

/** The one guest of this file as a first apply has left it, whatever was done to it before. */
async function licensed(license: LicenseService = {}): Promise<void> {
  guest.write('/etc/vgpu-guest/config.yaml', CONFIG);
  guest.write(guest.tokenPath, guest.tokenText, 0o600);
  guest.setLicenseService({});
  for (const path of [NEW, SET_ASIDE, '/var/lib/vgpu-guest/rotation', '/var/lib/vgpu-guest/tokens']) guest.remove(path);
  const { code, stderr } = await guest.vgpuGuest(['apply']);
  expect(code, stderr).toBe(0);
  guest.remove(SET_ASIDE);
  guest.setLicenseService(license);
  guest.forgetCalls();
}

const secretsOf = (token: string) => token.split('.').filter(part => part.length > 20);
const changes = () => guest.calls('change').map(({ program, args }) => [program, ...args].join(' '));
const state = async () => JSON.parse((await guest.vgpuGuest(['status', '--json'])).stdout).license.state;

describe('token inspect', () => {
  test('says what a token says, and nothing that is secret', async () => {
    const { code, stdout } = await guest.vgpuGuest(['token', 'inspect', guest.tokenPath]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/is a token that can be used\n/);
    expect(stdout).toMatch(/servers\s+api\.cls\.licensing\.nvidia\.com \(auth 443, lease 443\)/);
    const json = await guest.vgpuGuest(['token', 'inspect', guest.tokenPath, '--json']);
    expect(JSON.parse(json.stdout)).toEqual({
      schema: 'vgpu-guest/token/1',
      path: guest.tokenPath,
      usable: true,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      issuer: 'NLS Service Instance',
      audience: 'NLS Licensed Client',
      issuedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      validFrom: expect.any(String),
      expiresAt: expect.any(String),
      nodes: [
        {
          host: 'api.cls.licensing.nvidia.com',
          ports: [
            { service: 'auth', port: 443 },
            { service: 'lease', port: 443 },
          ],
        },
      ],
      toleranceMs: 900_000,
    });
    for (const secret of secretsOf(guest.tokenText)) expect(stdout + json.stdout).not.toContain(secret);
  });

  test.each<[string, string | Uint8Array | undefined, RegExp]>([
    ['is not there', undefined, /is not there/],
    ['is a login page', '<!doctype html><title>Sign in</title>', /is a web page \(HTML\)/],
    ['has 10 MB', new Uint8Array(10_000_000), /is larger than 256 KiB/],
    ['is binary', new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0, 0xff, 0xfe]), /binary data/],
    ['has expired', makeToken({ expired: true }), /expired on/],
    ['is cut off', makeToken().slice(0, -40), /is cut off/],
    ['is a gridd.conf', 'FeatureType=1\n', /is a gridd\.conf/],
  ])('4: a file that %s cannot be used', async (_, content, because) => {
    if (content !== undefined) guest.write('/opt/other.tok', content);
    const { code, stdout } = await guest.vgpuGuest(['token', 'inspect', '/opt/other.tok', '--json']);
    expect(code).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({
      usable: false,
      because: expect.stringMatching(because),
      remedy: expect.any(String),
    });
  });

  test('64: without a file, with a URL', async () => {
    expect((await guest.vgpuGuest(['token', 'inspect'])).code).toBe(64);
    expect((await guest.vgpuGuest(['token', 'inspect', 'https://files.example/a.tok'])).code).toBe(64);
  });
});

describe('token rotate', () => {
  test('replaces the token, restarts nvidia-gridd alone, and says what the configuration needs', async () => {
    await licensed();
    const token = makeToken();
    guest.write(NEW, token, 0o600);
    const before = guest.manifest();
    const { code, stdout, stderr } = await guest.vgpuGuest(['token', 'rotate', NEW, '--json']);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 'vgpu-guest/report/1',
      outcome: 'changed',
      restored: false,
      license: { state: 'licensed' },
      steps: [{ id: 'place-token' }, { id: 'restart-gridd' }, { id: 'await-license' }],
      advice: [`license.token is still ${guest.tokenPath}, which vgpu-guest apply would put back: set it to ${NEW}`],
    });
    expect(changes()).toEqual(['systemctl restart nvidia-gridd.service']);
    expect(guest.list(DIRECTORY)).toEqual(['new.tok']);
    const old = guest.tokenPath.split('/').at(-1) ?? '';
    expect(guest.read(`${SET_ASIDE}/${old}`)).toBe(guest.tokenText);
    expect(guest.list('/var/lib/vgpu-guest/rotation')).toEqual([]);
    const after = guest.manifest();
    const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
      path => before[path] !== after[path],
    );
    expect(changed.filter(path => !/^\/var\/lib\/vgpu-guest\/(rotation|set-aside|changes\.json)/.test(path))).toEqual([
      `${DIRECTORY}/${old}`,
      `${DIRECTORY}/new.tok`,
    ]);
    for (const secret of [...secretsOf(token), ...secretsOf(guest.tokenText)])
      expect(stdout + stderr).not.toContain(secret);
  });

  test('a second time changes nothing', async () => {
    await licensed();
    guest.write(NEW, makeToken(), 0o600);
    expect((await guest.vgpuGuest(['token', 'rotate', NEW, '--detailed-exitcode'])).code).toBe(2);
    guest.forgetCalls();
    expect((await guest.vgpuGuest(['token', 'rotate', NEW, '--detailed-exitcode'])).code).toBe(0);
    expect(guest.calls('change')).toEqual([]);
  });

  test('is settled for the next apply where the configuration names the file that was overwritten', async () => {
    await licensed();
    const token = makeToken();
    guest.write(guest.tokenPath, token, 0o600);
    const { code, stdout } = await guest.vgpuGuest(['token', 'rotate', guest.tokenPath, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).advice).toEqual([]);
    const [name = ''] = guest.list(DIRECTORY);
    expect(guest.read(`${DIRECTORY}/${name}`)).toBe(token);
    expect(guest.read(`${SET_ASIDE}/${name}`)).toBe(guest.tokenText);
    guest.forgetCalls();
    expect((await guest.vgpuGuest(['apply', '--detailed-exitcode'])).code).toBe(0);
    expect(guest.calls('change')).toEqual([]);
  });

  test.each(['early', 'late'] as const)(
    '5: puts the old token back when the daemon dies of the new one (%s), and the guest is licensed again',
    async death => {
      await licensed({ death });
      guest.write(NEW, makeRefusedToken(), 0o600);
      const { code, stdout, stderr } = await guest.vgpuGuest(['token', 'rotate', NEW, '--json']);
      expect(code, stderr).toBe(5);
      expect(JSON.parse(stdout)).toMatchObject({
        outcome: 'unlicensed',
        restored: true,
        license: { state: 'licensed' },
        advice: [],
      });
      expect(stderr).toContain('the old one is put back: ');
      const [name = '', ...more] = guest.list(DIRECTORY);
      expect(more).toEqual([]);
      expect(guest.read(`${DIRECTORY}/${name}`)).toBe(guest.tokenText);
      expect(guest.list('/var/lib/vgpu-guest/rotation')).toEqual([]);
      expect(changes()).toEqual(Array(2).fill('systemctl restart nvidia-gridd.service'));
      guest.forgetCalls();
      expect((await guest.vgpuGuest(['apply', '--detailed-exitcode'])).code).toBe(0);
      expect(guest.calls('change')).toEqual([]);
    },
  );

  test.each<[string, () => void, RegExp]>([
    ['the new token is a login page', () => guest.write(NEW, '<html>'), /is a web page/],
    ['the new token has expired', () => guest.write(NEW, makeToken({ expired: true })), /expired on/],
    [
      'the daemon looks elsewhere',
      () =>
        guest.write(
          '/etc/nvidia/gridd.conf',
          (guest.read('/etc/nvidia/gridd.conf') ?? '').replace(
            /^ClientConfigTokenPath=.*$/m,
            'ClientConfigTokenPath=/else',
          ),
        ),
      /looks for its token in \/else/,
    ],
    [
      'a legacy server is asked for',
      () => guest.write('/etc/vgpu-guest/config.yaml', 'license: { server: { address: a } }\n'),
      /takes no token/,
    ],
    [
      'there are several others',
      () => {
        for (const name of ['a.tok', 'b.tok']) guest.write(`${DIRECTORY}/${name}`, makeToken());
      },
      /several tokens/,
    ],
  ])('4: where %s nothing is touched', async (_, spoil, because) => {
    await licensed();
    guest.write(NEW, makeToken(), 0o600);
    spoil();
    const before = guest.manifest();
    const { code, stdout, stderr } = await guest.vgpuGuest(['token', 'rotate', NEW]);
    expect(code).toBe(4);
    expect(stdout + stderr).toMatch(because);
    expect(guest.calls('change')).toEqual([]);
    expect(guest.manifest()).toEqual(before);
  });

  test('75: not while another run is at work', async () => {
    await licensed({ delayS: 2 });
    guest.write(NEW, makeToken(), 0o600);
    const first = guest.vgpuGuest(['token', 'rotate', NEW]);
    await expect.poll(() => changes()).not.toEqual([]);
    expect((await guest.vgpuGuest(['token', 'rotate', NEW])).code).toBe(75);
    expect((await first).code).toBe(0);
  });
});

describe('a token behind a URL', () => {
  const serve = (tokens: readonly string[]) => {
    let next = 0;
    return serveWeb((_, response) => response.end(tokens[Math.min(next++, tokens.length - 1)]));
  };
  const configured = (url: string, authority: string) => {
    guest.write('/etc/ssl/certs/ca-certificates.crt', authority);
    guest.write(
      '/etc/vgpu-guest/config.yaml',
      `driver: { package: ${guest.packagePath} }\nlicense:\n  token: "${url}"\n  timeout: 20s\n`,
    );
  };

  test('is downloaded by apply and not by plan, once, and kept where root alone can read it', async () => {
    await licensed();
    const token = makeToken();
    const web = await serve([token]);
    const url = `${web.origin}/tokens/mine.tok?signature=s3cret`;
    configured(url, web.authority);

    const plan = await guest.vgpuGuest(['plan']);
    expect(plan.code).toBe(0);
    expect(plan.stdout).toContain(`download ${web.origin}/tokens/mine.tok?… to ${fetchedTokenPath(url)}`);
    expect(web.asked).toEqual([]);

    const first = await guest.vgpuGuest(['apply']);
    expect(first.code, first.stderr).toBe(0);
    expect(guest.read(`${DIRECTORY}/mine.tok`)).toBe(token);
    expect(guest.list(DIRECTORY)).toEqual(['mine.tok']);
    const tree = guest.manifest();
    expect(tree[fetchedTokenPath(url)]).toMatch(/^file 600 /);
    expect(tree['/var/lib/vgpu-guest/tokens']).toBe('directory 700');
    expect(tree['/var/lib/vgpu-guest']).toBe('directory 700');

    guest.forgetCalls();
    const second = await guest.vgpuGuest(['apply', '--detailed-exitcode', '--json']);
    expect(second.code).toBe(0);
    expect(guest.calls('change')).toEqual([]);
    expect(web.asked).toEqual(['/tokens/mine.tok?signature=s3cret']);
    const shown = await guest.vgpuGuest(['config', 'show']);
    const said = [plan, first, second, shown].flatMap(({ stdout, stderr }) => [stdout, stderr]).join('');
    const written =
      said + (guest.read('/var/log/vgpu-guest.log') ?? '') + (guest.read('/var/lib/vgpu-guest/last-report.json') ?? '');
    for (const secret of ['s3cret', ...secretsOf(token)]) expect(written).not.toContain(secret);
  });

  test('4: that is a login page is not put in its place', async () => {
    await licensed();
    const web = await serve(['<html>']);
    configured(`${web.origin}/a.tok`, web.authority);
    const { code, stdout, stderr } = await guest.vgpuGuest(['apply']);
    expect(code).toBe(4);
    expect(stdout + stderr).toContain(`what is at ${web.origin}/a.tok is a web page`);
    expect(guest.list(DIRECTORY)).toEqual([guest.tokenPath.split('/').at(-1)]);
    expect(guest.list('/var/lib/vgpu-guest/tokens')).toEqual([]);
  });

  test('1: whose server nobody trusts is not downloaded', async () => {
    await licensed();
    const web = await serve([makeToken()]);
    configured(`${web.origin}/a.tok`, (await serve([])).authority);
    const { code, stdout, stderr } = await guest.vgpuGuest(['apply']);
    expect(code).toBe(1);
    expect(stdout + stderr).toContain('cannot be downloaded');
    expect(web.asked).toEqual([]);
  });

  test('is downloaded anew by token rotate, and apply is content with that', async () => {
    await licensed();
    const [old, token] = [makeToken(), makeToken()];
    const web = await serve([old, token]);
    configured(`${web.origin}/a.tok`, web.authority);
    expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
    const rotated = await guest.vgpuGuest(['token', 'rotate', `${web.origin}/a.tok`, '--json']);
    expect(rotated.code, rotated.stderr).toBe(0);
    expect(JSON.parse(rotated.stdout).advice).toEqual([]);
    expect(guest.read(`${DIRECTORY}/a.tok`)).toBe(token);
    guest.forgetCalls();
    expect((await guest.vgpuGuest(['apply', '--detailed-exitcode'])).code).toBe(0);
    expect(guest.calls('change')).toEqual([]);
    expect(web.asked).toHaveLength(2);
  });

  test('that brings no license is forgotten by token rotate, and apply keeps the old one', async () => {
    await licensed();
    const old = makeToken();
    const web = await serve([old, makeRefusedToken()]);
    configured(`${web.origin}/a.tok`, web.authority);
    expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
    expect((await guest.vgpuGuest(['token', 'rotate', `${web.origin}/a.tok`])).code).toBe(5);
    expect(guest.read(`${DIRECTORY}/a.tok`)).toBe(old);
    expect((await guest.vgpuGuest(['apply', '--detailed-exitcode'])).code).toBe(0);
    expect(await state()).toBe('licensed');
    expect(Object.keys(guest.manifest()).filter(path => path.includes('/rotation/new/'))).toEqual([]);
  });
});
