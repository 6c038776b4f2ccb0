import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseNvidiaSmi } from '../../src/formats/gpu/nvidia-smi.ts';
import { type FolderGuest, type FolderGuestOptions, makeFolderGuest, type Ran } from '../helpers/folder-guest.ts';

const RECORDED = readFileSync(
  new URL('../fixtures/nvidia-smi/h200-passthrough-580.159.04.xml', import.meta.url),
  'utf8',
);
const HANDED_OVER = '/run/stubs-license';
const SHOWN = '/var/lib/stubs/license-status';
const MODE = '/var/lib/stubs/virtualization-mode';

describe('the license that the stand-in nvidia-smi shows', () => {
  test.concurrent.each([
    ['470.256.02', 'NVIDIA A10-4Q', 'NVIDIA RTX Virtual Workstation', 'Unlicensed'],
    ['510.108.03', 'NVIDIA A10-4Q', 'NVIDIA RTX Virtual Workstation', 'Unlicensed (Unrestricted)'],
    ['570.211.01', 'NVIDIA A10-2B', 'NVIDIA Virtual PC', 'Unlicensed (Unrestricted)'],
    ['570.211.01', 'NVIDIA A10-8A', 'NVIDIA Virtual Applications', 'Unlicensed (Unrestricted)'],
    ['570.211.01', 'NVIDIA A10-24C', 'NVIDIA Virtual Compute Server', 'Unlicensed (Unrestricted)'],
    ['595.45.04', 'NVIDIA A10-24C', 'NVIDIA vGPU for Compute', 'Unlicensed (Unrestricted)'],
  ])('of %s on an %s before it has one is for %s: %s', async (version, gpuName, product, status) => {
    using guest = await withDriver({ version, gpuName });
    expect(licenseIn(await guest.run('nvidia-smi', '-q'))).toEqual({ product, status });
    expect(licenseIn(await guest.run('nvidia-smi', '-q', '-x'))).toEqual({ product, status });
  });

  test.concurrent.each([
    ['470.256.02', '2026-7-7 16:1:44', 'Licensed (Expiry: 2026-7-7 16:1:44 GMT)'],
    ['570.211.01', '2026-7-7 16:1:44', 'Licensed (Expiry: 2026-7-7 16:1:44 GMT)'],
    ['570.211.01', 'Permanent', 'Licensed (Expiry: Permanent)'],
    ['570.211.01', 'N/A', 'Licensed (Expiry: N/A)'],
    ['570.211.01', 'Not available', 'Licensed (Expiry: Not available)'],
  ])('of %s that the daemon has until %s is %s', async (version, until, status) => {
    using guest = await withDriver({ version });
    guest.write(HANDED_OVER, `NVIDIA RTX Virtual Workstation\t${until}\n`);
    expect(licenseIn(await guest.run('nvidia-smi', '-q'))).toEqual({
      product: 'NVIDIA RTX Virtual Workstation',
      status,
    });
    expect(licenseIn(await guest.run('nvidia-smi', '-q', '-x'))).toEqual({
      product: 'NVIDIA RTX Virtual Workstation',
      status,
    });
  });

  test.each([
    ['Unlicensed (Restricted)', 'NVIDIA RTX Virtual Workstation', 'Unlicensed (Restricted)'],
    ['Unknown', 'NVIDIA RTX Virtual Workstation', 'Unknown'],
    ['Licensed (Expiry: ERR!)', 'NVIDIA RTX Virtual Workstation', 'Licensed (Expiry: ERR!)'],
    ['NVIDIA Virtual PC\tUnlicensed (Restricted)', 'NVIDIA Virtual PC', 'Unlicensed (Restricted)'],
  ])('is %j, where a test says so, whatever the daemon has', async (line, product, status) => {
    using guest = await withDriver();
    guest.write(HANDED_OVER, 'NVIDIA RTX Virtual Workstation\tPermanent\n');
    guest.write(SHOWN, `${line}\n`);
    expect(licenseIn(await guest.run('nvidia-smi', '-q'))).toEqual({ product, status });
  });

  test.concurrent.each([
    ['grid', 'Pass-Through', { product: 'NVIDIA Virtual Applications', status: 'Licensed (Expiry: N/A)' }],
    ['grid', 'None', { product: 'NVIDIA Virtual Applications', status: 'Licensed (Expiry: N/A)' }],
    ['grid', 'Host VGPU', undefined],
    ['grid', 'Host VSGA', undefined],
    ['data-center', 'Pass-Through', undefined],
    ['data-center', 'VGPU', undefined],
  ] as const)('of a %s package in the mode %s is %j', async (flavor, mode, license) => {
    using guest = await withDriver({ flavor, mode: 'pass-through' });
    guest.write(MODE, `${mode}\n`);
    const text = await guest.run('nvidia-smi', '-q');
    const xml = await guest.run('nvidia-smi', '-q', '-x');
    expect(text.stdout).toMatch(new RegExp(`^ {8}Virtualization Mode +: ${mode}$`, 'm'));
    expect(xml.stdout).toContain(`<virtualization_mode>${mode}</virtualization_mode>`);
    expect([licenseIn(text), licenseIn(xml)]).toEqual([license, license]);
  });

  test('has a name of its own before R450', async () => {
    using guest = await withDriver({ version: '440.118.02' });
    expect((await guest.run('nvidia-smi', '-q')).stdout).toMatch(/^ {4}GRID Licensed Product$/m);
    expect((await guest.run('nvidia-smi', '-q', '-x')).stdout).toContain('<grid_licensed_product>');
  });
});

describe('the stand-in nvidia-smi', () => {
  test.concurrent.each(['535.129.03', '580.119.02'])(
    'of %s answers a program in XML of the real order',
    async version => {
      using guest = await withDriver({ version, gpus: 2 });
      const { code, stdout } = await guest.run('nvidia-smi', '-q', '-x');
      expect(code).toBe(0);
      expect(stdout).toContain(`nvsmi_device_v${version.startsWith('580') ? 13 : 12}.dtd`);
      expect(parseNvidiaSmi(stdout)).toMatchObject({
        is: 'read',
        driverVersion: version,
        gpus: guest.gpuAddresses.map(address => ({ address, name: 'NVIDIA A10-4Q', mode: 'vgpu' })),
      });
      const real = elementsOf(RECORDED);
      const here = elementsOf(stdout).filter(name => real.includes(name));
      // the firmware of the GPU had another place before R550
      if (version.startsWith('580')) expect(real.filter(name => here.includes(name))).toEqual(here);
    },
  );

  test.concurrent.each([
    ['535.129.03', 41],
    ['580.119.02', 54],
  ])('of %s has the values of the text in column %d', async (version, column) => {
    using guest = await withDriver({ version });
    const { stdout } = await guest.run('nvidia-smi', '-q');
    const lines = stdout.split('\n').filter(line => line.includes(' : '));
    expect(lines.length).toBeGreaterThan(30);
    expect(lines.filter(line => line.indexOf(' : ') !== column)).toEqual([]);
  });

  test('takes one GPU of two by number, address or UUID', async () => {
    using guest = await withDriver({ gpus: 2 });
    const list = (await guest.run('nvidia-smi', '-L')).stdout;
    const uuids = [...list.matchAll(/^GPU \d: NVIDIA A10-4Q \(UUID: (GPU-[0-9a-f-]{36})\)$/gm)].map(
      ([, uuid]) => uuid!,
    );
    expect(new Set(uuids).size).toBe(2);
    for (const id of ['1', '00000000:3B:1F.0', uuids[1]!]) {
      const { stdout } = await guest.run(
        'nvidia-smi',
        '-i',
        id,
        '--query-gpu=pci.bus_id,uuid',
        '--format=csv,noheader',
      );
      expect(stdout).toBe(`00000000:3B:1F.0, ${uuids[1]}\n`);
    }
  });

  test.each([
    ['csv', 'name, memory.total [MiB]\nNVIDIA A10-4Q, 4096 MiB\n'],
    ['csv,nounits', 'name, memory.total\nNVIDIA A10-4Q, 4096\n'],
    ['csv,noheader,nounits', 'NVIDIA A10-4Q, 4096\n'],
  ])('answers --query-gpu in the format %s', async (format, answer) => {
    using guest = await withDriver();
    expect(await guest.run('nvidia-smi', '--query-gpu=name,memory.total', `--format=${format}`)).toEqual({
      code: 0,
      stdout: answer,
      stderr: '',
    });
  });

  test('writes to a file where it is told to', async () => {
    using guest = await withDriver();
    expect(await guest.run('nvidia-smi', '-q', '-x', '-f', '/tmp/answer.xml')).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
    expect(parseNvidiaSmi(guest.read('/tmp/answer.xml') ?? '')).toMatchObject({ is: 'read' });
  });

  test.each([
    [['--wrong'], 255, "ERROR: Option --wrong is not recognized. Please run 'nvidia-smi -h'.\n\n"],
    [['-x'], 2, 'Invalid combination of input arguments. '],
    [['--query-gpu=name'], 2, '"--format=" switch is missing. '],
    [['--query-gpu=colour', '--format=csv'], 2, 'Field "colour" is not a valid field to query.\n\n'],
    [['-i', '7', '-q'], 6, 'No devices were found\n'],
    [['-h'], 0, 'NVIDIA System Management Interface -- v570.211.01\n'],
  ])('asked for %j ends with %d and says it on stdout', async (words, code, start) => {
    using guest = await withDriver();
    const answer = await guest.run('nvidia-smi', ...words);
    expect(answer).toMatchObject({ code, stderr: '' });
    expect(answer.stdout.startsWith(start)).toBe(true);
  });

  test('without a loaded driver ends with 9 whatever it is asked, but for help', async () => {
    using guest = await withDriver();
    await guest.run('modprobe', '-r', 'nvidia');
    for (const words of [[], ['-q', '-x'], ['-L'], ['--wrong']]) {
      const answer = await guest.run('nvidia-smi', ...words);
      expect(answer.code).toBe(9);
      expect(answer.stdout).toMatch(/^NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver\./);
    }
    expect((await guest.run('nvidia-smi', '-h')).code).toBe(0);
  });

  test('without its library ends with 12, loaded driver or not', async () => {
    using guest = await withDriver();
    guest.remove('/usr/lib/libnvidia-ml.so.1');
    const answer = await guest.run('nvidia-smi', '-q', '-x');
    expect(answer.code).toBe(12);
    expect(answer.stdout).toMatch(/^NVIDIA-SMI couldn't find libnvidia-ml\.so library in your system\./);
  });

  test('beside the module of another version ends with 18', async () => {
    using guest = await withDriver();
    guest.write('/sys/module/nvidia/version', '550.144.03\n');
    expect(await guest.run('nvidia-smi')).toEqual({
      code: 18,
      stdout: 'Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 570.211\n',
      stderr: '',
    });
  });

  test('without a GPU that the driver has tells so with 6, and with 0 where it was to list them', async () => {
    using guest = await withDriver();
    guest.remove(`/sys/bus/pci/devices/${guest.gpuAddresses[0]}/driver`);
    expect(await guest.run('nvidia-smi', '-q', '-x')).toMatchObject({ code: 6, stdout: 'No devices were found\n' });
    expect(await guest.run('nvidia-smi', '-L')).toMatchObject({ code: 0, stdout: 'No devices found.\n' });
  });
});

async function withDriver(options: FolderGuestOptions = {}): Promise<FolderGuest> {
  const guest = makeFolderGuest({ family: 'debian', nouveau: 'not-bound', prerequisites: 'installed', ...options });
  const { code, stderr } = await guest.run('sh', guest.packagePath, '--silent');
  if (code !== 0) throw new Error(`the driver is not installed: ${stderr}`);
  return guest;
}

function licenseIn({ stdout }: Ran): { product?: string; status?: string } | undefined {
  const text = /Licensed Product\n +Product Name +: (.*)\n +License Status +: (.*)$/m.exec(stdout);
  const xml = /<licensed_product_name>(.*)<\/licensed_product_name>\s*<license_status>(.*)<\/license_status>/.exec(
    stdout,
  );
  const [, product, status = ''] = text ?? xml ?? [];
  return product === undefined ? undefined : { product, status };
}

/** The names of the elements in the order in which they come first. */
function elementsOf(xml: string): readonly string[] {
  return [...new Set([...xml.matchAll(/<([a-z_]+)[ >]/g)].map(([, name]) => name!))];
}
