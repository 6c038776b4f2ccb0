import { describe, expect, test } from 'vitest';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import type { Facts } from '../../../src/facts/facts.ts';
import { FAMILIES } from '../../../src/facts/families.ts';
import type { Gpu } from '../../../src/facts/gpu/gpus.ts';
import type { SmiGpu } from '../../../src/facts/gpu/smi.ts';
import { installPrerequisites } from '../../../src/steps/driver/install-prerequisites.ts';
import { notAGuestForUs } from '../../../src/steps/gates.ts';

const KERNEL = '6.4.0-150600.23.47-default';
const PATH = '/opt/NVIDIA-Linux-x86_64-570.211.01-grid.run';
const VERSION = '570.211.01';
const GPU: Gpu = { address: '0000:00:06.0', device: '2236', kind: '3d', driver: undefined, mode: 'vgpu' };

type Seen = Pick<Facts, 'system' | 'gpus' | 'smi' | 'driverPackage' | 'driver' | 'prerequisites'>;

const needed = FAMILIES[0]!.requirements(KERNEL);
const bare: Seen = {
  system: {
    name: 'SUSE Linux Enterprise Server 15 SP6',
    version: '15.6',
    family: FAMILIES[0],
    kernel: KERNEL,
    bootId: 'b7f1',
    readOnly: undefined,
    nowUs: 0,
  },
  gpus: [GPU],
  smi: { answers: false, problem: 'nvidia-smi is not there', code: 127 },
  driverPackage: {
    is: 'present',
    path: PATH,
    version: VERSION,
    flavor: 'guest',
    architecture: 'x86_64',
    options: undefined,
    sizeBytes: 1,
    unpackedBytes: 1,
    content: undefined,
  },
  driver: { installed: undefined, onDisk: undefined, loaded: undefined, dkms: undefined },
  prerequisites: { manager: 'zypper', missing: needed, later: [], offered: new Set() },
};
const loaded = { installed: VERSION, onDisk: VERSION, loaded: VERSION, dkms: [] };

const judge = (seen: Seen, settings: Settings = { driver: { package: PATH } }) =>
  installPrerequisites.judge(configSchema.parse(settings), seen, new Set());

describe('a bare guest', () => {
  test('gets what is missing, by the names that the package manager is asked for', () => {
    expect(judge(bare)).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'install-packages',
          packages: ['kernel-default-devel=6.4.0-150600.23.47', 'libglvnd-devel', 'gcc', 'make', 'dkms'],
          because: 'not installed: kernel-default-devel, libglvnd-devel, gcc, make, dkms',
        },
      ],
    });
  });

  test('without a package manager is blocked', () => {
    expect(
      judge({ ...bare, prerequisites: { ...bare.prerequisites, manager: undefined, missing: needed.slice(2, 3) } }),
    ).toEqual({
      is: 'blocked',
      because: 'not installed: gcc, and there is no package manager',
      remedy: 'install them by hand: gcc',
    });
  });

  test('with everything there is settled', () => {
    expect(judge({ ...bare, prerequisites: { ...bare.prerequisites, missing: [] } })).toEqual({
      is: 'settled',
      because: `all that a driver for ${KERNEL} is built with is there`,
    });
  });

  test('for which no driver is given is blocked', () => {
    expect(judge({ ...bare, driverPackage: { is: 'not-asked-for' } }, {})).toEqual({
      is: 'blocked',
      because: 'no NVIDIA driver is installed, and no driver package is given',
      remedy: 'set driver.package to the -grid.run package on this guest, or give --driver PATH',
    });
  });
});

describe('a guest with a driver', () => {
  test('needs nothing when no other is asked for, whatever distribution it is', () => {
    const system = { ...bare.system, family: undefined };
    expect(judge({ ...bare, system, driver: loaded, driverPackage: { is: 'not-asked-for' } }, {})).toEqual({
      is: 'settled',
      because: `driver ${VERSION} is there and no other is asked for, so nothing has to be built`,
    });
  });

  test('whose modules DKMS has to build for a new kernel gets the headers', () => {
    const entry = { module: 'nvidia', version: VERSION, kernel: 'old', architecture: 'x86_64', status: 'installed' };
    const driver = { ...loaded, onDisk: undefined, loaded: undefined, dkms: [{ ...entry, warning: undefined }] };
    expect(judge({ ...bare, driver, driverPackage: { is: 'not-asked-for' } }, {})).toMatchObject({ is: 'due' });
  });

  test('keeps what DKMS builds with', () => {
    expect(judge({ ...bare, driver: loaded })).toMatchObject({ is: 'due' });
  });

  test('needs nothing where DKMS is not asked for', () => {
    expect(judge({ ...bare, driver: loaded }, { driver: { package: PATH, dkms: false } })).toEqual({
      is: 'settled',
      because: 'the driver is built and DKMS is not asked for',
    });
  });
});

describe('a machine that is refused', () => {
  const hosting: SmiGpu = {
    address: '0000:3b:00.0',
    name: 'NVIDIA A10',
    uuid: 'GPU-1',
    mode: 'host-vgpu',
    license: undefined,
  };

  test.each<[string, Partial<Seen>, string]>([
    ['has no NVIDIA GPU', { gpus: [] }, 'there is no NVIDIA GPU on the PCI bus'],
    [
      'hands out vGPUs itself',
      { smi: { answers: true, driverVersion: VERSION, gpus: [hosting] } },
      'the GPU 0000:3b:00.0 hands out vGPUs (virtualization mode host-vgpu): this machine is a host, not a guest',
    ],
    [
      'hands out vSGA itself',
      { smi: { answers: true, driverVersion: VERSION, gpus: [{ ...hosting, mode: 'host-vsga' }] } },
      'the GPU 0000:3b:00.0 hands out vGPUs (virtualization mode host-vsga): this machine is a host, not a guest',
    ],
    [
      'is of an unknown distribution',
      { system: { ...bare.system, name: 'Alpine Linux v3.20', family: undefined } },
      'Alpine Linux v3.20 is neither SUSE, nor Red Hat, Fedora, Debian or Ubuntu, nor like one of them',
    ],
    [
      'cannot be written',
      { system: { ...bare.system, readOnly: { because: '/usr is read-only', remedy: 'remount it' } } },
      '/usr is read-only',
    ],
  ])('%s', (_why, change, because) => {
    const seen = { ...bare, ...change };
    expect(judge(seen)).toMatchObject({ is: 'blocked', because, remedy: expect.any(String) });
    expect(notAGuestForUs(seen)).toEqual(judge(seen));
  });

  test('is given the package for the host', () => {
    const driverPackage = { ...bare.driverPackage, flavor: 'host' } as Seen['driverPackage'];
    expect(judge({ ...bare, driverPackage })).toEqual({
      is: 'blocked',
      because: `${PATH} is the vGPU Manager for the host, not a driver for the guest`,
      remedy: 'set driver.package to the package of the same vGPU release whose name ends in -grid.run',
    });
  });

  test('is not a guest with a vGPU', () => {
    expect(notAGuestForUs(bare)).toBeUndefined();
  });
});

describe('what later kernels need', () => {
  const later = [
    { name: 'linux-headers-6.8.0-90-generic', ask: 'linux-headers-6.8.0-90-generic', headers: true as const },
    { name: 'linux-headers-generic', ask: 'linux-headers-generic', follows: true as const },
  ];

  test('is welcome beside what the driver is built with now, and no condition', () => {
    expect(judge({ ...bare, prerequisites: { ...bare.prerequisites, missing: needed.slice(2, 3), later } })).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'install-packages',
          packages: ['gcc'],
          welcome: ['linux-headers-6.8.0-90-generic', 'linux-headers-generic'],
          because: 'not installed: gcc, and for later kernels linux-headers-6.8.0-90-generic, linux-headers-generic',
        },
      ],
    });
  });

  test('is installed where the package manager has it, and a warning where it has not', () => {
    const prerequisites = { manager: 'apt-get', missing: [], later, offered: new Set(['linux-headers-generic']) };
    expect(judge({ ...bare, prerequisites })).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'install-packages',
          packages: ['linux-headers-generic'],
          because: 'not installed: linux-headers-generic',
        },
      ],
    });
    expect(judge({ ...bare, prerequisites: { ...prerequisites, offered: new Set() } })).toEqual({
      is: 'settled',
      because: `all that a driver for ${KERNEL} is built with is there`,
      warnings: [
        'linux-headers-6.8.0-90-generic is not installed: the next boot takes that kernel, for which no driver can be built',
        'linux-headers-generic is not installed: the next kernel update comes without headers, and without a driver',
      ],
    });
  });
});
