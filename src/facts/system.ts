import { parseOsRelease } from '../formats/os-release.ts';
import type { Look } from './facts.ts';
import { FAMILIES, type Family } from './families.ts';

/** Which system this is, and whether it can be changed. */
export interface SystemFact {
  readonly name: string;
  readonly version: string;
  /** undefined: a distribution that this program does not know. */
  readonly family: Family | undefined;
  /** The running kernel's release, as `uname -r` prints it. */
  readonly kernel: string;
  readonly bootId: string;
  /** Why nothing can be installed here, with what would have to be run instead. */
  readonly readOnly: { readonly because: string; readonly remedy: string } | undefined;
  /** Microseconds since 1970 at which the guest was looked at. */
  readonly nowUs: number;
}

export async function collectSystem({ guest }: Look): Promise<SystemFact> {
  const [etc, usr, kernel, bootId, mounts, transactional, ostree] = await Promise.all([
    guest.readText('/etc/os-release'),
    guest.readText('/usr/lib/os-release'),
    guest.readText('/proc/sys/kernel/osrelease'),
    guest.readText('/proc/sys/kernel/random/boot_id'),
    guest.readText('/proc/self/mounts'),
    guest.stat('/usr/sbin/transactional-update'),
    guest.stat('/run/ostree-booted'),
  ]);
  const release = parseOsRelease(etc ?? usr ?? '');
  return {
    name: release.name || 'an unknown distribution',
    version: release.version,
    family: FAMILIES.find(family => release.ids.some(id => family.ids.includes(id))),
    kernel: kernel?.trim() ?? '',
    bootId: bootId?.trim() ?? '',
    readOnly: readOnly(isReadOnly(mounts ?? '', '/') || isReadOnly(mounts ?? '', '/usr'), !!transactional, !!ostree),
    nowUs: guest.nowUs(),
  };
}

/** The last line of a mount point is the mount that counts. */
function isReadOnly(mounts: string, point: string): boolean {
  const options = mounts
    .split('\n')
    .map(line => line.split(' '))
    .findLast(fields => fields[1] === point)?.[3];
  return options?.split(',').includes('ro') ?? false;
}

function readOnly(mounted: boolean, transactional: boolean, ostree: boolean): SystemFact['readOnly'] {
  if (ostree) {
    return {
      because: 'this is an ostree system: its /usr is an image, and a .run driver cannot be installed into it',
      remedy: 'build the driver into the image (rpm-ostree, bootc), or use a guest with a writable /usr',
    };
  }
  if (!mounted) return undefined;
  if (transactional) {
    return {
      because: 'the root is a read-only snapshot (transactional-update)',
      remedy:
        'run it in a new snapshot: transactional-update run vgpu-guest apply --reboot-exit-code 0 (a snapshot is only kept after exit code 0), then reboot into it',
    };
  }
  return {
    because: '/ or /usr is mounted read-only',
    remedy: 'remount it writable (mount -o remount,rw /) and find out why it was not',
  };
}
