import { compareReleases } from '../../formats/driver/kernel-release.ts';
import { keyNumber } from '../../formats/driver/mokutil.ts';
import type { GuestView } from '../../guest/guest.ts';
import type { Facts, Look } from '../facts.ts';
import { hasBuildTree, isInstalled } from '../prerequisites.ts';
import { DKMS_TREE } from './dkms-tree.ts';

/** The kernels that can boot next, beside the running one. */
export interface KernelsFact {
  /** undefined: the next boot takes the running kernel, or nothing shows which one it takes. */
  readonly next: NextKernel | undefined;
}

export interface NextKernel {
  readonly release: string;
  /** By what it is seen that the next boot takes it. */
  readonly from: string;
  /** Its build tree is there. */
  readonly headers: boolean;
  /** Version of the module `nvidia` on disk for it. */
  readonly onDisk: string | undefined;
  /** Whose signature that module carries; undefined: none, or modinfo cannot tell. */
  readonly signer: string | undefined;
  /** The number of the key that it was signed with. */
  readonly signedWith: string | undefined;
  /** The log of a build for it that DKMS has given up; undefined: there is none. */
  readonly failedBuild: string | undefined;
}

const MODULES = '/lib/modules';
/** Red Hat's word on what the boot loader takes, whichever boot loader it is. */
const GRUBBY = ['grubby', '--default-kernel'] as const;
const GRUB_DEFAULTS = '/etc/default/grub';

export async function collectKernels({ guest, fact }: Look): Promise<KernelsFact> {
  const { kernel } = await fact('system');
  const next = (await byGrubby(guest)) ?? (await newest(guest, kernel));
  if (!next || next.release === kernel) return { next: undefined };
  const [headers, version, signer, sigKey, failedBuild] = await Promise.all([
    hasBuildTree(guest, next.release),
    fieldOf(guest, 'version', next.release),
    fieldOf(guest, 'signer', next.release),
    fieldOf(guest, 'sig_key', next.release),
    findFailedBuild(guest, next.release),
  ]);
  const onDisk = version && /^\d+(?:\.\d+)+$/.test(version) ? version : undefined;
  const signedWith = sigKey && keyNumber(sigKey);
  return { next: { ...next, headers, onDisk, signer, signedWith, failedBuild } };
}

/** The driver of the next boot is signed, and the firmware does not know the key: modules that came with the kernel have keys of its own. */
export function isSignedByStranger(
  next: NextKernel,
  { driver: { dkms }, secureBoot: { enrolled } }: Pick<Facts, 'driver' | 'secureBoot'>,
): boolean {
  if (!next.signedWith || !enrolled || enrolled.has(next.signedWith)) return false;
  return dkms?.some(({ version, kernel }) => version === next.onDisk && kernel === next.release) ?? false;
}

/** DKMS removes its build folder when it is done, and leaves it when it is not; its log begins with the kernel's name. */
async function findFailedBuild(guest: GuestView, release: string): Promise<string | undefined> {
  const logs = (await guest.list(DKMS_TREE)).map(version => `${DKMS_TREE}/${version}/build/make.log`);
  for (const log of logs) if ((await guest.readStart(log, 512))?.includes(` for kernel ${release} `)) return log;
  return undefined;
}

async function fieldOf(guest: GuestView, field: string, release: string): Promise<string | undefined> {
  const { code, stdout } = await guest.query(['modinfo', '-F', field, '-k', release, 'nvidia']);
  return code === 0 ? stdout.trim() || undefined : undefined;
}

async function byGrubby(guest: GuestView) {
  if (!(await isInstalled(guest, GRUBBY[0]))) return undefined;
  const { code, stdout } = await guest.query(GRUBBY);
  const release = /^\/boot\/(?:vmlinuz|Image)-(\S+)$/m.exec(stdout)?.[1];
  return code === 0 && release ? { release, from: GRUBBY.join(' ') } : undefined;
}

/** Boot loaders take the newest kernel unless somebody has told them otherwise, and then nobody but they knows. */
async function newest(guest: GuestView, running: string) {
  const defaults = (await guest.readText(GRUB_DEFAULTS)) ?? '';
  const chosen = /^\s*GRUB_DEFAULT=["']?([^"'\s]*)/m.exec(defaults)?.[1] ?? '0';
  if (chosen !== '0' && chosen !== 'saved') return undefined;
  const newer = (await guest.list(MODULES)).filter(release => compareReleases(release, running) > 0);
  const bootable = await Promise.all(
    newer.map(async release => ((await hasImage(guest, release)) ? release : undefined)),
  );
  const release = bootable
    .filter(each => each !== undefined)
    .toSorted(compareReleases)
    .at(-1);
  return release ? { release, from: `it is the newest kernel in ${MODULES} and /boot` } : undefined;
}

async function hasImage(guest: GuestView, release: string): Promise<boolean> {
  const places = [`/boot/vmlinuz-${release}`, `/boot/Image-${release}`, `${MODULES}/${release}/vmlinuz`];
  return (await Promise.all(places.map(path => guest.stat(path)))).some(Boolean);
}
