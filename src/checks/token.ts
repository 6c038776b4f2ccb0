import type { Facts } from '../facts/facts.ts';
import { judgeDates, type TokenClaims, type Untimely } from '../formats/license/token.ts';
import { timeOf } from '../formats/time.ts';
import { defineSubject, type Evidence, evidence, type Found, seen } from './check.ts';
import {
  branchOf,
  confEvidence,
  confValue,
  gravity,
  hasExpired,
  isLicensed,
  logEvidence,
  needsLicense,
  standing,
  unitEvidence,
} from './situation.ts';
import { whyMissing, whyUnusable } from './token-words.ts';

const FIRST_TOKEN_BRANCH = 470;
const NEW_TOKEN =
  'download a new client configuration token from the licensing portal (or from your DLS), copy it to this guest as it is, look at it with vgpu-guest token inspect FILE, and put it in place with vgpu-guest token rotate FILE';

/** The token where nvidia-gridd looks, and the one that is asked for. */
export const token = defineSubject({
  id: 'token',
  title: 'the token',
  reads: ['token', 'tokenFiles', 'gridd', 'griddLog', 'driver', 'smi', 'gpus', 'system'],
  saw(_config, { tokenFiles: { path, is, files } }) {
    if (is !== 'directory') return seen(is === 'file' ? `${path} is a file` : `${path} is not there`);
    if (files.length === 0) return seen(`${path} is empty`);
    const words = files.map(({ path: file, inspection }) =>
      inspection.is === 'token'
        ? `${file}, ${inspection.claims.expiresUs === undefined ? 'without an end' : `until ${timeOf(inspection.claims.expiresUs)}`}`
        : `${file} ${inspection.because}`,
    );
    return seen(words.join('; '));
  },
  checks: [
    {
      id: 'token-missing',
      causes: [1],
      judge(config, facts): Found | undefined {
        const { tokenFiles, token: asked, gridd, griddLog } = facts;
        const usesServer =
          config.license.server !== undefined ||
          (confValue(gridd, 'ServerAddress') !== undefined && !config.license.token);
        if (tokenFiles.files.length > 0 || usesServer || isLicensed(facts.smi)) return undefined;
        if ((branchOf(facts) ?? FIRST_TOKEN_BRANCH) < FIRST_TOKEN_BRANCH || !needsLicense(config, facts))
          return undefined;
        // what is wrong with it stands in a finding of its own
        if (
          asked.source.is === 'unusable' ||
          (asked.source.is === 'usable' && gridd.unit.load === 'masked') ||
          tokensOf(facts).some(found => isUntimely(found, facts, 'expired', 'early', 'contradictory'))
        )
          return undefined;
        return {
          severity: 'error',
          summary:
            tokenFiles.is === 'file'
              ? `${tokenFiles.path}, where nvidia-gridd looks for its token, is a file and must be the directory that holds it`
              : `there is no token in ${tokenFiles.path}, where nvidia-gridd looks for one`,
          ...whyMissing(config, tokenFiles),
          evidence: [
            evidence(
              tokenFiles.path,
              tokenFiles.is === 'directory' ? 'empty' : tokenFiles.is === 'file' ? 'a file' : 'not there',
            ),
            ...confEvidence(gridd, 'ClientConfigTokenPath'),
            ...logEvidence(griddLog, standing(griddLog, 'no-token')),
          ],
        };
      },
    },
    {
      id: 'token-unusable',
      causes: [2],
      judge(_config, facts): Found | undefined {
        const { tokenFiles, token: asked, gridd, griddLog, smi } = facts;
        const bad = tokenFiles.files.flatMap(({ path, inspection }) =>
          inspection.is === 'token' ? [] : [{ path, because: inspection.because }],
        );
        const refused = standing(griddLog, 'bad-token');
        const source = asked.source.is === 'unusable' ? [asked.source] : [];
        const [first] = [...bad, ...source.filter(({ path }) => !bad.some(file => file.path === path))];
        // of several good ones the daemon may have refused any; that stands in a finding of its own
        if (!first && (refused.length === 0 || tokenFiles.files.length > 1)) return undefined;
        return {
          severity: gravity(smi),
          summary: first ? `${first.path} ${first.because}` : `nvidia-gridd refuses the token in ${tokenFiles.path}`,
          cause: first
            ? whyUnusable(first.because)
            : 'its form is right, so its signature may not be: a character was changed, or it is of another license service instance',
          remedy:
            bad.length > 0 && asked.source.is === 'usable'
              ? `vgpu-guest apply puts the token that is configured (${asked.source.path}) in its place, and everything else out of the way`
              : bad.length > 0 && bad.length < tokenFiles.files.length
                ? `move it out of ${tokenFiles.path} (vgpu-guest apply does that when license.token names the right one), then systemctl reset-failed nvidia-gridd && systemctl restart nvidia-gridd`
                : NEW_TOKEN,
          evidence: [
            ...[...bad, ...source].map(({ path, because }) => evidence(path, because)),
            ...logEvidence(griddLog, refused),
            ...(refused.length > 0 ? [unitEvidence(gridd)] : []),
          ],
        };
      },
    },
    {
      id: 'token-directory-crowded',
      causes: [2],
      judge(_config, { tokenFiles: { path, files }, griddLog, smi }) {
        const refused = standing(griddLog, 'bad-token');
        if (files.length < 2) return undefined;
        return {
          severity: refused.length > 0 ? gravity(smi) : 'warning',
          summary: `there are ${files.length} files in ${path}, and there should be one`,
          cause: 'nobody has written down which of several nvidia-gridd takes, and it may end at one that is no token',
          remedy: `vgpu-guest apply, with license.token set to the right one, moves the others to /var/lib/vgpu-guest/set-aside; by hand: move them out of the directory, then systemctl restart nvidia-gridd`,
          evidence: [
            ...files.map(file =>
              evidence(file.path, file.inspection.is === 'token' ? 'a token' : file.inspection.because),
            ),
            ...logEvidence(griddLog, refused),
          ],
        };
      },
    },
    {
      id: 'token-expired',
      causes: [3],
      judge(_config, facts): Found | undefined {
        const over = tokensOf(facts).filter(({ claims }) => hasExpired(claims, facts));
        const [first] = over;
        if (!first) return undefined;
        return {
          severity: gravity(facts.smi),
          summary: `the token ${first.path} has expired`,
          cause: "its time is over, or the guest's clock is ahead",
          remedy: `if the clock of this guest is right: ${NEW_TOKEN}; if it is not: timedatectl set-ntp true`,
          evidence: [
            ...over.flatMap(datesOf),
            clockEvidence(facts),
            ...logEvidence(facts.griddLog, standing(facts.griddLog)),
          ],
        };
      },
    },
    {
      id: 'token-not-yet-valid',
      causes: [3],
      judge(_config, facts): Found | undefined {
        const early = tokensOf(facts).filter(found => isUntimely(found, facts, 'early'));
        const [first] = early;
        if (!first) return undefined;
        return {
          severity: gravity(facts.smi),
          summary: `the token ${first.path} is not valid yet`,
          cause: "the guest's clock is behind, or the clock of the service that made the token was ahead",
          remedy:
            "set the guest's clock and keep it right (timedatectl set-ntp true), then systemctl restart nvidia-gridd",
          evidence: [...early.flatMap(datesOf), clockEvidence(facts)],
        };
      },
    },
    {
      id: 'token-contradictory',
      causes: [3],
      judge(_config, facts): Found | undefined {
        const wrong = tokensOf(facts).filter(found => isUntimely(found, facts, 'contradictory'));
        const [first] = wrong;
        if (!first) return undefined;
        return {
          severity: gravity(facts.smi),
          summary: `the dates of the token ${first.path} contradict each other`,
          cause:
            'it was issued after it begins to be valid, or begins after its end: the clock of the service that made it may have been wrong',
          remedy: NEW_TOKEN,
          evidence: [...wrong.flatMap(datesOf), clockEvidence(facts)],
        };
      },
    },
    {
      id: 'token-of-another-kind',
      causes: [2],
      judge(_config, facts): Found | undefined {
        const other = tokensOf(facts).filter(
          ({ claims: { issuer, audience } }) => (issuer ?? ISSUER) !== ISSUER || (audience ?? AUDIENCE) !== AUDIENCE,
        );
        const [first] = other;
        if (!first) return undefined;
        return {
          severity: 'warning',
          summary: `${first.path} is a signed token, and it does not say that it is one for license clients`,
          cause: 'it may be a token of another service',
          remedy: NEW_TOKEN,
          evidence: other.map(({ path, claims }) =>
            evidence(path, `iss ${claims.issuer ?? '(none)'}, aud ${claims.audience ?? '(none)'}`),
          ),
        };
      },
    },
    {
      id: 'token-not-in-place',
      causes: [1],
      judge(config, { token: { source, directory }, tokenFiles }): Found | undefined {
        if (source.is !== 'usable' || tokenFiles.files.length === 0) return undefined;
        const isThere = directory.some(({ sha256 }) => sha256 === source.sha256);
        if (isThere && tokenFiles.path === config.license.tokenDirectory.replace(/(?<=.)\/+$/, '')) return undefined;
        return {
          severity: 'warning',
          summary: `the token that is configured is not the one in ${tokenFiles.path}`,
          cause: 'license.token was changed since the last vgpu-guest apply, or the directory was',
          remedy:
            'vgpu-guest apply puts it there; vgpu-guest token rotate FILE goes back to the old one if the new one brings no license',
          evidence: [
            evidence(source.path, 'license.token'),
            ...tokenFiles.files.map(({ path }) => evidence(path, 'another file')),
          ],
        };
      },
    },
    {
      id: 'token-open',
      causes: [37],
      judge(_config, { tokenFiles: { path: folder, files, mode: folderMode, uid: folderUid } }) {
        const isOpen = (mode: number, uid: number) => (mode & 0o002) !== 0 || (uid !== 0 && uid !== folderUid);
        const places = [
          ...(isOpen(folderMode, folderUid) ? [{ path: folder, mode: folderMode, uid: folderUid }] : []),
          ...files,
        ];
        const open = places.filter(({ mode, uid }) => isOpen(mode, uid));
        const links = files.filter(({ link, realPath }) => link !== undefined && !realPath?.startsWith(`${folder}/`));
        if (open.length + links.length === 0) return undefined;
        return {
          severity: 'warning',
          summary: 'others than root can change the token',
          cause:
            open.length > 0
              ? 'it belongs to somebody else, or its mode lets everybody write'
              : 'it is a link to a file elsewhere, which whoever may write there can change',
          remedy:
            'put the file itself there: chown root:root FILE && chmod 744 FILE (755 for the directory); vgpu-guest apply does so with license.token',
          evidence: [
            ...open.map(({ path, mode, uid }) => evidence(path, `mode 0${mode.toString(8)}, owner ${uid}`)),
            ...links.map(({ path, link }) => evidence(path, `link to ${link}`)),
          ],
        };
      },
    },
  ],
});

const ISSUER = 'NLS Service Instance';
const AUDIENCE = 'NLS Licensed Client';

interface Named {
  readonly path: string;
  readonly claims: TokenClaims;
}

/** Those in place; before there is one, the one that is asked for. */
function tokensOf({ tokenFiles: { files }, token: { source } }: Pick<Facts, 'tokenFiles' | 'token'>): readonly Named[] {
  const placed = files.flatMap(({ path, inspection }) =>
    inspection.is === 'token' ? [{ path, claims: inspection.claims }] : [],
  );
  const isPlaced = source.is === 'usable' && files.some(({ realPath }) => realPath === source.path);
  return source.is === 'usable' && !isPlaced ? [...placed, { path: source.path, claims: source.claims }] : placed;
}

function isUntimely(
  { claims }: Named,
  { system }: Pick<Facts, 'system'>,
  ...kinds: readonly Untimely['is'][]
): boolean {
  const untimely = judgeDates(claims, system.nowUs);
  return untimely !== undefined && kinds.includes(untimely.is);
}

function datesOf({ path, claims: { issuedUs, notBeforeUs, expiresUs } }: Named): readonly Evidence[] {
  return [
    ...(issuedUs === undefined ? [] : [evidence(path, `iat ${timeOf(issuedUs)}`)]),
    ...(notBeforeUs === undefined ? [] : [evidence(path, `nbf ${timeOf(notBeforeUs)}`)]),
    ...(expiresUs === undefined ? [] : [evidence(path, `exp ${timeOf(expiresUs)}`)]),
  ];
}

function clockEvidence({ system }: Pick<Facts, 'system'>): Evidence {
  return evidence("the guest's clock", timeOf(system.nowUs));
}
