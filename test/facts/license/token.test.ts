import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { fetchedTokenPath } from '../../../src/facts/license/token.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles } from '../../helpers/temporary.ts';

const DIRECTORY = '/etc/nvidia/ClientConfigToken';
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const TOKEN = `${part({ alg: 'RS256' })}.${part({ aud: 'NLS Licensed Client' })}.${Buffer.alloc(256).toString('base64url')}`;
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

const tokenAt = async (root: string, token?: string) =>
  await lookAt(openGuest({ root }), configSchema.parse({ license: { ...(token ? { token } : {}) } })).fact('token');

it('a guest for which no token is asked has none', async () => {
  expect(await tokenAt(temporaryFolder())).toEqual({
    source: { is: 'not-asked-for' },
    directory: [],
    directoryChangedUs: undefined,
  });
});

it('a usable token is known by its digest and its claims, never by its text', async () => {
  const root = temporaryFolder();
  writeFiles(root, { 'opt/a.tok': TOKEN });
  const fact = await tokenAt(root, '/opt/a.tok');
  expect(fact.source).toMatchObject({
    is: 'usable',
    path: '/opt/a.tok',
    sha256: sha256(TOKEN),
    claims: { audience: 'NLS Licensed Client' },
  });
  expect(JSON.stringify(fact)).not.toContain(TOKEN.split('.')[1]);
});

describe('a token that a URL names', () => {
  const URL = 'https://files.example/tokens/a.tok?signature=s3cret';

  it('is not there before it has been downloaded, and its place tells URLs apart', async () => {
    const path = fetchedTokenPath(URL);
    expect((await tokenAt(temporaryFolder(), URL)).source).toEqual({
      is: 'not-fetched',
      from: 'https://files.example/tokens/a.tok?…',
      path,
      because: 'it has not been downloaded yet',
    });
    expect(path).toMatch(/^\/var\/lib\/vgpu-guest\/tokens\/[0-9a-f]{16}\/a\.tok$/);
    expect(fetchedTokenPath(`${URL}2`)).not.toBe(path);
  });

  it('is the one that was downloaded from there', async () => {
    const root = temporaryFolder();
    writeFiles(root, { [fetchedTokenPath(URL)]: TOKEN });
    expect((await tokenAt(root, URL)).source).toMatchObject({
      is: 'usable',
      path: fetchedTokenPath(URL),
      from: 'https://files.example/tokens/a.tok?…',
    });
  });

  it('has to be downloaded again when it is damaged', async () => {
    const root = temporaryFolder();
    writeFiles(root, { [fetchedTokenPath(URL)]: TOKEN.slice(0, 30) });
    expect((await tokenAt(root, URL)).source).toMatchObject({
      is: 'not-fetched',
      because: expect.stringMatching(/^what was downloaded is/),
    });
  });

  it.each(['https://files.example/', 'https://files.example/.hidden', 'https://files.example/a%20b?x=/c'])(
    'of %s has a name of its own',
    url => {
      expect(fetchedTokenPath(url)).toMatch(/\/client_configuration_token\.tok$/);
    },
  );

  it('is refused where the URL is none', async () => {
    expect((await tokenAt(temporaryFolder(), 'https://a:99999999/')).source).toMatchObject({ because: 'is no URL' });
  });
});

it.each([
  ['is not there', '/opt/gone.tok', 'is not there'],
  ['is a directory', '/opt', 'is a directory'],
  ['is too large', '/opt/large.tok', 'is larger than 256 KiB, which no token is'],
  ['is a login page', '/opt/page.tok', 'is a web page (HTML): a login page was saved in the place of the token'],
])('a token that %s is unusable by name', async (_title, path, because) => {
  const root = temporaryFolder();
  writeFiles(root, { 'opt/large.tok': 'a'.repeat(256 * 1024 + 1), 'opt/page.tok': '<html>' });
  expect((await tokenAt(root, path)).source).toEqual({ is: 'unusable', path, because });
});

it('everything in the token directory is seen, with links as what they lead to', async () => {
  const root = temporaryFolder();
  writeFiles(root, { [`${DIRECTORY}/b.tok`]: TOKEN, [`${DIRECTORY}/large`]: 'a'.repeat(300_000), 'opt/c.tok': 'c' });
  chmodSync(join(root, DIRECTORY, 'b.tok'), 0o600);
  mkdirSync(join(root, DIRECTORY, 'old'));
  symlinkSync('/opt/c.tok', join(root, DIRECTORY, 'c.tok'));
  symlinkSync('/nowhere', join(root, DIRECTORY, 'astray'));
  const { directory } = await tokenAt(root);
  expect(directory.map(({ name, kind, sha256: digest }) => [name, kind, digest])).toEqual([
    ['astray', 'other', undefined],
    ['b.tok', 'file', sha256(TOKEN)],
    ['c.tok', 'file', sha256('c')],
    ['large', 'file', undefined],
    ['old', 'directory', undefined],
  ]);
  const found = statSync(join(root, DIRECTORY, 'b.tok'), { bigint: true });
  expect(directory[1]).toMatchObject({ mode: 0o600, changedUs: Number(found.ctimeNs / 1000n) });
});

it('a link to a token that lies in the token directory already means that one', async () => {
  const root = temporaryFolder();
  writeFiles(root, { [`${DIRECTORY}/real.tok`]: TOKEN, 'opt/x': '' });
  symlinkSync(`${DIRECTORY}/real.tok`, join(root, 'opt/current.tok'));
  expect((await tokenAt(root, '/opt/current.tok')).source).toMatchObject({
    is: 'usable',
    path: `${DIRECTORY}/real.tok`,
  });
});

it('a link in the token directory to the token beside it cannot stay there', async () => {
  const root = temporaryFolder();
  writeFiles(root, { [`${DIRECTORY}/real.tok`]: TOKEN });
  symlinkSync('real.tok', join(root, DIRECTORY, 'current.tok'));
  expect((await tokenAt(root, `${DIRECTORY}/current.tok`)).source).toEqual({
    is: 'unusable',
    path: `${DIRECTORY}/current.tok`,
    because: 'is a link to real.tok beside it, and the token directory may hold one file: name real.tok instead',
  });
});

it('a link elsewhere stays the name of its token', async () => {
  const root = temporaryFolder();
  writeFiles(root, { 'opt/real.tok': TOKEN });
  symlinkSync('real.tok', join(root, 'opt/current.tok'));
  expect((await tokenAt(root, '/opt/current.tok')).source).toMatchObject({ path: '/opt/current.tok' });
});
