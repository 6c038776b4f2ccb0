import { blocked, type Verdict } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import { EFI, type SigningKey } from '../../facts/driver/secure-boot.ts';
import type { Facts } from '../../facts/facts.ts';
import type { KeyPair } from '../../formats/driver/dkms-framework.ts';
import { isAtLeast } from '../../formats/driver/run-header.ts';

/** Who signs the kernel modules. */
export type Signing =
  | { readonly is: 'not-needed' }
  | { readonly is: 'by-installer'; readonly key: KeyPair; readonly warning?: string }
  | { readonly is: 'by-dkms' }
  | { readonly is: 'impossible'; readonly verdict: Verdict };

/** From here on the installer builds and tries the modules itself, before DKMS gets them; until then DKMS builds and signs. */
const INSTALLER_BUILDS_SINCE = '520.56.06';
const SECURE_BOOT_OFF = 'or turn Secure Boot off for this guest on the host';

/** For the modules that a package brings: they are tried before anything is installed, so they have to be signed by then. */
export function signingOfPackage(config: Config, seen: Pick<Facts, 'secureBoot'>, version: string): Signing {
  const { unsigned, keys } = seen.secureBoot;
  if (config.driver.dkms && !isAtLeast(version, INSTALLER_BUILDS_SINCE)) return signingOfDkms(seen);
  const key = keys.given ?? keys.dkms;
  if (unsigned === 'taken')
    return keys.given?.present === 'both' ? { is: 'by-installer', key: keys.given } : NOT_NEEDED;
  if (!key)
    return impossible(seen, 'no key is named to sign the modules with', `${MAKE_AND_NAME_A_KEY}; ${SECURE_BOOT_OFF}`);
  const fault = faultOf(key, keys.given ? 'named' : 'found');
  if (fault) return impossible(seen, fault.because, fault.remedy);
  const warning = keys.given && keys.dkms ? warningOfDkms(keys.given, keys.dkms) : undefined;
  return { is: 'by-installer', key, ...(warning ? { warning } : {}) };
}

/** For the modules that DKMS builds, which it signs with a key of its own choice. */
export function signingOfDkms(seen: Pick<Facts, 'secureBoot'>): Signing {
  const { unsigned, keys } = seen.secureBoot;
  if (unsigned === 'taken') return NOT_NEEDED;
  const fault = keys.dkms && faultOf(keys.dkms, 'found');
  return fault ? impossible(seen, fault.because, fault.remedy) : { is: 'by-dkms' };
}

const NOT_NEEDED: Signing = { is: 'not-needed' };
const MAKE_AND_NAME_A_KEY =
  'make a key pair, enroll its certificate (mokutil --import), and name both in driver.signingKey and driver.signingCertificate';

/** Without UEFI it is the kernel's command line, or its maker, that asks for signatures, and no key can be enrolled. */
const WITHOUT_UEFI =
  'take module.sig_enforce and lockdown= off the kernel command line and reboot; or, where the kernel trusts a key of yours, name it in driver.signingKey and driver.signingCertificate';

function impossible({ secureBoot }: Pick<Facts, 'secureBoot'>, because: string, remedy: string): Signing {
  const shown = secureBoot.evidence.map(({ at, shows }) => `${at}: ${shows}`).join('; ');
  const kernel =
    secureBoot.unsigned === 'refused'
      ? 'this kernel loads signed modules only'
      : 'Secure Boot is on, and this kernel may load signed modules only';
  const canFollow = secureBoot.keys.given !== undefined || !secureBoot.evidence.some(({ at }) => at === EFI);
  return {
    is: 'impossible',
    verdict: blocked(`${kernel} (${shown}), and ${because}`, canFollow ? remedy : WITHOUT_UEFI),
  };
}

function faultOf(key: SigningKey, how: 'named' | 'found') {
  const { secret, certificate, present, enrollment } = key;
  if (present !== 'both') {
    const lacking = {
      neither: `${secret} and ${certificate} are`,
      'certificate-only': `${secret} is`,
      'secret-only': `${certificate} is`,
    };
    return { because: `${lacking[present]} not there to sign them with`, remedy: remedyForMissing(key, how) };
  }
  if (how === 'found' && secret.startsWith('pkcs11:')) {
    return { because: `DKMS's key is no file (${secret})`, remedy: MAKE_AND_NAME_A_KEY };
  }
  switch (enrollment) {
    case 'enrolled':
      return undefined;
    case 'requested':
      return {
        because: `${certificate} is not enrolled yet`,
        remedy: `reboot, and on the guest's console choose "Enroll MOK" and give the password of mokutil --import; then run vgpu-guest apply again; ${SECURE_BOOT_OFF}`,
      };
    case 'not-enrolled':
      return { because: `${certificate} is not enrolled`, remedy: `${enroll(certificate)}; ${SECURE_BOOT_OFF}` };
    case 'blocked':
      return { because: `${certificate} is on the list of keys that are not trusted`, remedy: MAKE_AND_NAME_A_KEY };
    case 'unknown':
      if (how === 'named') return undefined; // whoever names a key may know more than mokutil does
      return {
        because: `nothing says whether ${certificate} is enrolled`,
        remedy: `install mokutil, and run vgpu-guest apply again; ${SECURE_BOOT_OFF}`,
      };
  }
}

function remedyForMissing({ secret, certificate }: KeyPair, how: 'named' | 'found'): string {
  if (how === 'named')
    return 'copy the key and its certificate there, or correct driver.signingKey and driver.signingCertificate';
  const folder = secret.slice(0, secret.lastIndexOf('/'));
  const make = secret.startsWith('/var/lib/shim-signed/')
    ? 'update-secureboot-policy --new-key'
    : `mkdir -p ${folder} && openssl req -new -x509 -nodes -days 36500 -newkey rsa:2048 -subj "/CN=DKMS module signing key/" -keyout ${secret} -outform DER -out ${certificate} && chmod 600 ${secret}`;
  return `${make}, then ${enroll(certificate)}; ${SECURE_BOOT_OFF}`;
}

function enroll(certificate: string): string {
  return `mokutil --import ${certificate} (it asks for a new password), reboot, on the guest's console choose "Enroll MOK" and give that password, and run vgpu-guest apply again`;
}

/** The modules of today are signed with one key, and those of the next kernel update with another one. */
function warningOfDkms(given: SigningKey, dkms: SigningKey): string | undefined {
  if (dkms.secret === given.secret || dkms.enrollment === 'enrolled') return undefined;
  return `after a kernel update DKMS signs with ${dkms.secret}, which is not known to be enrolled: name your key in /etc/dkms/framework.conf (mok_signing_key="${given.secret}", mok_certificate="${given.certificate}")`;
}
