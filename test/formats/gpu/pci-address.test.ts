import { describe, expect, it } from 'vitest';
import {
  formatBusId,
  formatPciAddress,
  type PciAddress,
  parseBusId,
  parsePciAddress,
} from '../../../src/formats/gpu/pci-address.ts';

const at = (domain: number, bus: number, device: number, fn = 0): PciAddress => ({ domain, bus, device, function: fn });

describe('a PCI address in hex', () => {
  it.each([
    ['0000:3b:1f.0', at(0, 0x3b, 0x1f), 'sysfs'],
    ['0000:00:06.7', at(0, 0, 6, 7), 'sysfs, last function'],
    ['c5f5:00:00.0', at(0xc5f5, 0, 0), 'sysfs on Hyper-V'],
    ['10000:e1:00.0', at(0x10000, 0xe1, 0), 'sysfs behind VMD'],
    ['00:0a.0', at(0, 0, 10), 'lspci without domain'],
    ['00000000:00:0A.0', at(0, 0, 10), 'nvidia-smi'],
    ['00000001:00:00.0', at(1, 0, 0), 'nvidia-smi, domain 1'],
    ['ffffffff:ff:1f.7', at(0xffff_ffff, 0xff, 0x1f, 7), 'the largest of all'],
    ['0000:00:06.0\n', at(0, 0, 6), 'a line of a file'],
  ])('%j is understood', (text, address) => expect(parsePciAddress(text)).toEqual(address));

  it.each([
    '',
    '06.0',
    '0000:00:06',
    '0000:00:06.8',
    '0000:00:20.0',
    '000:00:06.0',
    '0000:0:6.0',
    'PCI:0:6:0',
    '000000000:00:06.0',
    '0000:0g:06.0',
  ])('%j is none', text => expect(parsePciAddress(text)).toBeUndefined());

  it.each([
    ['0000:3b:1f.0', '0000:3b:1f.0'],
    ['00:0a.0', '0000:00:0a.0'],
    ['00000000:00:0A.0', '0000:00:0a.0'],
    ['C5F5:00:00.0', 'c5f5:00:00.0'],
    ['00010000:E1:00.0', '10000:e1:00.0'],
  ])('%j is %j in sysfs', (text, sysfs) => expect(formatPciAddress(parsePciAddress(text)!)).toBe(sysfs));
});

describe('a BusID of X', () => {
  it.each([
    ['00:0a.0', 'PCI:0:10:0'],
    ['0000:3b:1f.0', 'PCI:59:31:0'],
    ['00000000:00:0A.0', 'PCI:0:10:0'],
    ['00000001:00:00.0', 'PCI:0@1:0:0'],
    ['c5f5:00:00.0', 'PCI:0@50677:0:0'],
    ['10000:e1:00.0', 'PCI:225@65536:0:0'],
    ['0000:00:06.3', 'PCI:0:6:3'],
  ])('the function at %j is written %j, and reads back as the same', (text, busId) => {
    const address = parsePciAddress(text)!;
    expect(formatBusId(address)).toBe(busId);
    expect(parseBusId(busId)).toEqual(address);
  });

  it.each([
    ['PCI:1:0', at(0, 1, 0), 'no function'],
    ['1:00:00', at(0, 1, 0), 'no prefix'],
    ['101@0:0', at(0, 101, 0), 'no prefix, with a domain'],
    ['PCI:0@0:2:0', at(0, 0, 2), 'domain 0 named'],
    ['PCI:1@:0:0', at(0, 1, 0), 'an empty domain'],
    ['pci:0:30:0', at(0, 0, 30), 'lower case'],
    ['AGP:1:0:0', at(0, 1, 0), 'the other prefix'],
    ['P_C I:1:0:0', at(0, 1, 0), 'blanks and underscores in the prefix'],
    ['PCI:01:00:0', at(0, 1, 0), 'zeros in front are still decimal'],
    ['PCI:010:0:0', at(0, 10, 0), 'and never octal'],
    ['PCI::1:0:0', at(0, 1, 0), 'empty parts vanish'],
    ['PCI:1:0:0:9', at(0, 1, 0), 'a fifth part is not looked at'],
    ['PCI:256:0:0', at(1, 0, 0), 'bus 256 is bus 0 of domain 1'],
  ])('%j counts for X', (text, address) => expect(parseBusId(text)).toEqual(address));

  it.each([
    '',
    'PCI',
    'PCI:',
    'PCI:1',
    'PCI:5:00.0',
    'PCI:0a:0:0',
    'PCI:0x1:0:0',
    'PCI: 1:0:0',
    'PCI:1:0:0 ',
    ' 1:0:0',
    ':1:0:0',
    'PCI:1@0@0:0:0',
    'PCI:bus_id:0:0',
    'USB:1:0:0',
    'PLATFORM:1:0:0',
    '@GPU_BUS_ID@',
    '0000:00:06.0',
  ])('%j names nothing for X', text => expect(parseBusId(text)).toBeUndefined());
});
