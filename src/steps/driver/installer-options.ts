import type { Argv } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import type { PresentPackage } from '../../facts/driver/driver-package.ts';
import { isAtLeast } from '../../formats/driver/run-header.ts';
import type { Signing } from './module-signing.ts';

/** Where nvidia-installer writes by itself, and where nvidia-bug-report.sh looks. */
export const INSTALLER_LOG = '/var/log/nvidia-installer.log';

/** The first nvidia-installer that knows an option (its option_table.h), for a package whose stub carries no help. */
const KNOWN_SINCE = {
  dkms: '304.22',
  'no-install-compat32-libs': '346.16',
  'no-install-libglvnd': '361.16',
  'no-rebuild-initramfs': '545.23.06',
  'kernel-module-build-directory': '470.42.01',
  'kernel-module-type': '555.42.02',
  'module-signing-secret-key': '319.12',
  'module-signing-public-key': '319.12',
} as const;

interface How {
  /** Where it is run from. */
  readonly path: string;
  readonly workshop: string;
  readonly signing: Signing;
  /** The libraries that all makers of graphics drivers share are those of the distribution. */
  readonly hasLibglvnd: boolean;
}

/**
 * An option that the package does not know ends the installation, so only known ones are given. The kind of kernel modules is
 * the installer's choice unless somebody asks for one, nouveau is never left to chance, and the initrd is rebuilt elsewhere, safely.
 */
export function installerArgv(given: Pick<PresentPackage, 'version' | 'options'>, config: Config, how: How): Argv {
  const { path, workshop, signing, hasLibglvnd } = how;
  const kind = config.driver.kernelModules;
  const keys = signing.is === 'by-installer' ? signing.key : undefined;
  const wanted: readonly (readonly [keyof typeof KNOWN_SINCE, string?] | undefined)[] = [
    config.driver.dkms ? ['dkms'] : undefined,
    ['no-install-compat32-libs'],
    // left to itself it gives up where it finds them in part, when the old driver is already gone
    hasLibglvnd ? ['no-install-libglvnd'] : undefined,
    ['no-rebuild-initramfs'],
    kind && isKnown('kernel-module-type') ? ['kernel-module-type', kind] : kind && ofFolder(kind),
    keys && ['module-signing-secret-key', keys.secret],
    keys && ['module-signing-public-key', keys.certificate],
  ];
  const known = wanted.flatMap(option => (option && isKnown(option[0]) ? [option] : []));
  const options = known.map(([name, value]) => (value === undefined ? `--${name}` : `--${name}=${value}`));
  // its wrapper sees the folder only when it is a word of its own
  return ['sh', path, '--silent', ...options, `--log-file-name=${INSTALLER_LOG}`, '--tmpdir', workshop];

  function isKnown(name: keyof typeof KNOWN_SINCE): boolean {
    return given.options ? given.options.has(name) : isAtLeast(given.version, KNOWN_SINCE[name]);
  }
}

/** How a kind is named to an installer that knows but the folders of the package. */
function ofFolder(kind: 'open' | 'proprietary') {
  return ['kernel-module-build-directory', kind === 'open' ? 'kernel-open' : 'kernel'] as const;
}
