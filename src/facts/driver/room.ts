import { mountOf } from '../../formats/mounts.ts';
import type { Look } from '../facts.ts';

/** Room for a driver: where its package can be unpacked and built, and where its files go. */
export interface RoomFact {
  /** Private folders of this program, the one that is taken first in front. */
  readonly workshops: readonly Place[];
  /** Where the driver's files go. */
  readonly system: Place;
  /** Where the CUDA toolkit's files go. */
  readonly local: Place;
  /** Where this program keeps a package. */
  readonly store: Place;
}

export interface Place {
  readonly path: string;
  /** undefined: it cannot be seen. */
  readonly freeBytes: number | undefined;
  /** Places of the same mount share their room; undefined: it cannot be seen. */
  readonly mount: string | undefined;
  /** Nothing that lies here can be run. */
  readonly noexec: boolean;
}

/**
 * A package unpacks itself under a name that can be foreseen, and runs as root what lies there: /tmp and /var/tmp, where anybody can
 * make that name first, are no place for it. Systems that follow hardening guides let nothing be run below /var.
 */
export const WORKSHOPS = ['/var/lib/vgpu-guest/unpacked', '/root/.vgpu-guest-unpacked'];
export const PACKAGE_STORE = '/var/lib/vgpu-guest/packages';
const SYSTEM = '/usr';
const LOCAL = '/usr/local';

export async function collectRoom({ guest }: Look): Promise<RoomFact> {
  const mounts = (await guest.readText('/proc/self/mounts')) ?? '';
  const look = async (path: string): Promise<Place> => {
    const mount = mountOf(path, mounts);
    return {
      path,
      freeBytes: await freeBytesFor(path),
      mount: mount?.point,
      noexec: mount?.options.has('noexec') ?? false,
    };
  };
  const [system, local, store, ...workshops] = await Promise.all(
    [SYSTEM, LOCAL, PACKAGE_STORE, ...WORKSHOPS].map(look),
  );
  return { workshops, system: system as Place, local: local as Place, store: store as Place };

  /** Of the first folder above that is there. */
  async function freeBytesFor(path: string): Promise<number | undefined> {
    for (let folder = path; folder !== ''; folder = folder.slice(0, folder.lastIndexOf('/'))) {
      const free = await guest.freeBytes(folder);
      if (free !== undefined) return free;
    }
    return await guest.freeBytes('/');
  }
}
