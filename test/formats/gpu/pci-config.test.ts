import { describe, expect, it } from 'vitest';
import { hasVgpuCapability } from '../../../src/formats/gpu/pci-config.ts';

const POWER_MANAGEMENT = 0x01;
const VENDOR_SPECIFIC = 0x09;
const PCI_EXPRESS = 0x10;
const LETTERS_VF = [0x56, 0x46];

/** A capability at an offset: id, where the next one is, and what follows these two bytes. */
type Capability = readonly [at: number, id: number, next: number, ...body: number[]];

/** A configuration space by the PCI Local Bus Specification 3.0, chapter 6: status at 06h, first capability at 34h. */
function space(first: number, ...capabilities: readonly Capability[]): Uint8Array {
  const config = new Uint8Array(256);
  config.set([0xde, 0x10, 0x35, 0x23, 0x07, 0x04, 0x10, 0x00]);
  config[0x34] = first;
  for (const [at, ...bytes] of capabilities) config.set(bytes, at);
  return config;
}

const vf = (at: number, next = 0): Capability => [at, VENDOR_SPECIFIC, next, 0x14, ...LETTERS_VF];

describe('a vGPU is told by its vendor-specific capability with the letters VF', () => {
  it.each<[string, Uint8Array, boolean]>([
    ['the only capability', space(0x40, vf(0x40)), true],
    [
      'the last of a chain that goes to and fro',
      space(0x60, [0x60, POWER_MANAGEMENT, 0x40], [0x40, PCI_EXPRESS, 0xd0], vf(0xd0)),
      true,
    ],
    ['behind another vendor-specific one', space(0x40, [0x40, VENDOR_SPECIFIC, 0x60, 8, 0, 0], vf(0x60)), true],
    ['with the two reserved bits of a pointer set', space(0x43, [0x40, POWER_MANAGEMENT, 0x61], vf(0x60)), true],
    ['in the highest place', space(0xf8, vf(0xf8)), true],
    ['no capability at all', space(0), false],
    [
      'capabilities, none of them vendor-specific',
      space(0x40, [0x40, POWER_MANAGEMENT, 0x60], [0x60, PCI_EXPRESS, 0]),
      false,
    ],
    ['the letters in a capability of another kind', space(0x40, [0x40, PCI_EXPRESS, 0, 0x14, ...LETTERS_VF]), false],
    ['the first letter alone', space(0x40, [0x40, VENDOR_SPECIFIC, 0, 0x14, 0x56, 0x58]), false],
    ['the letters the wrong way round', space(0x40, [0x40, VENDOR_SPECIFIC, 0, 0x14, 0x46, 0x56]), false],
    ['the letters where no pointer leads', space(0x40, [0x40, POWER_MANAGEMENT, 0], vf(0x80)), false],
    [
      'a chain that ends in a loop',
      space(0x40, [0x40, POWER_MANAGEMENT, 0x50], [0x50, PCI_EXPRESS, 0x40], vf(0x80)),
      false,
    ],
    ['a capability that points to itself', space(0x40, [0x40, POWER_MANAGEMENT, 0x40]), false],
    [
      'a pointer into the header',
      space(0x40, [0x40, POWER_MANAGEMENT, 0x10], [0x10, VENDOR_SPECIFIC, 0, 0x14, ...LETTERS_VF]),
      false,
    ],
    ['a device that has gone from the bus, all ones', new Uint8Array(256).fill(0xff), false],
  ])('%s', (_what, config, vgpu) => expect(hasVgpuCapability(config)).toBe(vgpu));

  it('is told of no device whose status says that it has no capabilities', () => {
    const config = space(0x40, vf(0x40));
    config[0x06] = 0;
    expect(hasVgpuCapability(config)).toBe(false);
  });

  it('is told in any place of a chain through all of the space', () => {
    const places = Array.from({ length: 24 }, (_, n) => 0x40 + 8 * n);
    for (const wanted of places) {
      const chain = places.map((at, n): Capability => {
        const next = places[n + 1] ?? 0;
        return at === wanted ? vf(at, next) : [at, POWER_MANAGEMENT, next];
      });
      expect(hasVgpuCapability(space(0x40, ...chain))).toBe(true);
    }
  });

  it.each([0, 1, 64, 255])('cannot be told from the first %i bytes, which is what others than root get', length => {
    expect(hasVgpuCapability(space(0x40, vf(0x40)).subarray(0, length))).toBeUndefined();
  });

  it('is told from the first 256 bytes of an extended space', () => {
    const extended = new Uint8Array(4096);
    extended.set(space(0x40, vf(0x40)));
    expect(hasVgpuCapability(extended)).toBe(true);
  });
});
