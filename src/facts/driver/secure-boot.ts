import { type KeyPair, parseFramework } from '../../formats/driver/dkms-framework.ts';
import { type Enrollment, parseSerialNumbers, parseTestKey } from '../../formats/driver/mokutil.ts';
import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';
import { frameworkTexts } from './dkms-framework.ts';

/** Whether the kernel takes unsigned modules, and what could sign them. */
export interface SecureBootFact {
  /** refuses: the kernel says so itself; unknown: Secure Boot is on, and the kernel does not show what it makes of it. */
  readonly unsigned: 'refused' | 'taken' | 'unknown';
  readonly evidence: readonly { readonly at: string; readonly shows: string }[];
  /** That of the configuration, and DKMS's own, which is not looked at where unsigned modules are taken. */
  readonly keys: { readonly given?: SigningKey; readonly dkms?: SigningKey };
  /** Numbers of the keys that the firmware knows; undefined: mokutil does not say, or nobody asks for signatures. */
  readonly enrolled: ReadonlySet<string> | undefined;
}

export interface SigningKey extends KeyPair {
  /** Which of the two files are there. */
  readonly present: 'both' | 'certificate-only' | 'secret-only' | 'neither';
  /** Whether the kernel will trust it; unknown: mokutil does not say. */
  readonly enrollment: Enrollment;
}

/** Named as evidence only where it is absent: such a guest has nowhere to enroll a key. */
export const EFI = '/sys/firmware/efi';
/** Four bytes of attributes, and then 1 for on (UEFI specification, 3.3). */
const VARIABLE = `${EFI}/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c`;
const SIG_ENFORCE = '/sys/module/module/parameters/sig_enforce';
const LOCKDOWN = '/sys/kernel/security/lockdown';
/** Ubuntu's DKMS signs with the key of shim-signed, every other one with its own. */
const UBUNTU_PAIR: KeyPair = {
  secret: '/var/lib/shim-signed/mok/MOK.priv',
  certificate: '/var/lib/shim-signed/mok/MOK.der',
};
const DKMS_PAIR: KeyPair = { secret: '/var/lib/dkms/mok.key', certificate: '/var/lib/dkms/mok.pub' };

export async function collectSecureBoot(look: Look): Promise<SecureBootFact> {
  const { guest } = look;
  const [enforce, lockdown, secureBoot] = await Promise.all([
    guest.readText(SIG_ENFORCE),
    guest.readText(LOCKDOWN),
    lookAtFirmware(guest),
  ]);
  const isLocked = /\[(?:integrity|confidentiality)\]/.test(lockdown ?? '');
  const evidence = [
    ...(enforce === undefined ? [] : [{ at: SIG_ENFORCE, shows: enforce.trim() }]),
    ...(lockdown === undefined ? [] : [{ at: LOCKDOWN, shows: lockdown.trim() }]),
    secureBoot.evidence,
  ];
  // a kernel without lockdown may have its maker's own way to heed Secure Boot
  const isTaken = lockdown !== undefined || !secureBoot.isOn;
  const unsigned = enforce?.trim() === 'Y' || isLocked ? 'refused' : isTaken ? 'taken' : 'unknown';
  const [keys, enrolled] = await Promise.all([
    lookAtKeys(look, unsigned),
    unsigned === 'taken' ? undefined : lookAtEnrolled(guest),
  ]);
  return { unsigned, evidence, keys, enrolled };
}

/** By the owner of the machine, and in the firmware itself. */
async function lookAtEnrolled(guest: GuestView): Promise<SecureBootFact['enrolled']> {
  const lists = await Promise.all(['--list-enrolled', '--db'].map(list => guest.query(['mokutil', list])));
  const numbers = lists.flatMap(({ stdout }) => [...parseSerialNumbers(stdout)]);
  return numbers.length > 0 ? new Set(numbers) : undefined;
}

async function lookAtFirmware(guest: GuestView) {
  const bytes = await guest.readStart(VARIABLE, 16).catch(() => undefined);
  if (bytes !== undefined && bytes.length > 4) {
    const isOn = bytes.charCodeAt(bytes.length - 1) === 1;
    return { evidence: { at: VARIABLE, shows: isOn ? 'Secure Boot is on' : 'Secure Boot is off' }, isOn };
  }
  if (!(await guest.stat(EFI))) {
    return { evidence: { at: EFI, shows: 'not there: this guest has no UEFI' }, isOn: false };
  }
  const { stdout, stderr } = await guest.query(['mokutil', '--sb-state']);
  const isOn = /^SecureBoot enabled$/m.test(stdout);
  return { evidence: { at: 'mokutil --sb-state', shows: (stdout || stderr).trim() || 'nothing' }, isOn };
}

async function lookAtKeys(
  { guest, config, fact }: Look,
  unsigned: SecureBootFact['unsigned'],
): Promise<SecureBootFact['keys']> {
  const { name, kernel } = await fact('system');
  const { signingKey, signingCertificate } = config.driver;
  const dkms = config.driver.dkms && unsigned !== 'taken';
  const given = signingKey && signingCertificate ? { secret: signingKey, certificate: signingCertificate } : undefined;
  const usual = name.startsWith('Ubuntu') ? UBUNTU_PAIR : DKMS_PAIR;
  const pair = dkms ? { ...usual, ...parseFramework(await frameworkTexts(guest), kernel) } : usual;
  return {
    ...(given ? { given: await lookAtKey(guest, given) } : {}),
    ...(dkms ? { dkms: await lookAtKey(guest, pair) } : {}),
  };
}

async function lookAtKey(guest: GuestView, pair: KeyPair): Promise<SigningKey> {
  const [secret, certificate] = await Promise.all([isThere(guest, pair.secret), isThere(guest, pair.certificate)]);
  const present = secret ? (certificate ? 'both' : 'secret-only') : certificate ? 'certificate-only' : 'neither';
  if (!certificate) return { ...pair, present, enrollment: 'unknown' };
  const { stdout, stderr } = await guest.query(['mokutil', '--test-key', pair.certificate]);
  return { ...pair, present, enrollment: parseTestKey(`${stdout}\n${stderr}`) };
}

async function isThere(guest: GuestView, path: string): Promise<boolean> {
  return path.startsWith('pkcs11:') || (await guest.stat(path))?.kind === 'file';
}
