import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export interface MadeCertificate {
  readonly name: string;
  readonly key: KeyObject;
  readonly pem: string;
  /** For node:tls. */
  readonly keyPem: string;
}

export interface Wish {
  /** Its common name, and its DNS name as well. */
  readonly name: string;
  /** Who signs it; without anybody it is an authority, and signs itself. */
  readonly by?: MadeCertificate;
  readonly from?: Date;
  readonly to?: Date;
}

/** An X.509 certificate (RFC 5280) for a key on P-256, written down byte by byte: no program and no file is needed. */
export function makeCertificate({ name, by, from, to }: Wish): MadeCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(oid('2a8648ce3d040302')); // ecdsa-with-SHA256
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))), // version 3
    tlv(0x02, Buffer.from([1])),
    algorithm,
    commonName(by?.name ?? name),
    sequence(time(from ?? new Date(Date.now() - DAY_MS)), time(to ?? new Date(Date.now() + DAY_MS))),
    commonName(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(by ? alternativeName(name) : IS_AUTHORITY)),
  );
  const signature = sign('sha256', body, by?.key ?? privateKey);
  const der = sequence(body, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  const pem = `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
  return { name, key: privateKey, pem, keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

const DAY_MS = 86_400_000;

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

function oid(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'));
}

function octets(content: Buffer): Buffer {
  return tlv(0x04, content);
}

function commonName(name: string): Buffer {
  return sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from(name)))));
}

/** UTCTime, which has two digits of the year. */
function time(date: Date): Buffer {
  return tlv(0x17, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`));
}

/** subjectAltName: dNSName */
function alternativeName(name: string): Buffer {
  return sequence(oid('551d11'), octets(sequence(tlv(0x82, Buffer.from(name)))));
}

const YES = tlv(0x01, Buffer.from([0xff]));
/** basicConstraints: critical, cA */
const IS_AUTHORITY = sequence(oid('551d13'), YES, octets(sequence(YES)));

/** Somebody who signs the certificates of servers. */
export interface Authority {
  /** Its own certificate, for whoever is to trust it. */
  readonly pem: string;
  /** A server's chain and key; days are counted from now. */
  issue(names: readonly string[], valid?: { fromDays?: number; toDays?: number }): { cert: string; key: string };
}

export function makeAuthority(name = 'an authority'): Authority {
  const authority = makeCertificate({ name });
  return {
    pem: authority.pem,
    issue([name = 'nobody'], { fromDays = -1, toDays = 1 } = {}) {
      const at = (days: number) => new Date(Date.now() + days * DAY_MS);
      const { pem, keyPem } = makeCertificate({ name, by: authority, from: at(fromDays), to: at(toDays) });
      return { cert: pem + authority.pem, key: keyPem };
    },
  };
}
