import { formatPciAddress, parseBusId } from '../../formats/gpu/pci-address.ts';
import { parseXorgConf, type XorgConf, type XorgScreen } from '../../formats/screen/xorg-conf.ts';
import type { XorgDevice } from '../../formats/screen/xorg-device.ts';
import { xorgUse } from '../../formats/screen/xorg-layout.ts';
import { type Position, sameXorgName } from '../../formats/screen/xorg-tokens.ts';
import type { Facts } from '../facts.ts';
import type { Gpu } from '../gpu/gpus.ts';
import type { XorgFact, XorgFile } from './xorg.ts';

/** A file of X's configuration, read. */
export interface ReadConf extends XorgFile {
  readonly conf: Extract<XorgConf, { is: 'parsed' }>;
}

/** A Device with the driver nvidia, and the Screen that it shows. */
export interface Place {
  readonly file: ReadConf;
  readonly device: XorgDevice;
  /** undefined: X makes one up. */
  readonly screen: { readonly file: ReadConf; readonly screen: XorgScreen } | undefined;
}

export type Places =
  | { readonly is: 'faulty'; readonly path: string; readonly fault: string }
  | { readonly is: 'read'; readonly files: readonly ReadConf[]; readonly places: readonly Place[] };

/** The nvidia Devices that X shows something on; without one, those that it takes along; without one, all there are. */
export function placesIn(xorg: ConfFiles): Places {
  // a file that is not about this GPU is not this program's matter
  const faulty = faultyFile(xorg, ({ text }) => /nvidia/i.test(text));
  if (faulty) return { is: 'faulty', ...faulty };
  const files = filesOf(xorg).flatMap(file => {
    const conf = parseXorgConf(file.text);
    return conf.is === 'parsed' ? [{ ...file, conf }] : [];
  });
  const { shown, beside } = xorgUse(files.map(file => file.conf));
  const all = files.flatMap(file => file.conf.devices.filter(isNvidia).map(device => ({ file, device })));
  const among = (devices: readonly XorgDevice[]) => all.filter(({ device }) => devices.includes(device));
  const ranks = [among(shown.map(({ device }) => device)), among(beside), all];
  const picked = ranks.find(found => found.length > 0) ?? [];
  // several Devices at one address are for one GPU
  const isLike = (place: { device: XorgDevice }) =>
    spotOf(place) !== undefined && picked.some(found => spotOf(found) === spotOf(place));
  const places = all
    .filter(place => picked.includes(place) || isLike(place))
    .map(place => {
      const screen = shown.find(({ device }) => device === place.device)?.screen;
      const file = screen && files.find(({ conf }) => conf.screens.includes(screen));
      return { ...place, screen: screen && file ? { file, screen } : undefined };
    });
  return { is: 'read', files, places };
}

type ConfFiles = Pick<XorgFact, 'dropIns' | 'conf'>;

function filesOf({ dropIns, conf }: ConfFiles): readonly XorgFile[] {
  return [...dropIns, ...(conf ? [conf] : [])];
}

/** The first file that X cannot read. It starts with none of them then, whatever that file is about. */
export function faultyFile(
  xorg: ConfFiles,
  among: (file: XorgFile) => boolean = () => true,
): { readonly path: string; readonly fault: string } | undefined {
  for (const file of filesOf(xorg).filter(among)) {
    const read = parseXorgConf(file.text);
    if (read.is === 'faulty') return { path: file.path, fault: `${read.problem} (${where(read.at)})` };
  }
  return undefined;
}

/** The address that a BusID means, however it is spelled, or its own text in quotes where it means none; undefined: there is none. */
export function spotOf({ device: { busId } }: Pick<Place, 'device'>): string | undefined {
  if (busId === undefined) return undefined;
  const address = parseBusId(busId);
  return address ? formatPciAddress(address) : `"${busId}"`;
}

/** Whether X finds this GPU by this Device. */
export function isAt(place: Place, gpu: Gpu): boolean {
  return spotOf(place) === gpu.address;
}

/** What is wrong with a Device that is at none of the GPUs that it may be at. */
export function complaint(place: Place, gpus: Facts['gpus']): string {
  const { busId } = place.device;
  if (busId === undefined) return `${nameOf(place)} has no BusID`;
  const finds = gpus.some(gpu => isAt(place, gpu))
    ? 'another NVIDIA GPU is'
    : parseBusId(busId)
      ? 'no NVIDIA GPU is'
      : 'X finds nothing';
  return `${nameOf(place)} has the BusID "${busId}", where ${finds}`;
}

export function nameOf({ file, device }: Pick<Place, 'file' | 'device'>): string {
  return `Device "${device.identifier}" of ${file.path}`;
}

export function where({ line, column }: Position): string {
  return `line ${line}, column ${column}`;
}

function isNvidia({ driver }: XorgDevice): boolean {
  return driver !== undefined && sameXorgName(driver, 'nvidia');
}
