/** Where a PCI function sits. */
export interface PciAddress {
  readonly domain: number;
  readonly bus: number;
  readonly device: number;
  readonly function: number;
}

/**
 * An address in hex: sysfs `0000:3b:1f.0` (`10000:e1:00.0` behind VMD), lspci `00:0a.0`, nvidia-smi `00000000:00:0A.0`.
 * undefined: no such address.
 */
export function parsePciAddress(text: string): PciAddress | undefined {
  const found = /^(?:([\da-f]{4,8}):)?([\da-f]{2}):([01][\da-f])\.([0-7])$/i.exec(text.trim());
  if (!found) return undefined;
  const [domain, bus, device, fn] = found.slice(1).map(digits => Number.parseInt(digits ?? '0', 16));
  return { domain: domain!, bus: bus!, device: device!, function: fn! };
}

/** As sysfs names it: lower case, at least four digits of domain, `0000:3b:1f.0`. */
export function formatPciAddress({ domain, bus, device, function: fn }: PciAddress): string {
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(device, 2)}.${fn}`;
}

/**
 * What X makes of a BusID, decimal `[PCI:|AGP:]bus[@domain]:device[:function]`; undefined: X finds no PCI device by it.
 * As xf86ParsePciBusString does (X server 21.1, hw/xfree86/common/xf86pciBus.c): it splits with strtok, so that empty
 * parts vanish and a fifth part is not looked at, and every part is digits only: `5:00.0` and hex are nothing to it.
 */
export function parseBusId(text: string): PciAddress | undefined {
  const numbers = /^\d/.test(text) ? text : withoutBusType(text);
  const [where, device, fn = '0'] = numbers?.split(':').filter(Boolean) ?? [];
  const found = where === undefined ? undefined : /^(\d*)(?:@(\d*))?$/.exec(where);
  if (!found || !device || !/^\d+$/.test(device) || !/^\d+$/.test(fn)) return undefined;
  // X keeps bus and domain in one number, so that bus 256 is bus 0 of domain 1
  const bus = Number(found[1]) + Number(found[2] ?? '') * 256;
  return { domain: Math.floor(bus / 256), bus: bus % 256, device: Number(device), function: Number(fn) };
}

/** As nvidia-xconfig writes it: `PCI:59:31:0`, and `PCI:0@50677:0:0` outside domain 0. */
export function formatBusId({ domain, bus, device, function: fn }: PciAddress): string {
  return `PCI:${bus}${domain === 0 ? '' : `@${domain}`}:${device}:${fn}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** X compares names without regard to case, blanks and underscores (xf86NameCmp). */
function withoutBusType(text: string): string | undefined {
  return /^[ \t_]*(?:p[ \t_]*c[ \t_]*i|a[ \t_]*g[ \t_]*p)[ \t_]*:(.*)$/is.exec(text)?.[1];
}
