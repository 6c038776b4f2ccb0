import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

let root: string;
beforeEach(() => {
  root = temporaryFolder();
});

const collect = () => lookAt(openEyes({ root, env: {} }), configSchema.parse({})).fact('gpus');

/** A function as sysfs shows it. */
function put(
  address: string,
  vendor: string,
  device: string,
  pciClass: string,
  driver?: string,
  config: Uint8Array = new Uint8Array(256),
): void {
  const folder = join(root, 'sys/bus/pci/devices', address);
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries({ vendor, device, class: pciClass }))
    writeFileSync(join(folder, name), `${text}\n`);
  writeFileSync(join(folder, 'config'), config);
  if (driver) symlinkSync(`../../../bus/pci/drivers/${driver}`, join(folder, 'driver'));
}

/** With a capability list of one entry, vendor-specific, that begins with these letters. */
function configWith(letters: string): Uint8Array {
  const config = new Uint8Array(256).fill(0xc3, 0x08, 0x30);
  config[0x06] = 0x10;
  config[0x34] = 0x40;
  config.set([0x09, 0, 0x14, ...Buffer.from(letters)], 0x40);
  return config;
}

describe('the GPUs of a guest', () => {
  it('are none where there is no PCI bus', async () => expect(await collect()).toEqual([]));

  it('are the two that were recorded on a guest with H200s, in the order of their addresses', async () => {
    const recorded = readFileSync(new URL('../../fixtures/pci/h200-2gpu.txt', import.meta.url), 'utf8');
    for (const line of recorded.match(/^[0-9a-f]{4}:.*/gm)!.toReversed()) {
      const [address, vendor, device, pciClass, driver] = line.split(' ');
      put(address!, vendor!, device!, pciClass!, driver);
    }
    const gpu = { device: '2335', kind: '3d', driver: 'nvidia', mode: 'pass-through' };
    expect(await collect()).toEqual([
      { address: '0000:00:06.0', ...gpu },
      { address: '0000:00:07.0', ...gpu },
    ]);
  });

  it('are vGPUs by their configuration space, of which each byte counts as it is', async () => {
    put('0000:02:01.0', '0x10de', '0x1eb8', '0x030000', undefined, configWith('VF'));
    put('c5f5:00:00.0', '0x10de', '0x1eb8', '0x030200', 'nouveau', configWith('XX'));
    expect(await collect()).toEqual([
      { address: '0000:02:01.0', device: '1eb8', kind: 'vga', driver: undefined, mode: 'vgpu' },
      { address: 'c5f5:00:00.0', device: '1eb8', kind: '3d', driver: 'nouveau', mode: 'pass-through' },
    ]);
  });

  it('are of an unknown mode where the configuration space is cut short', async () => {
    put('0000:02:01.0', '0x10de', '0x1eb8', '0x030000', 'nvidia', configWith('VF').subarray(0, 64));
    expect(await collect()).toMatchObject([{ mode: undefined }]);
  });

  it('are neither the audio and USB functions beside them nor the displays of others', async () => {
    put('0000:02:00.1', '0x10de', '0x10f8', '0x040300', 'snd_hda_intel');
    put('0000:02:00.2', '0x10de', '0x1ad8', '0x0c0330', 'xhci_hcd');
    put('0000:00:02.0', '0x1234', '0x1111', '0x030000', 'bochs-drm');
    put('0000:00:0f.0', '0x15ad', '0x0405', '0x030000', 'vmwgfx');
    expect(await collect()).toEqual([]);
  });
});
