import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isMigProfile, parseNvidiaSmi, type SmiGpu, type SmiLicense } from '../../../src/formats/gpu/nvidia-smi.ts';

const recorded = (name: string) => readFileSync(new URL(`../../fixtures/nvidia-smi/${name}`, import.meta.url), 'utf8');
const ONE = recorded('h200-passthrough-580.159.04.xml');
const TWO = recorded('h200x2-passthrough-580.159.04.xml');

/** Typed from published output of R580 on a vGPU. */
const gpuXml = (given: { id?: string; mode?: string; section?: string } = {}) => `
  <gpu id="${given.id ?? '00000000:00:07.0'}">
    <product_name>NVIDIA L40S-2Q</product_name>
    <uuid>GPU-1</uuid>
    <gpu_virtualization_mode>
      <virtualization_mode>${given.mode ?? 'VGPU'}</virtualization_mode>
      <host_vgpu_mode>N/A</host_vgpu_mode>
    </gpu_virtualization_mode>
    ${given.section ?? ''}
  </gpu>`;
const log = (...gpus: readonly string[]) =>
  `<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n<nvidia_smi_log>\n<driver_version>580.105.08</driver_version>${gpus.join('')}\n</nvidia_smi_log>\n`;
const section = (status: string, product = 'NVIDIA RTX Virtual Workstation', name = 'vgpu_software_licensed_product') =>
  `<${name}><licensed_product_name>${product}</licensed_product_name><license_status>${status}</license_status></${name}>`;

const gpuOf = (xml: string): SmiGpu | undefined => {
  const reading = parseNvidiaSmi(log(xml));
  return reading.is === 'read' ? reading.gpus[0] : undefined;
};

describe('the answer of nvidia-smi', () => {
  it('on an H200 by pass-through has no licensing section', () => {
    expect(parseNvidiaSmi(ONE)).toEqual({
      is: 'read',
      driverVersion: '580.159.04',
      gpus: [
        {
          address: '0000:00:06.0',
          name: 'NVIDIA H200',
          uuid: 'GPU-8860d441-d818-3912-327d-2dcd07957f88',
          mode: 'pass-through',
          ecc: { current: 'Enabled', pending: 'Enabled' },
          mig: { current: 'Disabled', pending: 'Disabled', devices: 0 },
          license: undefined,
        },
      ],
    });
  });

  it('counts the MIG devices that it lists', () => {
    // the shape of R535 and R575, as others have recorded it; None is what the H200 says
    const device = (index: number) =>
      `<mig_device><index>${index}</index><gpu_instance_id>${index + 1}</gpu_instance_id><compute_instance_id>0</compute_instance_id></mig_device>`;
    const text = ONE.replaceAll('_mig>Disabled<', '_mig>Enabled<').replace(
      /(<mig_devices>)\s*None/,
      `$1${device(0)}${device(1)}`,
    );
    expect(firstOf(text)).toMatchObject({ mig: { current: 'Enabled', pending: 'Enabled', devices: 2 } });
    expect(firstOf(ONE.replace(/<mig_mode>[\s\S]*?<\/mig_mode>/, ''))).not.toHaveProperty('mig');
  });

  it.each([
    ['GRID A100-1-5C', true],
    ['GRID A100-1-5CME', true],
    ['NVIDIA H100L-1-12C', true],
    ['NVIDIA H100XM-7-80C', true],
    ['NVIDIA A10-4Q', false],
    ['NVIDIA A100-40C', false],
    ['GRID A100X-80C', false],
    ['NVIDIA H200', false],
  ])('%s has a part of the GPU to itself: %s', (name, backed) => {
    expect(isMigProfile(name)).toBe(backed);
  });

  it('names each of two GPUs', () => {
    const reading = parseNvidiaSmi(TWO);
    expect(reading.is === 'read' && reading.gpus.map(({ address }) => address)).toEqual([
      '0000:00:06.0',
      '0000:00:07.0',
    ]);
  });

  it('on a licensed vGPU has product and expiry', () => {
    expect(gpuOf(gpuXml({ section: section('Licensed (Expiry: 2026-7-7 16:1:44 GMT)') }))).toEqual({
      address: '0000:00:07.0',
      name: 'NVIDIA L40S-2Q',
      uuid: 'GPU-1',
      mode: 'vgpu',
      license: {
        state: 'licensed',
        product: 'NVIDIA RTX Virtual Workstation',
        expiresAt: '2026-07-07T16:01:44Z',
        raw: 'Licensed (Expiry: 2026-7-7 16:1:44 GMT)',
      },
    });
  });

  it.each<[string, SmiLicense['state'], string | undefined]>([
    ['Licensed (Expiry: 2022-5-27 0:8:28 GMT)', 'licensed', '2022-05-27T00:08:28Z'],
    ['Licensed (Expiry: 2026-12-31 23:59:59 GMT)', 'licensed', '2026-12-31T23:59:59Z'],
    ['Licensed (Expiry: 2026-2-31 0:0:0 GMT)', 'licensed', undefined],
    ['Licensed (Expiry: Permanent)', 'licensed', undefined],
    ['Licensed (Expiry: N/A)', 'licensed', undefined],
    ['Licensed (Expiry: ERR!)', 'licensed', undefined],
    ['Licensed', 'licensed', undefined],
    ['Unlicensed (Unrestricted)', 'grace', undefined],
    ['Unlicensed (Restricted)', 'restricted', undefined],
    ['Unlicensed', 'unlicensed', undefined],
    ['N/A', 'not-required', undefined],
    ['Requesting', 'unknown', undefined],
    ['', 'unknown', undefined],
  ])('with the status "%s" means %s', (raw, state, expiresAt) => {
    expect(gpuOf(gpuXml({ section: section(raw) }))?.license).toEqual({
      state,
      product: 'NVIDIA RTX Virtual Workstation',
      expiresAt,
      raw,
    });
  });

  it('of an old driver has the section under its old name', () => {
    const old = section('Licensed', 'Quadro Virtual Data Center Workstation', 'grid_licensed_product');
    expect(gpuOf(gpuXml({ section: old }))?.license?.product).toBe('Quadro Virtual Data Center Workstation');
  });

  it('leaves out a product that is N/A', () => {
    expect(gpuOf(gpuXml({ section: section('Unlicensed', 'N/A') }))?.license?.product).toBeUndefined();
  });

  it.each([
    ['None', 'none'],
    ['Pass-Through', 'pass-through'],
    ['VGPU', 'vgpu'],
    ['Host VGPU', 'host-vgpu'],
    ['Host VSGA', 'host-vsga'],
    ['N/A', 'unknown'],
  ])('with the mode "%s" means %s', (mode, meant) => {
    expect(gpuOf(gpuXml({ mode }))?.mode).toBe(meant);
  });

  it.each([
    ['00000000:00:0A.0', '0000:00:0a.0'],
    ['00010000:E1:00.0', '10000:e1:00.0'],
    ['00000001:00:00.0', '0001:00:00.0'],
    ['nowhere', 'nowhere'],
  ])('has %s at %s', (id, address) => {
    expect(gpuOf(gpuXml({ id }))?.address).toBe(address);
  });

  it('can be without GPUs', () => {
    expect(parseNvidiaSmi(log())).toEqual({ is: 'read', driverVersion: '580.105.08', gpus: [] });
  });

  it('may stand among warnings', () => {
    const text = `warning\n${log(gpuXml())}WARNING: infoROM is corrupted at gpu 0000:00:07.0\n`;
    expect(parseNvidiaSmi(text)).toEqual(parseNvidiaSmi(log(gpuXml())));
  });

  it('has its entities left as they are', () => {
    const status = 'Unlicensed &lt;&#65;&amp;';
    expect(gpuOf(gpuXml({ section: section(status) }))?.license?.raw).toBe(status);
    const evil = log(gpuXml())
      .replace('<!DOCTYPE nvidia_smi_log', '<!DOCTYPE nvidia_smi_log [<!ENTITY a "aaaa">]')
      .replace('GPU-1', '&a;&a;');
    const reading = parseNvidiaSmi(evil);
    expect(reading.is === 'read' && reading.gpus[0]?.uuid).toBe('&a;&a;');
  });

  it.each([
    ['nothing', '', 'printed no XML'],
    ['words', "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 'printed no XML'],
    ['other XML', '<?xml version="1.0"?><other/>', 'printed XML without <nvidia_smi_log>'],
    ['half of it', ONE.slice(0, ONE.length / 2), 'printed XML that ends before </nvidia_smi_log>'],
  ])('that is %s is a named problem', (_title, text, problem) => {
    expect(parseNvidiaSmi(text)).toEqual({ is: 'unreadable', problem });
  });

  it.each([
    ['a tag that is not closed', ONE.replace('</uuid>', '')],
    ['a name that means something to JavaScript', '<nvidia_smi_log><__proto__>1</__proto__></nvidia_smi_log>'],
    ['100000 levels', `<nvidia_smi_log>${'<a>'.repeat(100_000)}${'</a>'.repeat(100_000)}</nvidia_smi_log>`],
  ])('with %s is a named problem', (_title, text) => {
    expect(parseNvidiaSmi(text)).toEqual({
      is: 'unreadable',
      problem: expect.stringMatching(/^printed damaged XML: /),
    });
  });
});

function firstOf(text: string): SmiGpu | undefined {
  const reading = parseNvidiaSmi(text);
  return reading.is === 'read' ? reading.gpus[0] : undefined;
}
