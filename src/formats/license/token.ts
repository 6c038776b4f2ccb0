import { timeOf } from '../time.ts';

/** What a client configuration token says of itself; none of it is verified, and none of it is the token. */
export interface TokenClaims {
  /** `NLS Service Instance`. */
  readonly issuer: string | undefined;
  /** `NLS Licensed Client`. */
  readonly audience: string | undefined;
  /** Microseconds since 1970. */
  readonly issuedUs: number | undefined;
  readonly notBeforeUs: number | undefined;
  readonly expiresUs: number | undefined;
  /** Where the license comes from: each node of CLS or DLS with the ports of its services, `auth` and `lease`. */
  readonly nodes: readonly TokenNode[];
}

interface TokenNode {
  readonly host: string;
  readonly ports: readonly { readonly service: string; readonly port: number }[];
}

export type TokenInspection =
  | { readonly is: 'token'; readonly claims: TokenClaims }
  /** `because` goes on after the file's name: `is empty`, `is a web page …`; it never quotes the file. */
  | { readonly is: 'unusable'; readonly because: string };

/** Looks at a client configuration token of CLS or DLS: a signed JWT on one line. The signature is the daemon's to verify. */
export function inspectToken(text: string): TokenInspection {
  const token = withoutFinalLineEnds(text);
  const impostor = IMPOSTORS.find(({ looks }) => looks.test(token));
  if (impostor) return unusable(impostor.because);
  if (/\s/.test(token)) return unusable(brokenUp(token));

  const parts = token.split('.');
  const header = readPart(parts[0]);
  if (!header) return unusable(unreadable(token));
  if (parts.length < 3 || parts[2] === '')
    return unusable('is cut off: a token has three parts, and the signature is missing');
  if (parts.length > 3 || parts.some(part => !BASE64URL.test(part)))
    return unusable(
      parts.length === 3 && parts.every(isPlainBase64) ? PLAIN_BASE64 : 'is damaged: it has more than a token in it',
    );
  if (header.alg !== 'RS256') return unusable('is a token of another kind: NVIDIA signs its own with RS256');
  const payload = readPart(parts[1]);
  if (!payload) return unusable('is damaged: the part with the server addresses cannot be read');
  if (isCutSignature(parts[2]!)) return unusable('is cut off: the signature is too short');
  const claims = readClaims(payload);
  if (isForeign(claims)) return unusable('is a signed token of another service, not of the NVIDIA License System');
  return { is: 'token', claims };
}

/** A pattern would begin at each of a million empty lines, and look at all of those behind it. */
function withoutFinalLineEnds(text: string): string {
  let end = text.length;
  while (text[end - 1] === '\n') end--;
  return text.slice(0, end);
}

/**
 * How far the guest's clock may be off, and how far a portal dates a token back, before a date counts against it. A clock that is
 * off by more is refused by the license server anyway.
 */
export const TOLERANCE_US = 15 * 60 * 1_000_000;

/** What is wrong with the dates: iat ≤ nbf ≤ now < exp, give or take `TOLERANCE_US`. */
export interface Untimely {
  readonly is: 'expired' | 'early' | 'contradictory';
  /** Goes on after the file's name. */
  readonly because: string;
}

/** undefined: nothing; a date that the token does not have is no fault. */
export function judgeDates(claims: TokenClaims, nowUs: number): Untimely | undefined {
  const { issuedUs, notBeforeUs = issuedUs, expiresUs } = claims;
  const now = `by the guest's clock it is ${timeOf(nowUs)}`;
  if (issuedUs !== undefined && notBeforeUs !== undefined && issuedUs > notBeforeUs + TOLERANCE_US) {
    const because = `was issued on ${timeOf(issuedUs)}, after the ${timeOf(notBeforeUs)} from which on it is valid`;
    return { is: 'contradictory', because };
  }
  if (notBeforeUs !== undefined && expiresUs !== undefined && notBeforeUs >= expiresUs) {
    const because = `is valid from ${timeOf(notBeforeUs)} on, and expires on ${timeOf(expiresUs)}, before that`;
    return { is: 'contradictory', because };
  }
  if (expiresUs !== undefined && expiresUs + TOLERANCE_US <= nowUs) {
    return { is: 'expired', because: `expired on ${timeOf(expiresUs)}, and ${now}` };
  }
  if (notBeforeUs !== undefined && notBeforeUs > nowUs + TOLERANCE_US) {
    return { is: 'early', because: `is valid from ${timeOf(notBeforeUs)} on, and ${now}` };
  }
  return undefined;
}

const BASE64URL = /^[A-Za-z0-9_-]+$/;
const ISSUER = 'NLS Service Instance';
const AUDIENCE = 'NLS Licensed Client';
/** `{"` in base64url: so does the header of every token begin. */
const BEGINNING = /^eyJ[A-Za-z0-9_-]*$/;
const PLAIN_BASE64 = 'is damaged: it has signs of plain base64 (+ / =), which a token has not';
const NO_TOKEN = 'is not a client configuration token: it should be three base64url parts, joined by dots';

/** What has been found in the place of a token. */
const IMPOSTORS: readonly { readonly looks: RegExp; readonly because: string }[] = [
  { looks: /^\s*$/, because: 'is empty' },
  { looks: /^PK\x03\x04|^\x1f[\uFFFD\x8b]/, because: 'is an archive (zip or gzip): unpack it first' },
  {
    looks: /^\uFEFF|^\uFFFD|\0/,
    because: 'has a byte order mark or binary data in it: an editor or a copy has changed it',
  },
  {
    looks: /^\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype html|html|head|body|!--)/i,
    because: 'is a web page (HTML): a login page was saved in the place of the token',
  },
  { looks: /^\s*</, because: 'is XML, not a client configuration token' },
  { looks: /^#! ?\/bin\/sh/, because: 'is a program, such as the driver package, not a client configuration token' },
  {
    looks: /^[ \t#]*(?:ServerAddress|FeatureType|ClientConfigTokenPath)[ \t]*=/m,
    because: 'is a gridd.conf, not a client configuration token',
  },
  { looks: /^\s*-----BEGIN /, because: 'is a PEM file (a certificate or a key), not a client configuration token' },
  { looks: /^\s*\{\s*["}]/, because: 'is JSON, not a client configuration token' },
  { looks: /^["'].*["']$/s, because: 'has quotes around it' },
  { looks: /\r/, because: 'has Windows line ends (CRLF) in it' },
];

function unusable(because: string): TokenInspection {
  return { is: 'unusable', because };
}

/** What has no header of a token, and no blanks either. */
function unreadable(token: string): string {
  if (BEGINNING.test(token)) return 'is cut off within its first part: a token has three, joined by dots';
  if (isEncoded(token)) return ENCODED;
  return token.split('.').length === 3 && token.split('.').every(isPlainBase64) ? PLAIN_BASE64 : NO_TOKEN;
}

const ENCODED = 'is a token that was encoded in base64 once more: decode it (base64 -d)';

function isEncoded(text: string): boolean {
  return isPlainBase64(text) && isThreeParts(Buffer.from(text, 'base64').toString('latin1').trimEnd());
}

function isPlainBase64(text: string): boolean {
  return /^[A-Za-z0-9+/_-]+=*$/.test(text);
}

function brokenUp(token: string): string {
  const lines = token.split('\n').map(line => line.trim());
  const whole = lines.filter(line => line !== '');
  if (isEncoded(whole.join(''))) return ENCODED;
  if (whole.length > 1 && whole.every(isThreeParts)) return `holds ${whole.length} tokens: it must hold one`;
  if (!isThreeParts(whole.join(''))) return NO_TOKEN;
  return whole.length > 1 ? 'is broken into several lines' : 'has blanks in it';
}

function isThreeParts(text: string): boolean {
  return /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(text.replace(/[ \t]/g, ''));
}

type Json = Readonly<Record<string, unknown>>;

function readPart(part: string | undefined): Json | undefined {
  if (!part || !BASE64URL.test(part)) return undefined;
  try {
    return asObject(JSON.parse(Buffer.from(part, 'base64url').toString('utf8')));
  } catch {
    return undefined;
  }
}

/** An RSA signature is as long as its key, and keys grow by 512 bits; a made-up token of a test has no such thing. */
function isCutSignature(part: string): boolean {
  const bytes = Buffer.from(part, 'base64url').length;
  return part.length % 4 === 1 || (bytes > 64 && bytes % 64 !== 0);
}

/** Only when all that it says of itself points elsewhere: these words are not promised by anybody. */
function isForeign({ issuer, audience, nodes }: TokenClaims): boolean {
  return (issuer ?? audience) !== undefined && issuer !== ISSUER && audience !== AUDIENCE && nodes.length === 0;
}

/** Names as published tokens have them (NLS protocol 2.0); all of them may be absent. */
function readClaims(payload: Json): TokenClaims {
  return {
    issuer: asText(payload.iss),
    audience: asText(payload.aud),
    issuedUs: asMicroseconds(payload.iat),
    notBeforeUs: asMicroseconds(payload.nbf),
    expiresUs: asMicroseconds(payload.exp),
    nodes: readNodes(asObject(payload.service_instance_configuration) ?? {}),
  };
}

function readNodes(configuration: Json): readonly TokenNode[] {
  const portSets = asObjects(configuration.svc_port_set_list);
  return asObjects(configuration.node_url_list).flatMap(node => {
    const host = asText(node.url);
    if (host === undefined) return [];
    const set = portSets.find(({ idx }) => idx === node.svc_port_set_idx);
    const ports = asObjects(set?.svc_port_map).flatMap(({ service, port }) => {
      const number = Number(port);
      return Number.isInteger(number) && number > 0 && number < 65_536
        ? [{ service: asText(service) ?? '', port: number }]
        : [];
    });
    return [{ host, ports }];
  });
}

function asObject(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

function asObjects(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(asObject).filter(item => item !== undefined) : [];
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** JWT dates are seconds, possibly with a fraction. */
function asMicroseconds(value: unknown): number | undefined {
  if (typeof value !== 'number') return undefined;
  const us = Math.round(value * 1e6);
  return Number.isSafeInteger(us) ? us : undefined;
}
