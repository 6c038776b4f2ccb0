import { blocked, type Change, due, settled, type Verdict } from '../change.ts';
import type { Gpu } from '../facts/gpus.ts';
import { XORG_CONF, type XorgFile } from '../facts/xorg.ts';
import { formatBusId, formatPciAddress, parseBusId, parsePciAddress } from '../formats/pci-address.ts';
import {
  minimalXorgConf,
  type Position,
  parseXorgConf,
  sameXorgName,
  setBusId,
  type XorgDevice,
} from '../formats/xorg-conf.ts';
import { defineStep } from './step.ts';

/** Without a BusID X takes the primary display for the GPU, which in a guest may be the hypervisor's emulated one. */
export const patchXorg = defineStep({
  id: 'patch-xorg',
  title: 'Tell the X server where the GPU is',
  reads: ['gpus', 'xorg'],
  judge(config, { gpus, xorg }) {
    const { manage } = config.xorg;
    if (manage === 'never') return settled('the configuration of X is left alone (xorg.manage: never)');
    if (gpus.length === 0) return settled('no NVIDIA GPU is on the PCI bus, so there is no BusID to write');

    const files = [...xorg.dropIns, ...(xorg.conf ? [xorg.conf] : [])].map(readConf);
    const faulty = files.find(file => file.fault);
    if (faulty) return blocked(`X cannot read ${faulty.path}: ${faulty.fault}`, `correct ${faulty.path}, ${OR_NEVER}`);

    const places = files.flatMap(file => file.devices.map(device => ({ file, device })));
    if (places.length === 0) return manage === 'always' ? create(xorg.conf, gpus) : settled(NOTHING_TO_PATCH);
    const astray = places.filter(({ device }) => !gpus.some(gpu => isAt(device, gpu)));
    if (astray.length === 0)
      return settled(`the BusID of ${places.map(nameOf).join(' and of ')} is that of an NVIDIA GPU`);

    // several Devices with one BusID are several screens of one GPU; otherwise nothing says which GPU is whose
    const meant = new Set(places.map(({ device }) => device.busId ?? device));
    if (gpus.length > 1 || meant.size > 1) return ambiguous(astray, gpus);
    return astray.map(refusal).find(verdict => verdict !== undefined) ?? patch(astray, gpus[0]!);
  },
});

interface ReadConf extends XorgFile {
  /** The Devices with the driver nvidia. */
  readonly devices: readonly XorgDevice[];
  readonly fault?: string;
  readonly unclosedQuote?: Position | undefined;
}

interface Place {
  readonly file: ReadConf;
  readonly device: XorgDevice;
}

const NOTHING_TO_PATCH = 'no configuration of X has an nvidia Device; X finds the GPU by itself';
const OR_NEVER = 'or set xorg.manage: never in /etc/vgpu-guest/config.yaml';
const OR_AUTO = 'or set xorg.manage: auto in /etc/vgpu-guest/config.yaml';

function readConf(file: XorgFile): ReadConf {
  const conf = parseXorgConf(file.text);
  if (conf.is === 'parsed') {
    const devices = conf.devices.filter(({ driver }) => driver !== undefined && sameXorgName(driver, 'nvidia'));
    return { ...file, devices, unclosedQuote: conf.unclosedQuote };
  }
  // a file that is not about this GPU is not this step's matter
  return /nvidia/i.test(file.text)
    ? { ...file, devices: [], fault: `${conf.problem} (${where(conf.at)})` }
    : { ...file, devices: [] };
}

function isAt({ busId }: XorgDevice, gpu: Gpu): boolean {
  const address = parseBusId(busId ?? '');
  return address !== undefined && formatPciAddress(address) === gpu.address;
}

function create(conf: XorgFile | undefined, gpus: readonly Gpu[]): Verdict {
  if (conf) {
    const because = `${conf.path} has no nvidia Device, and only a missing xorg.conf can be created`;
    return blocked(because, `give ${conf.path} a Device with Driver "nvidia", move it away, ${OR_AUTO}`);
  }
  if (gpus.length > 1) {
    const because = `${XORG_CONF} is missing, and which of ${gpus.length} NVIDIA GPUs it is for is not said`;
    return blocked(because, `write it with a Device for ${choices(gpus)}, ${OR_AUTO}`);
  }
  const because = `there is no ${XORG_CONF}, and xorg.manage is always`;
  return due({ kind: 'write', path: XORG_CONF, text: minimalXorgConf(busIdOf(gpus[0]!)), mode: 0o644, because });
}

function ambiguous(astray: readonly Place[], gpus: readonly Gpu[]): Verdict {
  const devices = astray.map(nameOf).join(' and ');
  return blocked(
    `${astray.map(complaint).join(' and ')}, and which GPU is meant cannot be told`,
    `set the BusID of ${devices} to ${choices(gpus)}, remove a Device that is not needed, ${OR_NEVER}`,
  );
}

/** Why somebody else must change this Device's file. */
function refusal(place: Place): Verdict | undefined {
  const { path, text, unclosedQuote } = place.file;
  // X reads both folders in full: a copy in /etc would not take the place of the package's file
  if (/^\/usr\/(?!local\/)/.test(path)) {
    return blocked(
      `${complaint(place)}, and that file belongs to a package`,
      `move it into /etc/X11/xorg.conf.d and run this again, ${OR_NEVER}`,
    );
  }
  if (unclosedQuote) {
    return blocked(
      `${complaint(place)}, and a quote is not closed (${where(unclosedQuote)})`,
      `close the quote in ${path}, ${OR_NEVER}`,
    );
  }
  if (text.includes('\uFFFD')) {
    return blocked(
      `${complaint(place)}, and that file is not UTF-8, so that writing it would change more than this`,
      `set the BusID by hand, convert the file (iconv -f latin1 -t utf-8), ${OR_NEVER}`,
    );
  }
  return undefined;
}

function patch(astray: readonly Place[], gpu: Gpu): Verdict {
  const [first, ...rest] = Map.groupBy(astray, ({ file }) => file);
  const change = ([file, places]: [ReadConf, Place[]]): Change => ({
    kind: 'write',
    path: file.path,
    // from the last to the first, so that the offsets of those before stay true
    text: places.reduceRight((text, { device }) => setBusId(text, device, busIdOf(gpu)), file.text),
    because: `${places.map(complaint).join(' and ')}, and the GPU is at ${gpu.address}`,
  });
  return due(change(first!), ...rest.map(change));
}

function complaint({ file, device }: Place): string {
  const name = nameOf({ file, device });
  if (device.busId === undefined) return `${name} has no BusID`;
  return `${name} has the BusID "${device.busId}", where ${parseBusId(device.busId) ? 'no NVIDIA GPU is' : 'X finds nothing'}`;
}

function nameOf({ file, device }: Place): string {
  return `Device "${device.identifier}" of ${file.path}`;
}

function where({ line, column }: Position): string {
  return `line ${line}, column ${column}`;
}

function choices(gpus: readonly Gpu[]): string {
  return gpus.map(gpu => `${busIdOf(gpu)} (${gpu.address})`).join(' or ');
}

function busIdOf(gpu: Gpu): string {
  return formatBusId(parsePciAddress(gpu.address)!);
}
