import { basename } from 'node:path/posix';
import type { Config } from '../../config/schema.ts';
import {
  flavorOfName,
  parseRunHeader,
  RUN_HEADER_BYTES,
  type RunHeader,
  versionInFileName,
} from '../../formats/driver/run-header.ts';
import { isUrl, withoutSecrets } from '../../formats/url.ts';
import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';
import { isDriverInPlace } from './driver.ts';
import { PACKAGE_STORE } from './room.ts';

/** The .run package that the configuration names. */
export type DriverPackageFact =
  /** The configuration names none. */
  | { readonly is: 'not-asked-for' }
  /** Not there; `namedVersion` is what its file name says, a second witness only. */
  | { readonly is: 'missing'; readonly path: string; readonly namedVersion: string | undefined }
  /** Behind a URL, and not downloaded yet; what its name says, nobody has verified. */
  | {
      readonly is: 'remote';
      /** As it may be shown. */
      readonly url: string;
      /** Where it is kept, by its sha256. */
      readonly path: string;
      readonly namedVersion: string | undefined;
      readonly namedFlavor: RunHeader['flavor'] | undefined;
    }
  /** There, and not a package that this program knows; `because` says how that is seen. */
  | { readonly is: 'unreadable'; readonly path: string; readonly because: string }
  | PresentPackage;

export interface PresentPackage {
  readonly is: 'present';
  readonly path: string;
  /** `570.211.01`; from the header, never from the file name alone. */
  readonly version: string;
  /** `-grid` and its cloud variants, `-vgpu-kvm` and other host packages, or a plain data-center or desktop driver. */
  readonly flavor: 'guest' | 'host' | 'plain';
  /** `x86_64` or `aarch64`, from TARGET_ARCH. */
  readonly architecture: string;
  /** What the guest itself runs on, where that can be seen. */
  readonly guestArchitecture?: string;
  /** Option names that the package's own help lists, without dashes; undefined when its text carries no help. */
  readonly options: ReadonlySet<string> | undefined;
  readonly sizeBytes: number;
  /** What it needs when it is unpacked; undefined: its header does not say. */
  readonly unpackedBytes: number | undefined;
  /** What was seen when it was read through; undefined: it was not, because its driver is in place. */
  readonly content:
    | {
        readonly sha256: string;
        /** What its own MD5 and the given sha256 say; undefined: nothing to compare with. */
        readonly damage: string | 'none' | undefined;
        /** The file or folder that others than root can change; undefined: none. */
        readonly exposed: string | undefined;
      }
    | undefined;
}

export async function collectDriverPackage(look: Look): Promise<DriverPackageFact> {
  const { guest, config } = look;
  const named = config.driver.package;
  if (!named) return { is: 'not-asked-for' };
  const path = isUrl(named) ? storedPath(named, config.driver.sha256 ?? '') : named;
  const name = basename(path);
  const stat = await guest.stat(path);
  if (!stat && isUrl(named)) {
    const [namedVersion, namedFlavor] = [versionInFileName(name), flavorOfName(name)];
    return { is: 'remote', url: withoutSecrets(named), path, namedVersion, namedFlavor };
  }
  if (!stat) return { is: 'missing', path, namedVersion: versionInFileName(name) };
  if (stat.kind !== 'file') return { is: 'unreadable', path, because: 'it is not a file' };

  const header = parseRunHeader((await guest.readStart(path, RUN_HEADER_BYTES)) ?? '', name);
  if (header.is === 'something-else') return { is: 'unreadable', path, because: header.because };

  const { version, flavor, architecture, options, unpackedBytes } = header;
  const guestArchitecture = await architectureOf(guest);
  const [driver, smi, system] = await Promise.all([look.fact('driver'), look.fact('smi'), look.fact('system')]);
  const isNeeded = !isDriverInPlace(version, config, { driver, smi, system });
  return {
    is: 'present',
    path,
    version,
    flavor,
    architecture,
    ...(guestArchitecture ? { guestArchitecture } : {}),
    options,
    sizeBytes: stat.sizeBytes,
    unpackedBytes,
    content: isNeeded ? await lookInside(guest, path, header, config) : undefined,
  };
}

/** Where a package from a URL is kept: two of the same name are two packages. */
function storedPath(url: string, sha256: string): string {
  const last = new URL(url).pathname.split('/').at(-1) ?? '';
  const name = last.replace(/[^\w.+-]/g, '_');
  return `${PACKAGE_STORE}/${sha256.toLowerCase()}/${name.endsWith('.run') ? name : 'package.run'}`;
}

/** /proc/sys/kernel/arch is there since Linux 6.1. */
export async function architectureOf(guest: GuestView): Promise<string | undefined> {
  const told = (await guest.readText('/proc/sys/kernel/arch')) ?? (await guest.query(['uname', '-m'])).stdout;
  return told.trim() || undefined;
}

async function lookInside(
  guest: GuestView,
  path: string,
  { md5, sumsFromByte }: RunHeader,
  config: Config,
): Promise<PresentPackage['content']> {
  const [foundMd5, sha256, exposed] = await Promise.all([
    md5 ? guest.digest(path, 'md5', sumsFromByte) : undefined,
    guest.digest(path, 'sha256'),
    guest.exposure(path),
  ]);
  if (sha256 === undefined) return undefined;
  return { sha256, damage: damageOf({ md5, foundMd5 }, sha256, config.driver.sha256?.toLowerCase()), exposed };
}

function damageOf(
  { md5, foundMd5 }: { readonly md5: string | undefined; readonly foundMd5: string | undefined },
  sha256: string,
  wanted: string | undefined,
): string | undefined {
  if (md5 !== foundMd5) return `it is damaged or cut short: its header says MD5 ${md5}, its content has ${foundMd5}`;
  if (wanted && wanted !== sha256) return `its sha256 is ${sha256}, and driver.sha256 asks for ${wanted}`;
  return md5 || wanted ? 'none' : undefined;
}
