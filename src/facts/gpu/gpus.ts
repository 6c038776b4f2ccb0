import { hasVgpuCapability, type VgpuHost, vgpuHost } from '../../formats/gpu/pci-config.ts';
import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';

/** An NVIDIA display function on the PCI bus, by sysfs alone: it is there before any driver is. */
export interface Gpu {
  /** As sysfs writes it: domain, bus, device and function in lower-case hex, `0000:00:06.0`. */
  readonly address: string;
  /** Four hex digits, `2335`. */
  readonly device: string;
  /** A VGA controller can own the console; a 3D controller has no display of its own. */
  readonly kind: 'vga' | '3d';
  /** The kernel driver that is bound, by the name sysfs gives it: `nvidia`, `nouveau`, `NovaCore`, … */
  readonly driver: string | undefined;
  /** undefined: the configuration space could not be read, which takes root. */
  readonly mode: 'vgpu' | 'pass-through' | undefined;
  /** The driver on the host, where the vGPU tells. */
  readonly host?: VgpuHost;
}

const PCI_DEVICES = '/sys/bus/pci/devices';
const NVIDIA = '0x10de';
/** Base class 03 is a display; its sub-classes 00 and 02 are what NVIDIA's GPUs are (the audio function is 0403). */
const KINDS: Readonly<Record<string, Gpu['kind']>> = { '0x0300': 'vga', '0x0302': '3d' };

export async function collectGpus({ guest }: Look): Promise<readonly Gpu[]> {
  const addresses = await guest.list(PCI_DEVICES);
  const found = await Promise.all(addresses.map(address => lookAt(guest, address)));
  return found.filter(gpu => gpu !== undefined);
}

async function lookAt(guest: GuestView, address: string): Promise<Gpu | undefined> {
  const at = `${PCI_DEVICES}/${address}`;
  if ((await guest.readText(`${at}/vendor`))?.trim() !== NVIDIA) return undefined;
  const [pciClass, device, driver, config] = await Promise.all([
    guest.readText(`${at}/class`),
    guest.readText(`${at}/device`),
    guest.readLink(`${at}/driver`),
    guest.readStart(`${at}/config`, 256),
  ]);
  const kind = KINDS[pciClass?.trim().slice(0, 6) ?? ''];
  if (!kind) return undefined;
  const space = Buffer.from(config ?? '', 'latin1');
  const [vgpu, host] = [hasVgpuCapability(space), vgpuHost(space)];
  return {
    address,
    device: device?.trim().replace(/^0x/, '') ?? '',
    kind,
    driver: driver?.split('/').at(-1),
    mode: vgpu === undefined ? undefined : vgpu ? 'vgpu' : 'pass-through',
    ...(host ? { host } : {}),
  };
}
