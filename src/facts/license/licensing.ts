import type { Config } from '../../config/schema.ts';
import type { Facts } from '../facts.ts';

/** Whether the configuration asks for a license at all; a cloud image may bring one by itself. */
export function asksForLicense({ license }: Config): boolean {
  return license.token !== undefined || license.server !== undefined || license.feature !== 'auto';
}

/** Whether the GPU is a vGPU, and how that is known. nvidia-smi is asked first; the PCI bus answers before any driver does. */
export function virtualization({ smi, gpus }: Pick<Facts, 'smi' | 'gpus'>): {
  readonly mode: 'vgpu' | 'pass-through' | 'unknown';
  readonly evidence: string;
} {
  const said = smi.answers ? smi.gpus.map(({ mode }) => mode) : [];
  if (said.includes('vgpu')) return { mode: 'vgpu', evidence: 'nvidia-smi says VGPU' };
  if (said.includes('pass-through')) return { mode: 'pass-through', evidence: 'nvidia-smi says Pass-Through' };
  const seen = gpus.map(({ mode }) => mode);
  if (seen.includes('vgpu')) return { mode: 'vgpu', evidence: 'its PCI configuration space is that of a vGPU' };
  if (seen.includes('pass-through')) {
    return { mode: 'pass-through', evidence: 'its PCI configuration space is not that of a vGPU' };
  }
  return { mode: 'unknown', evidence: 'no GPU says what it is' };
}
