import { chmodSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles } from '../../helpers/temporary.ts';
import { makeToken } from '../../helpers/token.ts';

const DIRECTORY = 'etc/nvidia/ClientConfigToken';

async function filesOf(files: Readonly<Record<string, string>>, prepare: (root: string) => void = () => {}) {
  const root = temporaryFolder();
  writeFiles(root, files);
  prepare(root);
  return await lookAt(openGuest({ root }), configSchema.parse({})).fact('tokenFiles');
}

it('each file is inspected, and no text of a token is a fact', async () => {
  const token = makeToken();
  const found = await filesOf({ [`${DIRECTORY}/a.tok`]: token, [`${DIRECTORY}/notes`]: '<!doctype html>' }, root => {
    chmodSync(join(root, DIRECTORY, 'a.tok'), 0o646);
    mkdirSync(join(root, DIRECTORY, 'old'));
    symlinkSync('nowhere', join(root, DIRECTORY, 'z.tok'));
  });
  expect(found).toMatchObject({
    path: `/${DIRECTORY}`,
    is: 'directory',
    files: [
      { path: `/${DIRECTORY}/a.tok`, mode: 0o646, link: undefined, inspection: { is: 'token' } },
      { path: `/${DIRECTORY}/notes`, inspection: { because: expect.stringContaining('web page') } },
      { path: `/${DIRECTORY}/old`, inspection: { because: 'is a directory' } },
      {
        path: `/${DIRECTORY}/z.tok`,
        link: 'nowhere',
        realPath: undefined,
        inspection: { because: 'is a link that leads nowhere' },
      },
    ],
  });
  expect(JSON.stringify(found)).not.toContain(token.slice(0, 40));
});

it('the directory is the one that gridd.conf names, in quotes or not', async () => {
  const files = {
    'srv/tokens/a.tok': makeToken(),
    'etc/nvidia/gridd.conf': 'ClientConfigTokenPath = "/srv/tokens/"\n',
  };
  expect(await filesOf(files)).toMatchObject({
    path: '/srv/tokens',
    is: 'directory',
    files: [{ path: '/srv/tokens/a.tok' }],
  });
});

it('a path that names the token itself is no directory', async () => {
  const files = { 'srv/a.tok': makeToken(), 'etc/nvidia/gridd.conf': 'ClientConfigTokenPath=/srv/a.tok\n' };
  expect(await filesOf(files)).toMatchObject({ path: '/srv/a.tok', is: 'file', files: [] });
  expect(await filesOf({})).toMatchObject({ is: 'absent', files: [] });
});

it('a token of 10 MB is no token and is not read', async () => {
  const found = await filesOf({}, root => {
    mkdirSync(join(root, DIRECTORY), { recursive: true });
    writeFileSync(join(root, DIRECTORY, 'a.tok'), '');
    truncateSync(join(root, DIRECTORY, 'a.tok'), 10 * 1024 * 1024);
  });
  expect(found.files[0]?.inspection).toEqual({ is: 'unusable', because: 'is larger than 256 KiB, which no token is' });
});
