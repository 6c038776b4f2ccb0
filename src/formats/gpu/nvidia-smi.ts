import { XMLParser } from 'fast-xml-parser';
import { messageOf } from '../../errors.ts';
import { formatPciAddress, parsePciAddress } from './pci-address.ts';

/** What `nvidia-smi -q -x` says of the driver and of each GPU. */
export interface SmiAnswer {
  readonly driverVersion: string;
  readonly gpus: readonly SmiGpu[];
}

export interface SmiGpu {
  /** As sysfs writes it, `0000:00:06.0`. */
  readonly address: string;
  readonly name: string;
  readonly uuid: string;
  readonly mode: 'none' | 'pass-through' | 'vgpu' | 'host-vgpu' | 'host-vsga' | 'unknown';
  /** undefined: no licensing section, so licensing does not apply to this driver on this GPU. */
  readonly license: SmiLicense | undefined;
  /** Each undefined: this driver says nothing of it. */
  readonly ecc?: SmiSetting;
  readonly mig?: SmiSetting & { readonly devices: number };
  /** Those that nvidia-smi sees; without root it sees its own person's. */
  readonly processes?: readonly SmiProcess[];
}

/** A setting that counts from the next start of the GPU on, in nvidia-smi's words: `Enabled`, `Disabled`, `N/A` (there is none). */
export interface SmiSetting {
  readonly current: string;
  readonly pending: string;
}

/** A program that uses the GPU. */
interface SmiProcess {
  readonly pid: number;
  /** It draws (type G or C+G). */
  readonly draws: boolean;
  /** As nvidia-smi prints it, mostly a path. */
  readonly name: string;
}

export interface SmiLicense {
  /** `grace`: unlicensed, still at full speed; `restricted`: unlicensed and slowed down. */
  readonly state: 'licensed' | 'grace' | 'restricted' | 'unlicensed' | 'not-required' | 'unknown';
  /** `NVIDIA RTX Virtual Workstation`; opaque. */
  readonly product: string | undefined;
  /** RFC 3339 UTC; undefined for permanent, N/A and unreadable. */
  readonly expiresAt: string | undefined;
  /** The value as it stands, `Licensed (Expiry: 2026-7-7 16:1:44 GMT)`. */
  readonly raw: string;
}

export type SmiReading =
  | ({ readonly is: 'read' } & SmiAnswer)
  /** `problem` goes on after `nvidia-smi -q -x`: `printed no XML`. */
  | { readonly is: 'unreadable'; readonly problem: string };

/** Reads the XML of `nvidia-smi -q -x`; lines before and after it, such as the infoROM warning, do no harm. */
export function parseNvidiaSmi(text: string): SmiReading {
  const start = text.indexOf(`<${ROOT}>`);
  const end = text.lastIndexOf(`</${ROOT}>`);
  if (start < 0) return unreadable(text.includes('<?xml') ? `printed XML without <${ROOT}>` : 'printed no XML');
  if (end < start) return unreadable(`printed XML that ends before </${ROOT}>`);
  try {
    const xml = PARSER.parse(text.slice(start, end + ROOT.length + 3), true) as { readonly [ROOT]: Node };
    const log = xml[ROOT];
    return {
      is: 'read',
      driverVersion: textAt(log, 'driver_version') ?? '',
      gpus: childrenOf(log, 'gpu').map(readGpu),
    };
  } catch (error) {
    return unreadable(`printed damaged XML: ${messageOf(error)}`);
  }
}

/**
 * The license.feature that a product stands for, by the names that NVIDIA has given them so far; undefined: another one. New drivers
 * bring new names (R595 renamed the compute product), so nothing but a hint may hang on it.
 */
export function featureOfProduct(product: string): 'vws' | 'compute' | 'vapps' | undefined {
  return PRODUCTS.find(([name]) => name.test(product))?.[1];
}

/**
 * Whether the name of a vGPU says that it has a part of the GPU (MIG) to itself: `GRID A100-1-5C`, `NVIDIA H100L-1-12C`, `GRID A100-1-5CME`, with
 * the number of slices before its memory; one that shares the GPU by time has the memory alone (`NVIDIA A10-4Q`).
 */
export function isMigProfile(name: string): boolean {
  return /-[1-7]-\d+[ABCQ](?:ME|GFX)?$/.test(name);
}

const PRODUCTS = [
  [/Virtual Workstation|Virtual Data ?center Workstation/i, 'vws'],
  [/Virtual Compute Server|vGPU for Compute/i, 'compute'],
  [/Virtual Applications/i, 'vapps'],
] as const;

const ROOT = 'nvidia_smi_log';
const PARSER = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  processEntities: false,
});

/** An element with children, or the text of one without. */
type Node = string | { readonly [name: string]: Node | readonly Node[] };

const MODES: Readonly<Record<string, SmiGpu['mode']>> = {
  none: 'none',
  'pass-through': 'pass-through',
  vgpu: 'vgpu',
  'host vgpu': 'host-vgpu',
  'host vsga': 'host-vsga',
};

function unreadable(problem: string): SmiReading {
  return { is: 'unreadable', problem };
}

function readGpu(gpu: Node): SmiGpu {
  const id = textAt(gpu, '@id') ?? '';
  const address = parsePciAddress(id);
  const [section] = SECTIONS.flatMap(name => childrenOf(gpu, name));
  const [ecc, mig] = [settingAt(gpu, 'ecc_mode', 'ecc'), settingAt(gpu, 'mig_mode', 'mig')];
  // without any there is the word None
  const devices = childrenOf(gpu, 'mig_devices').flatMap(list => childrenOf(list, 'mig_device')).length;
  const processes = childrenOf(gpu, 'processes').flatMap(list => childrenOf(list, 'process_info').flatMap(readProcess));
  return {
    address: address ? formatPciAddress(address) : id,
    name: textAt(gpu, 'product_name') ?? '',
    uuid: textAt(gpu, 'uuid') ?? '',
    mode: MODES[textAt(gpu, 'gpu_virtualization_mode', 'virtualization_mode')?.toLowerCase() ?? ''] ?? 'unknown',
    license: section === undefined ? undefined : readLicense(section),
    ...(ecc ? { ecc } : {}),
    ...(mig ? { mig: { ...mig, devices } } : {}),
    ...(processes.length > 0 ? { processes } : {}),
  };
}

/** `<ecc_mode><current_ecc>Enabled</current_ecc><pending_ecc>…`, and of that shape are others. */
function settingAt(gpu: Node, section: string, name: string): SmiSetting | undefined {
  const current = textAt(gpu, section, `current_${name}`);
  if (current === undefined) return undefined;
  return { current, pending: textAt(gpu, section, `pending_${name}`) ?? current };
}

function readProcess(process: Node): readonly SmiProcess[] {
  const pid = Number(textAt(process, 'pid'));
  if (!Number.isSafeInteger(pid)) return [];
  return [{ pid, draws: (textAt(process, 'type') ?? '').includes('G'), name: textAt(process, 'process_name') ?? '' }];
}

/** The second one is what drivers before R450 called it. */
const SECTIONS = ['vgpu_software_licensed_product', 'grid_licensed_product'];

function readLicense(section: Node): SmiLicense {
  const raw = textAt(section, 'license_status') ?? '';
  return {
    state: stateOf(raw),
    product: known(textAt(section, 'licensed_product_name')),
    expiresAt: expiryOf(raw),
    raw,
  };
}

/** NVML's states as nvidia-smi prints them; `Unlicensed` alone is all that old drivers say. */
function stateOf(raw: string): SmiLicense['state'] {
  if (/^Licensed\b/.test(raw)) return 'licensed';
  if (/^Unlicensed \(Unrestricted\)/.test(raw)) return 'grace';
  if (/^Unlicensed \(Restricted\)/.test(raw)) return 'restricted';
  if (/^Unlicensed\b/.test(raw)) return 'unlicensed';
  return raw === 'N/A' ? 'not-required' : 'unknown';
}

/** `2026-7-7 16:1:44 GMT`: never padded, always GMT. */
function expiryOf(raw: string): string | undefined {
  const fields = /\(Expiry: (\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+) GMT\)/.exec(raw)?.slice(1);
  if (!fields) return undefined;
  const [year = '', ...rest] = fields;
  const [month, day, hour, minute, second] = rest.map(field => field.padStart(2, '0'));
  const time = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const parsed = new Date(`${time}Z`);
  // 31 February would roll over into March
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString() === `${time}.000Z` ? `${time}Z` : undefined;
}

function known(value: string | undefined): string | undefined {
  return value === '' || value === 'N/A' ? undefined : value;
}

function childrenOf(node: Node, name: string): readonly Node[] {
  if (typeof node === 'string' || !Object.hasOwn(node, name)) return [];
  const child = node[name]!;
  return Array.isArray(child) ? child : [child as Node];
}

function textAt(node: Node, ...path: readonly string[]): string | undefined {
  const found = path.reduce<Node | undefined>((at, name) => (at === undefined ? at : childrenOf(at, name)[0]), node);
  return typeof found === 'string' ? found.trim() : undefined;
}
