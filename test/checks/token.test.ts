import { describe, expect, test } from 'vitest';
import {
  brief,
  CLAIMS,
  conf,
  DAY_US,
  DIRECTORY,
  diagnose,
  find,
  griddLog,
  HEALTHY,
  NOW_US,
  SETTINGS,
  smi,
  TOKEN,
  tokenFile,
  tokenFiles,
  unit,
  versions,
} from '../helpers/doctor.ts';

const UNLICENSED = smi('Unlicensed (Unrestricted)');
const NONE = { ...tokenFiles(), ...UNLICENSED };
const bad = (because: string, path = TOKEN) => tokenFile(path, { inspection: { is: 'unusable', because } });
const withClaims = (claims: Partial<typeof CLAIMS>) =>
  tokenFile(TOKEN, { inspection: { is: 'token', claims: { ...CLAIMS, ...claims } } });
const NOT_ASKED = { token: { source: { is: 'not-asked-for' }, directory: [], directoryChangedUs: 0 } } as const;

describe('no token where nvidia-gridd looks', () => {
  test('is said with the line of the daemon', () => {
    const line = 'Unable to fetch the client configuration token file';
    const found = find('token-missing', { ...NONE, ...NOT_ASKED, ...griddLog(line) }, {});
    expect(found).toMatchObject({
      severity: 'error',
      summary: `there is no token in ${DIRECTORY}, where nvidia-gridd looks for one`,
    });
    expect(found?.evidence.at(-1)?.shows).toMatch(/^2026-11-21T\S+Z Unable to fetch/);
  });

  test('is put there by apply when it is configured', () => {
    expect(find('token-missing', NONE, SETTINGS)?.remedy).toBe('vgpu-guest apply puts it there');
  });

  test('is a path that names the file itself', () => {
    const files = { path: TOKEN, is: 'file', files: [], mode: 0, uid: 0, changedUs: 0 } as const;
    const found = find('token-missing', { ...NONE, ...conf(`ClientConfigTokenPath=${TOKEN}`), tokenFiles: files }, {});
    expect(found?.summary).toContain('is a file and must be the directory');
    expect(found?.evidence).toContainEqual({ at: '/etc/nvidia/gridd.conf', shows: `ClientConfigTokenPath=${TOKEN}` });
  });

  test.each([
    ['that has its license from elsewhere', tokenFiles(), {}],
    ['with a legacy license server', { ...NONE, ...versions('510.108.03'), ...conf('ServerAddress=10.5.8.208') }, {}],
    ['before R470', { ...NONE, ...versions('460.106.00') }, {}],
  ])('is no fault of a guest %s', (_, facts, settings) => {
    expect(find('token-missing', facts, settings)).toBeUndefined();
  });
});

describe('a file in the token directory that is no token', () => {
  test('is named, with what it is, and the way the daemon ended', () => {
    const log = griddLog(
      'Failed to decode signature from token received',
      'Failed to read configurations from client configuration token (Error: 3)',
      'Failed to setup cloud License Manager: 3',
      'Shutdown (812)',
    );
    const facts = {
      ...UNLICENSED,
      ...NOT_ASKED,
      ...tokenFiles(bad('is a web page (HTML)')),
      ...log,
      ...unit({ active: 'failed', exitCode: 1, result: 'exit-code', startedUs: undefined }),
    };
    const found = find('token-unusable', facts);
    expect(found).toMatchObject({
      severity: 'error',
      summary: `${TOKEN} is a web page (HTML)`,
      remedy: expect.stringContaining('vgpu-guest token rotate FILE'),
    });
    expect(found?.evidence.map(({ shows }) => shows).join('\n')).toMatch(
      /decode signature[\s\S]*ActiveState=failed .*ExecMainStatus=1/,
    );
    // the end of the daemon is explained by it
    expect(brief(diagnose(facts))[0]).toBe('error token-unusable');
    expect(find('daemon-dead', facts)).toBeUndefined();
  });

  test('beside a good one is to be moved out', () => {
    const stray = bad('is not a client configuration token', `${DIRECTORY}/gridd.conf`);
    const facts = tokenFiles(tokenFile(), stray);
    expect(find('token-unusable', { ...facts, ...NOT_ASKED })).toMatchObject({
      severity: 'warning',
      remedy: expect.stringContaining('move it out of'),
    });
    expect(find('token-unusable', facts)?.remedy).toContain('vgpu-guest apply puts the token that is configured');
    expect(find('token-directory-crowded', facts)?.evidence.map(({ at }) => at)).toEqual([TOKEN, stray.path]);
  });

  test('is the one that is configured, wherever it lies', () => {
    const source = { is: 'unusable', path: '/opt/a.tok', because: 'is empty' } as const;
    const found = find('token-unusable', { ...NONE, token: { source, directory: [], directoryChangedUs: 0 } });
    expect(found?.summary).toBe('/opt/a.tok is empty');
  });

  test('may look right and still be refused', () => {
    const found = find('token-unusable', {
      ...UNLICENSED,
      ...griddLog('Failed to decode signature from token received'),
    });
    expect(found).toMatchObject({ severity: 'error', cause: expect.stringContaining('signature may not be') });
  });
});

test('two tokens are one too many, and an error when the daemon has ended at them', () => {
  const two = tokenFiles(tokenFile(), tokenFile(`${DIRECTORY}/b.tok`));
  expect(find('token-directory-crowded', two)?.severity).toBe('warning');
  const log = griddLog('Failed to decode signature from token received');
  expect(find('token-directory-crowded', { ...two, ...UNLICENSED, ...log })?.severity).toBe('error');
  expect(find('token-directory-crowded', {})).toBeUndefined();
});

describe('the dates of a token', () => {
  test('are over', () => {
    const found = find('token-expired', { ...UNLICENSED, ...tokenFiles(withClaims({ expiresUs: NOW_US - DAY_US })) });
    expect(found).toMatchObject({ severity: 'error', summary: `the token ${TOKEN} has expired` });
    expect(found?.evidence).toContainEqual({ at: TOKEN, shows: 'exp 2026-11-20T10:00:00Z' });
    expect(found?.evidence).toContainEqual({ at: "the guest's clock", shows: '2026-11-21T10:00:00Z' });
  });

  test('are still to come', () => {
    const found = find('token-not-yet-valid', {
      ...UNLICENSED,
      ...tokenFiles(withClaims({ notBeforeUs: NOW_US + DAY_US })),
    });
    expect(found).toMatchObject({ severity: 'error', remedy: expect.stringContaining('timedatectl set-ntp true') });
  });

  test('are a warning as long as there is a license', () => {
    expect(find('token-expired', tokenFiles(withClaims({ expiresUs: NOW_US - DAY_US })))?.severity).toBe('warning');
  });

  test('of a moment ago are not over yet, as clocks go', () => {
    expect(find('token-expired', tokenFiles(withClaims({ expiresUs: NOW_US - 60e6 })))).toBeUndefined();
  });

  test('may contradict each other', () => {
    const found = find('token-contradictory', {
      ...UNLICENSED,
      ...tokenFiles(withClaims({ issuedUs: NOW_US - DAY_US })),
    });
    expect(found).toMatchObject({ severity: 'error' });
    expect(found?.evidence.map(({ shows }) => shows)).toEqual(
      expect.arrayContaining(['iat 2026-11-20T10:00:00Z', 'nbf 2026-10-22T10:00:00Z']),
    );
    expect(find('token-contradictory', {})).toBeUndefined();
  });

  test('may be absent', () => {
    const facts = tokenFiles(withClaims({ expiresUs: undefined, notBeforeUs: undefined }));
    expect([find('token-expired', facts), find('token-not-yet-valid', facts)]).toEqual([undefined, undefined]);
  });
});

test('a signed token of another service may be the wrong one', () => {
  expect(find('token-of-another-kind', tokenFiles(withClaims({ audience: 'somebody' })))).toMatchObject({
    severity: 'warning',
    evidence: [{ at: TOKEN, shows: 'iss NLS Service Instance, aud somebody' }],
  });
  expect(find('token-of-another-kind', tokenFiles(withClaims({ audience: undefined })))).toBeUndefined();
});

test('a token that was changed in the configuration is not in place yet', () => {
  const token = {
    source: { is: 'usable', path: '/opt/b.tok', sha256: 'bb', claims: CLAIMS },
    directory: [{ name: 'a.tok', kind: 'file', mode: 0o744, changedUs: 0, sha256: 'aa' }],
    directoryChangedUs: 0,
  } as const;
  expect(find('token-not-in-place', { token })).toMatchObject({ severity: 'warning' });
  expect(find('token-not-in-place', {})).toBeUndefined();
});

describe('a token that others can change', () => {
  test.each([
    ['by its mode', tokenFiles(tokenFile(TOKEN, { mode: 0o646 })), 'mode 0646, owner 0'],
    ['as its owner', tokenFiles(tokenFile(TOKEN, { uid: 1000 })), 'mode 0744, owner 1000'],
    [
      'at the end of a link',
      tokenFiles(tokenFile(TOKEN, { link: '/home/a.tok', realPath: '/home/a.tok' })),
      'link to /home/a.tok',
    ],
    [
      'in a directory of everybody',
      { tokenFiles: { ...tokenFiles(tokenFile()).tokenFiles, mode: 0o777 } },
      'mode 0777, owner 0',
    ],
  ])('%s is said so', (_, facts, shows) => {
    expect(find('token-open', facts)).toMatchObject({ severity: 'warning', evidence: [{ shows }] });
  });

  test.each([0o744, 0o644, 0o600])('is not one of mode %o', mode => {
    expect(find('token-open', tokenFiles(tokenFile(TOKEN, { mode })))).toBeUndefined();
  });

  test('is not a link within the directory', () => {
    expect(
      find('token-open', tokenFiles(tokenFile(TOKEN, { link: 'b.tok', realPath: `${DIRECTORY}/b.tok` }))),
    ).toBeUndefined();
  });
});

test('a token that is over by a minute has expired where the license server says that the time is over', () => {
  const over = { is: 'token', claims: { ...CLAIMS, expiresUs: NOW_US - 60e6 } } as const;
  const given = { ...smi('Unlicensed'), ...tokenFiles(tokenFile(TOKEN, { inspection: over })) };
  expect(find('token-expired', given)).toBeUndefined();
  const said = griddLog(
    'Failed to acquire license from dls (Info: X - Error: The allowed time to process response has expired)',
  );
  expect(find('token-expired', { ...given, ...said })?.severity).toBe('error');
  expect(find('clock-differs', { ...given, ...said })).toBeUndefined();
  expect(find('clock-differs', { ...smi('Unlicensed'), ...said })?.severity).toBe('error');
});

test('a token that is not there is missed, and nobody is said to have changed it', () => {
  const source = { is: 'unusable', path: '/opt/a.tok', because: 'is not there' } as const;
  const given = { ...smi('Unlicensed'), ...tokenFiles(), token: { ...HEALTHY.token, source, directory: [] } };
  expect(find('token-unusable', given)).toMatchObject({
    summary: '/opt/a.tok is not there',
    cause: expect.stringContaining('nobody has put there'),
  });
});

test('a token that apply would place waits for whoever has masked the daemon', () => {
  const given = { ...smi('Unlicensed'), ...tokenFiles() };
  expect(find('token-missing', given)?.remedy).toBe('vgpu-guest apply puts it there');
  expect(brief(diagnose({ ...given, ...unit({ load: 'masked', active: 'inactive', startedUs: undefined }) }))[0]).toBe(
    'error daemon-masked',
  );
});

test('a ClientConfigTokenPath that names the token itself is to name its directory', () => {
  const path = { path: TOKEN, is: 'file', files: [], mode: 0, uid: 0, changedUs: 0 } as const;
  const found = find('token-missing', { ...UNLICENSED, tokenFiles: path, ...NOT_ASKED }, {});
  expect(found?.cause).toBe('ClientConfigTokenPath in gridd.conf names a file');
  expect(found?.remedy).toContain(`name the directory, ${DIRECTORY},`);
});

test('a directory in the place of the token was not changed on its way', () => {
  const found = find('token-unusable', { ...UNLICENSED, ...tokenFiles(bad('is a directory')) });
  expect(found?.cause).toMatch(/^another path may have been meant/);
  expect(find('token-unusable', { ...UNLICENSED, ...tokenFiles(bad('is cut off')) })?.cause).toMatch(
    /^it may have been/,
  );
});

test('a file in the place of the token directory is what cp makes of it', () => {
  const path = { path: DIRECTORY, is: 'file', files: [], mode: 0, uid: 0, changedUs: 0 } as const;
  const byHand = find('token-missing', { ...UNLICENSED, tokenFiles: path, ...NOT_ASKED }, {});
  expect(byHand?.remedy).toContain(`mkdir ${DIRECTORY} && mv`);
  const asked = find('token-missing', { ...UNLICENSED, tokenFiles: path });
  expect(asked).toMatchObject({
    cause: expect.stringContaining('cp makes one'),
    remedy: expect.stringMatching(/^vgpu-guest apply/),
  });
});
