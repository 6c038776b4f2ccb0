import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../src/change.ts';
import { configSchema } from '../../../src/config/schema.ts';
import type { Facts } from '../../../src/facts/facts.ts';
import type { TokenEntry, TokenFact } from '../../../src/facts/license/token.ts';
import type { TokenClaims } from '../../../src/formats/license/token.ts';
import { placeToken } from '../../../src/steps/license/place-token.ts';

const DIRECTORY = '/etc/nvidia/ClientConfigToken';
const NOW_US = 1_800_000_000_000_000;
const NO_CLAIMS: TokenClaims = {
  issuer: undefined,
  audience: undefined,
  issuedUs: undefined,
  notBeforeUs: undefined,
  expiresUs: undefined,
  nodes: [],
};

const entry = (name: string, given: Partial<TokenEntry> = {}): TokenEntry => ({
  name,
  kind: 'file',
  mode: 0o744,
  changedUs: NOW_US - 1,
  sha256: 'same',
  ...given,
});
const source = (path = '/opt/a.tok', claims: Partial<TokenClaims> = {}): TokenFact['source'] => ({
  is: 'usable',
  path,
  sha256: 'same',
  claims: { ...NO_CLAIMS, ...claims },
});

const FROM = 'https://files.example/a.tok';
const KEPT = '/var/lib/vgpu-guest/tokens/0123456789abcdef/a.tok';
const FETCH = { kind: 'fetch-token', from: FROM, path: KEPT };

function judge(from: TokenFact['source'], directory: readonly TokenEntry[] = [], tokenDirectory = DIRECTORY): Verdict {
  const system = { nowUs: NOW_US } as unknown as Facts['system'];
  const config = configSchema.parse({ license: { token: '/opt/a.tok', tokenDirectory } });
  return placeToken.judge(config, { token: { source: from, directory, directoryChangedUs: 1 }, system }, new Set());
}

/** The deeds without their reasons. */
function deeds(verdict: Verdict): readonly unknown[] {
  return verdict.is === 'due' ? verdict.changes.map(({ because: _, ...deed }) => deed) : [];
}

const COPY = { kind: 'copy-secret', from: '/opt/a.tok', path: `${DIRECTORY}/a.tok`, mode: 0o744 };

describe('the token', () => {
  it('is copied where nvidia-gridd looks', () => {
    expect(deeds(judge(source()))).toEqual([COPY]);
  });

  it('is copied into a directory that is written with a slash', () => {
    expect(deeds(judge(source(), [], `${DIRECTORY}/`))).toEqual([COPY]);
  });

  it('gets the directory that a copy has made a file of', () => {
    const config = configSchema.parse({ license: { token: '/opt/a.tok' } });
    const judgeFile = (from: string) => {
      const token: TokenFact = { source: source(from), directory: [], directoryChangedUs: 1, directoryIsFile: true };
      return placeToken.judge(config, { token, system: { nowUs: NOW_US } as unknown as Facts['system'] }, new Set());
    };
    expect(deeds(judgeFile('/opt/a.tok'))).toEqual([
      { kind: 'move', path: DIRECTORY, to: '/var/lib/vgpu-guest/set-aside/ClientConfigToken' },
      COPY,
    ]);
    expect(judgeFile(DIRECTORY)).toMatchObject({ is: 'blocked', remedy: expect.stringContaining('move that file') });
  });

  it('takes the place of another one with its name', () => {
    expect(deeds(judge(source(), [entry('a.tok', { sha256: 'other' })]))).toEqual([COPY]);
  });

  it('is alone in its directory', () => {
    const strays = [
      entry('.hidden'),
      entry('gridd.conf', { sha256: 'conf' }),
      entry('old', { kind: 'directory', sha256: undefined }),
    ];
    expect(deeds(judge(source(), [entry('a.tok'), ...strays]))).toEqual(
      ['.hidden', 'gridd.conf', 'old'].map(name => ({
        kind: 'move',
        path: `${DIRECTORY}/${name}`,
        to: `/var/lib/vgpu-guest/set-aside/${name}`,
      })),
    );
  });

  it('comes before older ones go, and what a cut write left goes by itself', () => {
    const directory = [entry('.a.tok.vgpu-guest', { sha256: 'half' }), entry('old.tok', { sha256: 'old' })];
    expect(deeds(judge(source(), directory))).toEqual([
      COPY,
      { kind: 'move', path: `${DIRECTORY}/old.tok`, to: '/var/lib/vgpu-guest/set-aside/old.tok' },
    ]);
  });

  it('may lie in its place from the beginning', () => {
    expect(judge(source(`${DIRECTORY}/a.tok`), [entry('a.tok')])).toEqual({
      is: 'settled',
      because: `a.tok is the one token in ${DIRECTORY}`,
    });
  });

  it('is not moved away with the folder that it comes from', () => {
    const folder = entry('mine', { kind: 'directory', sha256: undefined });
    expect(judge(source(`${DIRECTORY}/mine/a.tok`), [entry('a.tok'), folder]).is).toBe('settled');
  });

  it.each([0o600, 0o644, 0o777])('with mode %i only has its mode set', mode => {
    expect(deeds(judge(source(), [entry('a.tok', { mode })]))).toEqual([
      { kind: 'set-mode', path: `${DIRECTORY}/a.tok`, mode: 0o744 },
    ]);
  });

  it('from the future has its mode set again, which renews its change time', () => {
    expect(deeds(judge(source(), [entry('a.tok', { changedUs: NOW_US })]))).toEqual([]);
    expect(deeds(judge(source(), [entry('a.tok', { changedUs: NOW_US + 1 })]))).toEqual([
      { kind: 'set-mode', path: `${DIRECTORY}/a.tok`, mode: 0o744 },
    ]);
  });
});

describe('a token that cannot be used', () => {
  it('blocks the guest, with the way to a new one', () => {
    expect(judge({ is: 'unusable', path: '/opt/a.tok', because: 'is empty' }, [entry('gridd.conf')])).toEqual({
      is: 'blocked',
      because: 'the token /opt/a.tok is empty',
      remedy: expect.stringMatching(/licensing portal.*license\.token/),
    });
  });

  it('has expired', () => {
    expect(judge(source('/opt/a.tok', { expiresUs: NOW_US - 86_400_000_000 }))).toMatchObject({
      is: 'blocked',
      because:
        "the token /opt/a.tok expired on 2027-01-14T08:00:00Z, and by the guest's clock it is 2027-01-15T08:00:00Z",
    });
  });

  it('is valid only later, as on a guest whose clock is late', () => {
    expect(
      judge(source('/opt/a.tok', { notBeforeUs: NOW_US + 86_400_000_000, expiresUs: Number.MAX_SAFE_INTEGER })),
    ).toEqual({
      is: 'blocked',
      because:
        "the token /opt/a.tok is valid from 2027-01-16T08:00:00Z on, and by the guest's clock it is 2027-01-15T08:00:00Z",
      remedy: expect.stringContaining("guest's clock"),
    });
  });
});

describe('a token that a URL names', () => {
  const missing = { is: 'not-fetched', from: FROM, path: KEPT, because: 'it has not been downloaded yet' } as const;
  const fetched = (claims: Partial<TokenClaims> = {}) =>
    ({ ...source(KEPT, claims), from: FROM }) as TokenFact['source'];
  const copy = { ...COPY, from: KEPT };

  it('is downloaded, copied and alone in its directory', () => {
    const verdict = judge(missing, [entry('a.tok', { sha256: 'other' }), entry('old.tok')]);
    expect(deeds(verdict)).toEqual([
      FETCH,
      copy,
      { kind: 'move', path: `${DIRECTORY}/old.tok`, to: '/var/lib/vgpu-guest/set-aside/old.tok' },
    ]);
    expect(verdict).toMatchObject({
      changes: [{ because: `the token is at ${FROM}, and it has not been downloaded yet` }, {}, {}],
    });
  });

  it('is not downloaded again as long as it can be used', () => {
    expect(deeds(judge(fetched()))).toEqual([copy]);
    expect(judge(fetched(), [entry('a.tok')]).is).toBe('settled');
  });

  it('is downloaded again when it has expired', () => {
    const verdict = judge(fetched({ expiresUs: NOW_US - 86_400_000_000 }), [entry('a.tok')]);
    expect(deeds(verdict)).toEqual([FETCH, copy]);
    expect(verdict).toMatchObject({
      changes: [{ because: expect.stringMatching(/^the token that was downloaded from .* expired on/) }, {}],
    });
  });
});

describe('a guest that is to get its license from a legacy server', () => {
  const judgeServer = (...directory: readonly TokenEntry[]) => {
    const config = configSchema.parse({ license: { server: { address: 'a' } } });
    const facts = {
      token: { source: { is: 'not-asked-for' }, directory, directoryChangedUs: 1 },
      system: { nowUs: NOW_US },
    } as unknown as Pick<Facts, 'token' | 'system'>;
    return placeToken.judge(config, facts, new Set());
  };

  it('has no token left where nvidia-gridd looks, since that would win', () => {
    const verdict = judgeServer(entry('a.tok'));
    expect(deeds(verdict)).toEqual([
      { kind: 'move', path: `${DIRECTORY}/a.tok`, to: '/var/lib/vgpu-guest/set-aside/a.tok' },
    ]);
    expect(verdict).toMatchObject({
      changes: [{ because: 'a.tok lies in the token directory, and a license server is asked for instead' }],
    });
  });

  it('is left alone where there is none', () => {
    expect(judgeServer().is).toBe('settled');
  });
});

it('a guest without a token has its token directory left alone', () => {
  expect(judge({ is: 'not-asked-for' }, [entry('gridd.conf')]).is).toBe('settled');
});
