import type { Config } from '../../config/schema.ts';
import { formatBusId, formatPciAddress, parsePciAddress } from '../../formats/gpu/pci-address.ts';
import type { Facts } from '../facts.ts';
import type { Gpu } from './gpus.ts';

/** Which GPU `xorg.gpu` means. */
export type Choice =
  /** It is not set. */
  | { readonly is: 'none' }
  | { readonly is: 'chosen'; readonly gpu: Gpu }
  /** nvidia-smi knows indexes and UUIDs, and does not answer. */
  | { readonly is: 'unseen'; readonly because: string }
  | { readonly is: 'missing'; readonly because: string };

type Seen = Pick<Facts, 'gpus' | 'smi'>;

/** An address by the bus alone; an index and a UUID by nvidia-smi, which gives them. */
export function whichGpu({ xorg }: Config, { gpus, smi }: Seen): Choice {
  const wanted = xorg.gpu;
  if (wanted === undefined) return { is: 'none' };
  const address = parsePciAddress(wanted);
  if (address) return at(formatPciAddress(address));
  if (!smi.answers) return { is: 'unseen', because: smi.problem };
  const answer = /^\d+$/.test(wanted)
    ? smi.gpus[Number(wanted)]
    : smi.gpus.find(({ uuid }) => uuid.toLowerCase() === wanted.toLowerCase());
  return answer ? at(answer.address) : { is: 'missing', because: `nvidia-smi shows no GPU ${wanted}` };

  function at(where: string): Choice {
    const gpu = gpus.find(found => found.address === where);
    return gpu ? { is: 'chosen', gpu } : { is: 'missing', because: `no NVIDIA GPU is at ${where}` };
  }
}

/** `0000:00:06.0 (PCI:0:6:0, index 0, NVIDIA A16-4Q, GPU-…)`, for a person to choose from. */
export function choices({ gpus, smi }: Seen): string {
  return gpus.map(gpu => `${gpu.address} (${[busIdOf(gpu), ...namesOf(gpu, smi)].join(', ')})`).join(' or ');
}

export function busIdOf({ address }: Pick<Gpu, 'address'>): string {
  return formatBusId(parsePciAddress(address)!);
}

function namesOf({ address }: Gpu, smi: Facts['smi']): readonly string[] {
  const index = smi.answers ? smi.gpus.findIndex(answer => answer.address === address) : -1;
  if (!smi.answers || index < 0) return [];
  const { name, uuid } = smi.gpus[index]!;
  return [`index ${index}`, name, uuid].filter(Boolean);
}
