import { describe, expect, it } from 'vitest';
import { inspectToken, judgeDates, type TokenClaims } from '../../../src/formats/license/token.ts';

// made up, with the claims that published tokens have
const CLAIMS = {
  jti: '3b1d',
  iss: 'NLS Service Instance',
  aud: 'NLS Licensed Client',
  iat: 1_700_000_000,
  nbf: 1_700_000_000,
  exp: 2_078_000_000.5,
  service_instance_configuration: {
    nls_service_instance_ref: 'ref',
    svc_port_set_list: [
      {
        idx: 0,
        d_name: 'DLS',
        svc_port_map: [
          { service: 'auth', port: '443' },
          { service: 'lease', port: 8443 },
          { service: 'broken', port: 'x' },
        ],
      },
    ],
    node_url_list: [
      { idx: 0, url: 'dls.example.com', url_qr: 'dls.example.com', svc_port_set_idx: 0 },
      { idx: 1, url: '10.5.8.209', svc_port_set_idx: 7 },
      { idx: 2 },
    ],
  },
};
const SIGNATURE = Buffer.alloc(256, 7).toString('base64url');

const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const token = (given: { header?: unknown; payload?: unknown; signature?: string } = {}) =>
  [
    part(given.header ?? { typ: 'JWT', alg: 'RS256' }),
    part(given.payload ?? CLAIMS),
    given.signature ?? SIGNATURE,
  ].join('.');
const GOOD = token();
const wrapped = (text: string, end: string) => text.replace(/(.{64})/g, `$1${end}`);

describe('a client configuration token', () => {
  it.each([
    ['as it was downloaded', GOOD],
    ['with a newline at its end', `${GOOD}\n`],
    ['with several newlines at its end', `${GOOD}\n\n`],
  ])('is read %s', (_title, text) => {
    expect(inspectToken(text)).toEqual({
      is: 'token',
      claims: {
        issuer: 'NLS Service Instance',
        audience: 'NLS Licensed Client',
        issuedUs: 1_700_000_000_000_000,
        notBeforeUs: 1_700_000_000_000_000,
        expiresUs: 2_078_000_000_500_000,
        nodes: [
          {
            host: 'dls.example.com',
            ports: [
              { service: 'auth', port: 443 },
              { service: 'lease', port: 8443 },
            ],
          },
          { host: '10.5.8.209', ports: [] },
        ],
      },
    });
  });

  it('needs none of its claims', () => {
    expect(inspectToken(token({ payload: { exp: 'soon', service_instance_configuration: 7 } }))).toEqual({
      is: 'token',
      claims: {
        issuer: undefined,
        audience: undefined,
        issuedUs: undefined,
        notBeforeUs: undefined,
        expiresUs: undefined,
        nodes: [],
      },
    });
  });

  it.each([
    ['is empty', '', /^is empty$/],
    ['is blank', ' \n\t\n', /^is empty$/],
    ['ends in its header', GOOD.slice(0, 20), /is cut off within its first part/],
    ['was encoded once more', Buffer.from(GOOD).toString('base64'), /in base64 once more/],
    [
      'was encoded once more, in lines',
      Buffer.from(GOOD)
        .toString('base64')
        .replace(/(.{76})/g, '$1\n'),
      /in base64 once more/,
    ],
    [
      'was encoded otherwise',
      GOOD.split('.')
        .map(part => `${part}==`)
        .join('.'),
      /signs of plain base64/,
    ],
    ['has quotes around it', `"${GOOD}"`, /has quotes around it/],
    ['is a login page in XHTML', '<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">\n<html>', /web page \(HTML\)/],
    ['is a text with braces', '{\\rtf1 text', /is not a client configuration token/],
    ['is a login page', '\n<!DOCTYPE html>\n<html><body>Sign in</body></html>', /web page \(HTML\)/],
    ['is an error in XML', '<?xml version="1.0"?><Error/>', /^is XML/],
    ['is an error in JSON', '{"error":"unauthorized"}', /^is JSON/],
    ['is a certificate', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n', /PEM file/],
    ['is a gridd.conf', '# gridd.conf\n#FeatureType=1\n', /^is a gridd\.conf/],
    ['is a driver package', '#! /bin/sh\nCRCsum=1\n', /^is a program, such as the driver package/],
    ['is a zip archive', 'PK\x03\x04\x14\0\0', /^is an archive/],
    ['is a gzip archive', Buffer.from([0x1f, 0x8b, 8, 0]).toString('utf8'), /^is an archive/],
    ['is of another service', token({ payload: { iss: 'kubernetes', aud: ['api'], exp: 1 } }), /of another service/],
    ['is one word', 'secret', /not a client configuration token/],
    ['went through Windows', `${GOOD}\r\n`, /CRLF/],
    ['has a byte order mark', `\uFEFF${GOOD}`, /byte order mark/],
    ['was saved as UTF-16', [...GOOD].join('\0'), /byte order mark or binary data/],
    ['is broken into lines', wrapped(GOOD, '\n'), /^is broken into several lines$/],
    ['is broken into lines with blanks', wrapped(GOOD, ' \n '), /^is broken into several lines$/],
    ['has a blank in it', `${GOOD.slice(0, 40)} ${GOOD.slice(40)}`, /^has blanks in it$/],
    ['begins with a blank', ` ${GOOD}`, /^has blanks in it$/],
    ['is there twice', `${GOOD}\n${GOOD}\n`, /^holds 2 tokens/],
    ['ends after its header', GOOD.split('.')[0]!, /cut off.*signature is missing/],
    ['ends in its payload', GOOD.slice(0, 200), /cut off.*signature is missing/],
    ['ends before its signature', GOOD.slice(0, GOOD.lastIndexOf('.') + 1), /cut off.*signature is missing/],
    ['ends in its signature', GOOD.slice(0, -20), /cut off.*signature is too short/],
    ['has four parts', `${GOOD}.more`, /damaged/],
    ['has a letter that base64url has not', GOOD.replace(/.$/, '+'), /damaged/],
    ['has a payload that is no JSON', token({ payload: '{"iss":' }), /damaged.*server addresses/],
    ['has a payload that is a list', token({ payload: [1] }), /damaged.*server addresses/],
    ['is signed in another way', token({ header: { alg: 'HS256' } }), /another kind.*RS256/],
    ['is not signed', token({ header: { alg: 'none' } }), /another kind.*RS256/],
  ])('that %s is refused by name', (_title, text, because) => {
    expect(inspectToken(text)).toEqual({ is: 'unusable', because: expect.stringMatching(because) });
  });

  it.each([
    ['an issuer of another name, for the same clients', { ...CLAIMS, iss: 'NLS of tomorrow' }],
    ['clients of another name, by the same issuer', { ...CLAIMS, aud: 'clients of tomorrow' }],
    ['both of other names, with the nodes of a license server', { ...CLAIMS, iss: 'x', aud: 'y' }],
  ])('of %s is taken for what it may be', (_title, payload) => {
    expect(inspectToken(token({ payload })).is).toBe('token');
  });

  it('never shows a part of itself', () => {
    for (const text of [GOOD.slice(0, 200), wrapped(GOOD, '\n'), `${GOOD}\r\n`, token({ header: { alg: 'none' } })]) {
      const said = JSON.stringify(inspectToken(text));
      expect(text.split(/[.\s]/).filter(piece => piece.length > 3 && said.includes(piece))).toEqual([]);
    }
  });
});

describe('the dates of a token', () => {
  const NOW_US = 1_800_000_000_000_000;
  const HOUR_US = 3_600_000_000;
  /** What the README promises. */
  const QUARTER_US = 900_000_000;
  const judge = (given: Partial<TokenClaims>, nowUs = NOW_US) =>
    judgeDates(
      {
        issuer: undefined,
        audience: undefined,
        issuedUs: NOW_US - HOUR_US,
        notBeforeUs: NOW_US - HOUR_US,
        expiresUs: NOW_US + HOUR_US,
        nodes: [],
        ...given,
      },
      nowUs,
    );

  it.each<[string, Partial<TokenClaims>]>([
    ['are right', {}],
    ['may all be missing', { issuedUs: undefined, notBeforeUs: undefined, expiresUs: undefined }],
    ['may be dated back a little', { notBeforeUs: NOW_US - HOUR_US - QUARTER_US }],
    ['may begin a little later than now', { notBeforeUs: NOW_US + QUARTER_US }],
    ['may have ended just now', { expiresUs: NOW_US - QUARTER_US + 1 }],
  ])('%s', (_title, given) => {
    expect(judge(given)).toBeUndefined();
  });

  it.each<[string, Partial<TokenClaims>, string]>([
    ['are over', { expiresUs: NOW_US - QUARTER_US }, 'expired'],
    ['are still to come', { notBeforeUs: NOW_US + QUARTER_US + 1 }, 'early'],
    [
      'are still to come where only its making is dated',
      { issuedUs: NOW_US + HOUR_US / 2, notBeforeUs: undefined },
      'early',
    ],
    ['begin before it was made', { notBeforeUs: NOW_US - HOUR_US - QUARTER_US - 1 }, 'contradictory'],
    ['end before they begin', { expiresUs: NOW_US - HOUR_US }, 'contradictory'],
  ])('%s', (_title, given, is) => {
    expect(judge(given)?.is).toBe(is);
  });

  it('are still to come on a guest whose clock is before 1970', () => {
    expect(judge({}, -86_400_000_000)).toEqual({
      is: 'early',
      because: "is valid from 2027-01-15T07:00:00Z on, and by the guest's clock it is 1969-12-31T00:00:00Z",
    });
  });
});

it('a quarter of a mebibyte of empty lines is looked at in no time', () => {
  const before = process.cpuUsage();
  expect(inspectToken(`${'\n'.repeat(256 * 1024)}x`).is).toBe('unusable');
  expect(process.cpuUsage(before).user / 1_000).toBeLessThan(2_000);
});
