import type { Look } from './facts.ts';

/** What `nvidia-smi -q -x` says: the last word on driver, virtualization mode and license. */
export type SmiFact =
  /** `problem`: its own words, or that there is no such program; `code` is its exit code (127: absent). */
  | { readonly answers: false; readonly problem: string; readonly code: number }
  | { readonly answers: true; readonly driverVersion: string; readonly gpus: readonly SmiGpu[] };

export interface SmiGpu {
  /** As sysfs writes it, `0000:00:06.0`. */
  readonly address: string;
  readonly name: string;
  readonly uuid: string;
  readonly mode: 'none' | 'pass-through' | 'vgpu' | 'host-vgpu' | 'host-vsga' | 'unknown';
  /** undefined: no licensing section, so licensing does not apply to this driver on this GPU. */
  readonly license: SmiLicense | undefined;
}

export interface SmiLicense {
  readonly state: 'licensed' | 'grace' | 'restricted' | 'unlicensed' | 'not-required' | 'unknown';
  /** `NVIDIA RTX Virtual Workstation`; opaque. */
  readonly product: string | undefined;
  /** RFC 3339 UTC; undefined for permanent, N/A and unreadable. */
  readonly expiresAt: string | undefined;
  /** The value as it stands, `Licensed (Expiry: 2026-7-7 16:1:44 GMT)`. */
  readonly raw: string;
}

export async function collectSmi(_look: Look): Promise<SmiFact> {
  throw new Error('not written yet');
}
