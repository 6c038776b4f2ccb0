import type { DkmsEntry } from '../formats/dkms-status.ts';
import type { Look } from './facts.ts';

/** The NVIDIA driver as it lies on disk, as DKMS knows it and as the kernel has it. */
export interface DriverFact {
  /** Version in /var/lib/nvidia/log: a .run package is installed. */
  readonly installed: string | undefined;
  /** Version of the module `nvidia` on disk for the running kernel. */
  readonly onDisk: string | undefined;
  /** Version of the module `nvidia` in memory. */
  readonly loaded: string | undefined;
  /** What DKMS knows of `nvidia`; undefined when there is no DKMS. */
  readonly dkms: readonly DkmsEntry[] | undefined;
}

export async function collectDriver(_look: Look): Promise<DriverFact> {
  throw new Error('not written yet');
}
