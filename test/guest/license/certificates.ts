import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { NotRun } from '../not-run.ts';

/** A certificate of a service and the authority that gave it, all PEM. */
export interface Certificates {
  /** What a guest must trust. */
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const VALID_DAYS = '30';

/** A new authority, and its certificate for these host names and addresses; both are valid from now on. */
export async function makeCertificates(names: readonly string[], signal: AbortSignal): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'vgpu-guest-certificates-'));
  const at = (name: string) => join(folder, name);
  const request = ['req', '-x509', '-days', VALID_DAYS, ...NEW_KEY];
  const alternatives = names.map(name => `${isIP(name) ? 'IP' : 'DNS'}:${name}`).join(',');
  try {
    await openssl(signal, [
      ...[...request, '-keyout', at('authority.key'), '-out', at('authority.pem')],
      ...['-subj', '/CN=Test bed authority', '-addext', 'keyUsage=critical,keyCertSign'],
    ]);
    await openssl(signal, [
      ...[...request, '-keyout', at('service.key'), '-out', at('service.pem')],
      ...['-CA', at('authority.pem'), '-CAkey', at('authority.key'), '-subj', '/CN=Test bed license service'],
      ...['-addext', `subjectAltName=${alternatives}`, '-addext', 'basicConstraints=critical,CA:FALSE'],
    ]);
    const [authority = '', certificate = '', key = ''] = await Promise.all(
      ['authority.pem', 'service.pem', 'service.key'].map(name => readFile(at(name), 'utf8')),
    );
    return { authority, certificate, key };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function openssl(signal: AbortSignal, argv: readonly string[]): Promise<void> {
  const ended = await execa('openssl', argv, { stdin: 'ignore', reject: false, cancelSignal: signal });
  signal.throwIfAborted();
  if (ended.code === 'ENOENT') throw new NotRun('openssl is not installed: apt-get install openssl');
  if (ended.failed) throw new Error(`openssl ${argv[0]} has failed\n${ended.stderr}`);
}
