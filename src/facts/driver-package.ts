import { basename } from 'node:path/posix';
import type { Config } from '../config/schema.ts';
import { parseRunHeader, RUN_HEADER_BYTES, type RunHeader, versionInFileName } from '../formats/run-header.ts';
import type { GuestView } from '../guest/guest.ts';
import { isDriverInPlace } from './driver.ts';
import type { Look } from './facts.ts';

/** The .run package that the configuration names. */
export type DriverPackageFact =
  /** The configuration names none. */
  | { readonly is: 'not-asked-for' }
  /** Not there; `namedVersion` is what its file name says, a second witness only. */
  | { readonly is: 'missing'; readonly path: string; readonly namedVersion: string | undefined }
  /** There, and not a package that this program knows; `because` says how that is seen. */
  | { readonly is: 'unreadable'; readonly path: string; readonly because: string }
  | {
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
      /** What its own MD5 and the given sha256 say; undefined: nothing to compare with, or not looked at because its driver is in place. */
      readonly damage: string | 'none' | undefined;
      /** Only there when /tmp, where the package unpacks itself, has less room than it needs. */
      readonly lacksRoom?: { readonly neededBytes: number; readonly freeBytes: number };
    };

/** The wrapper unpacks below $TMPDIR, which a deed's environment does not have, or else here. */
const UNPACKED_IN = '/tmp';

export async function collectDriverPackage(look: Look): Promise<DriverPackageFact> {
  const { guest, config } = look;
  const path = config.driver.package;
  if (!path) return { is: 'not-asked-for' };
  const stat = await guest.stat(path);
  if (!stat) return { is: 'missing', path, namedVersion: versionInFileName(basename(path)) };
  if (stat.kind !== 'file') return { is: 'unreadable', path, because: 'it is not a file' };

  const header = parseRunHeader((await guest.readStart(path, RUN_HEADER_BYTES)) ?? '', basename(path));
  if (header.is === 'something-else') return { is: 'unreadable', path, because: header.because };

  const { version, flavor, architecture, options } = header;
  const guestArchitecture = await architectureOf(guest);
  const present = { is: 'present', path, version, flavor, architecture, options, damage: undefined } as const;
  const known = guestArchitecture ? { ...present, guestArchitecture } : present;
  const [driver, smi, system] = await Promise.all([look.fact('driver'), look.fact('smi'), look.fact('system')]);
  if (isDriverInPlace(version, config, { driver, smi, system })) return known;

  const [damage, lacksRoom] = await Promise.all([damageOf(guest, path, header, config), roomFor(guest, header)]);
  return { ...known, damage, ...(lacksRoom ? { lacksRoom } : {}) };
}

/** /proc/sys/kernel/arch is there since Linux 6.1. */
async function architectureOf(guest: GuestView): Promise<string | undefined> {
  const told = (await guest.readText('/proc/sys/kernel/arch')) ?? (await guest.query(['uname', '-m'])).stdout;
  return told.trim() || undefined;
}

async function damageOf(guest: GuestView, path: string, header: RunHeader, config: Config) {
  const { md5, sumsFromByte } = header;
  const sha256 = config.driver.sha256?.toLowerCase();
  const [foundMd5, foundSha256] = await Promise.all([
    md5 ? guest.digest(path, 'md5', sumsFromByte) : undefined,
    sha256 ? guest.digest(path, 'sha256') : undefined,
  ]);
  if (md5 !== foundMd5) return `it is damaged or cut short: its header says MD5 ${md5}, its content has ${foundMd5}`;
  if (sha256 !== foundSha256) return `its sha256 is ${foundSha256}, and driver.sha256 asks for ${sha256}`;
  return md5 || sha256 ? 'none' : undefined;
}

async function roomFor(guest: GuestView, { unpackedBytes: neededBytes }: RunHeader) {
  const freeBytes = await guest.freeBytes(UNPACKED_IN);
  if (neededBytes === undefined || freeBytes === undefined || freeBytes >= neededBytes) return undefined;
  return { neededBytes, freeBytes };
}
