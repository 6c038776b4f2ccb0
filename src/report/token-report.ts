import type { TokenFact } from '../facts/license/token.ts';
import { TOLERANCE_US, type TokenClaims } from '../formats/license/token.ts';
import { timeOf } from '../formats/time.ts';
import { indent, printable } from './text.ts';
import { visible } from './visible.ts';

/** A token as it may be shown: nothing of it that a license could be had with. */
export interface InspectedToken {
  readonly path: string;
  readonly found: Extract<TokenFact['source'], { is: 'usable' | 'unusable' }>;
  /** Why it cannot be used, and what to do; undefined: it can. */
  readonly refusal: { readonly because: string; readonly remedy: string } | undefined;
}

/** `vgpu-guest/token/1` */
export function tokenJson({ path, found, refusal }: InspectedToken): object {
  return {
    schema: 'vgpu-guest/token/1',
    path,
    usable: refusal === undefined,
    ...refusal,
    ...(found.is === 'usable' ? { sha256: found.sha256, ...claimsJson(found.claims) } : {}),
    toleranceMs: TOLERANCE_US / 1000,
  };
}

export function tokenText({ path, found, refusal }: InspectedToken): string {
  const head = refusal
    ? [`${visible(path)} ${indent(refusal.because)}`, `→ ${indent(refusal.remedy)}`]
    : [`${visible(path)} is a token that can be used`];
  const rows = found.is === 'usable' ? [...rowsOf(found.claims), ['sha256', found.sha256] as const] : [];
  return [...head, ...rows.map(([label, value]) => `  ${label.padEnd(12)} ${printable(value)}`)].join('\n');
}

function claimsJson({ issuer, audience, issuedUs, notBeforeUs, expiresUs, nodes }: TokenClaims): object {
  const at = (us: number | undefined, name: string) => (us === undefined ? {} : { [name]: timeOf(us) });
  return {
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
    ...at(issuedUs, 'issuedAt'),
    ...at(notBeforeUs, 'validFrom'),
    ...at(expiresUs, 'expiresAt'),
    nodes,
  };
}

function rowsOf({ issuer, audience, issuedUs, notBeforeUs, expiresUs, nodes }: TokenClaims) {
  const time = (us: number | undefined) => (us === undefined ? 'it does not say when' : timeOf(us));
  const servers = nodes.map(
    ({ host, ports }) => `${host} (${ports.map(({ service, port }) => `${service} ${port}`).join(', ') || 'no ports'})`,
  );
  return [
    ['issued by', issuer ?? 'it does not say by whom'],
    ['for', audience ?? 'it does not say for whom'],
    ['issued', time(issuedUs)],
    ['valid from', time(notBeforeUs)],
    ['valid until', time(expiresUs)],
    ['tolerance', `${TOLERANCE_US / 60_000_000} min, for a clock that is not quite right`],
    ['servers', servers.join(', ') || 'it names none'],
  ] as const;
}
