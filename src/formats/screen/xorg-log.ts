import { formatPciAddress, parseBusId } from '../gpu/pci-address.ts';

/** What an X server says in its log of the devices that it shows something on. */
export interface XorgLog {
  /** GPUs that NVIDIA's driver has taken, as sysfs writes their addresses. */
  readonly gpus: readonly string[];
  /** Drivers that show a screen, as they call themselves: `NVIDIA`, `modeset`, `FBDEV`. */
  readonly drivers: readonly string[];
  /** Lines with (EE), without their times; the legend and the empty ones are left out. */
  readonly errors: readonly string[];
  /** It has ended by itself because it could not go on. */
  readonly fatal: boolean;
}

/** Reads `Xorg.0.log`, whole or its last part. */
export function parseXorgLog(text: string): XorgLog {
  const lines = text.split('\n').map(line => line.replace(/^\[ *[\d.]+\] /, '').trimEnd());
  return {
    gpus: unique(lines.flatMap(line => addressOf(line) ?? [])),
    drivers: unique(lines.flatMap(line => SCREEN_LINE.exec(line)?.[1] ?? [])),
    errors: unique(lines.filter(line => /^\(EE\) \S/.test(line))),
    fatal: lines.some(line => /^Fatal server error:|^\(EE\) Server terminated with error/.test(line)),
  };
}

/** `(II) NVIDIA(0): NVIDIA GPU NVIDIA A16-4Q (GA107GL-A) at PCI:2:1:0 (GPU-0)` */
function addressOf(line: string): string | undefined {
  const busId = /^\(II\) NVIDIA\(.*\): NVIDIA GPU .* at (PCI:[\d@:]+)/.exec(line)?.[1];
  const address = busId === undefined ? undefined : parseBusId(busId);
  return address && formatPciAddress(address);
}

/** A driver's name and the number of its screen. */
const SCREEN_LINE = /^\((?:II|--|\*\*|==)\) ([A-Za-z][A-Za-z\d]*)\(\d+\): /;

function unique(values: readonly string[]): readonly string[] {
  return [...new Set(values)];
}
