import { describe, expect, test } from 'vitest';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const VARIABLE = 'sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c';
const ENFORCE = 'sys/module/module/parameters/sig_enforce';
const LOCKDOWN = 'sys/kernel/security/lockdown';
const on = { [VARIABLE]: '\x06\0\0\0\x01' };
const DEBIAN = { 'etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n' };
const UBUNTU = { 'etc/os-release': 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nID_LIKE=debian\n' };
const KEY = { 'var/lib/dkms/mok.key': 'k', 'var/lib/dkms/mok.pub': 'c' };
const DKMS_PAIR = { secret: '/var/lib/dkms/mok.key', certificate: '/var/lib/dkms/mok.pub' };

function look(files: Record<string, string>, mokutil = 'exit 127', driver: Settings['driver'] = {}) {
  const root = temporaryFolder();
  writeFiles(root, { 'proc/sys/kernel/osrelease': '6.1.0-28-amd64\n', ...DEBIAN, ...files });
  if (mokutil !== 'exit 127') writeProgram(root, 'mokutil', mokutil);
  return lookAt(openEyes({ root, env: {} }), configSchema.parse({ driver })).fact('secureBoot');
}

describe('whether a guest takes unsigned modules', () => {
  test.each<[string, Record<string, string>, string]>([
    ['has no UEFI', {}, 'taken'],
    ['has Secure Boot off', { [VARIABLE]: '\x06\0\0\0\0' }, 'taken'],
    ['has Secure Boot on and does not heed it', { ...on, [LOCKDOWN]: '[none] integrity confidentiality\n' }, 'taken'],
    ['is locked down', { ...on, [LOCKDOWN]: 'none [integrity] confidentiality\n' }, 'refused'],
    ['is locked down without Secure Boot', { [LOCKDOWN]: 'none integrity [confidentiality]\n' }, 'refused'],
    [
      'enforces signatures by itself',
      { [ENFORCE]: 'Y\n', [LOCKDOWN]: '[none] integrity confidentiality\n' },
      'refused',
    ],
    ['has Secure Boot on and shows no lockdown', { ...on, [ENFORCE]: 'N\n' }, 'unknown'],
  ])('one that %s', async (_how, files, unsigned) => {
    expect(await look(files)).toMatchObject({ unsigned });
  });

  test('is asked of mokutil where the firmware cannot be read', async () => {
    const efi = { 'sys/firmware/efi/config_table': '' };
    const fact = await look(efi, 'echo "SecureBoot enabled"');
    expect(fact).toMatchObject({
      unsigned: 'unknown',
      evidence: [{ at: 'mokutil --sb-state', shows: 'SecureBoot enabled' }],
    });
    expect(await look(efi, 'echo "SecureBoot disabled"')).toMatchObject({ unsigned: 'taken' });
    expect(await look(efi)).toMatchObject({ unsigned: 'taken', evidence: [{ shows: 'nothing' }] });
  });
});

describe('the key that modules are signed with', () => {
  const locked = { ...on, [LOCKDOWN]: 'none [integrity] confidentiality\n' };
  const answers = (words: string) => `[ "$1" = --test-key ] && echo "$2 ${words}"`;

  test.each([
    ['is already enrolled', 'enrolled'],
    ['is not enrolled', 'not-enrolled'],
    ['is already in the enrollment request', 'requested'],
  ])('of DKMS %s', async (words, enrollment) => {
    const fact = await look({ ...locked, ...KEY }, answers(words));
    expect(fact.keys).toEqual({ dkms: { ...DKMS_PAIR, present: 'both', enrollment } });
  });

  test('is enrolled by its number, in the owner’s list or in the firmware’s', async () => {
    const lists = `case $1 in
      --list-enrolled) printf '        Serial Number:\\n            0a:1c\\n' ;;
      --db) echo '        Serial Number: 1 (0x1)' ;;
    esac`;
    expect((await look(locked, lists)).enrolled).toEqual(new Set(['a1c', '1']));
    expect((await look(locked, 'exit 1')).enrolled).toBeUndefined();
    expect((await look({}, lists)).enrolled).toBeUndefined();
  });

  test('is not enrolled with the one that has signed it, by which the kernel does not go', async () => {
    const fact = await look({ ...locked, ...KEY }, 'echo "CA of $2 is already enrolled" >&2; exit 255');
    expect(fact.keys.dkms).toMatchObject({ enrollment: 'not-enrolled' });
  });

  test('is not there before DKMS has built anything', async () => {
    expect((await look(locked)).keys.dkms).toEqual({ ...DKMS_PAIR, present: 'neither', enrollment: 'unknown' });
  });

  test('is that of shim-signed on Ubuntu, and what framework.conf says everywhere', async () => {
    expect((await look({ ...locked, ...UBUNTU })).keys.dkms).toMatchObject({
      secret: '/var/lib/shim-signed/mok/MOK.priv',
      certificate: '/var/lib/shim-signed/mok/MOK.der',
    });
    const framework = {
      'etc/dkms/framework.conf': 'mok_signing_key=/a.key\n',
      'etc/dkms/framework.conf.d/b.conf': 'mok_certificate=/b.pub\n',
    };
    expect((await look({ ...locked, ...UBUNTU, ...framework })).keys.dkms).toMatchObject({
      secret: '/a.key',
      certificate: '/b.pub',
    });
  });

  test('is that of the configuration too, and DKMS’s only where DKMS is asked for', async () => {
    const driver = { signingKey: '/k/mok.key', signingCertificate: '/k/mok.pub', dkms: false };
    const fact = await look({ ...locked, 'k/mok.key': 'k', 'k/mok.pub': 'c' }, answers('is not enrolled'), driver);
    expect(fact.keys).toEqual({
      given: { secret: '/k/mok.key', certificate: '/k/mok.pub', present: 'both', enrollment: 'not-enrolled' },
    });
  });

  test('of DKMS is nobody’s business where unsigned modules are taken', async () => {
    expect((await look(KEY)).keys).toEqual({});
  });
});
