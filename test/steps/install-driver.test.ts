import { describe, expect, test } from 'vitest';
import { configSchema, type Settings } from '../../src/config/schema.ts';
import type { Facts } from '../../src/facts/facts.ts';
import { FAMILIES } from '../../src/facts/families.ts';
import type { DkmsEntry } from '../../src/formats/dkms-status.ts';
import { installDriver } from '../../src/steps/install-driver.ts';

const KERNEL = '6.4.0-150600.23.47-default';
const PATH = '/opt/NVIDIA-Linux-x86_64-570.211.01-grid.run';
const VERSION = '570.211.01';
const OPTIONS = new Set([
  'silent',
  'dkms',
  'no-dkms',
  'no-install-compat32-libs',
  'no-rebuild-initramfs',
  'log-file-name',
]);

type Seen = Pick<Facts, 'system' | 'driverPackage' | 'driver' | 'smi' | 'screen' | 'modprobe'>;
type Package = Extract<Facts['driverPackage'], { is: 'present' }>;

const system: Facts['system'] = {
  name: 'SUSE Linux Enterprise Server 15 SP6',
  version: '15.6',
  family: FAMILIES[0],
  kernel: KERNEL,
  bootId: 'b7f1',
  readOnly: undefined,
  nowUs: 0,
};
const given: Package = {
  is: 'present',
  path: PATH,
  version: VERSION,
  flavor: 'guest',
  architecture: 'x86_64',
  options: OPTIONS,
  damage: 'none',
};
const dkms = (status: string, kernel: string | undefined = KERNEL, version = VERSION): DkmsEntry => ({
  module: 'nvidia',
  version,
  kernel,
  architecture: kernel && 'x86_64',
  status,
  warning: undefined,
});
/** A guest on which nothing has been done yet. */
const bare: Seen = {
  system,
  driverPackage: given,
  driver: { installed: undefined, onDisk: undefined, loaded: undefined, dkms: [] },
  smi: { answers: false, problem: 'nvidia-smi is not there', code: 127 },
  screen: { graphical: false, xServers: [] },
  modprobe: [],
};
/** A guest with all in place. */
const done: Seen = {
  ...bare,
  driver: { installed: VERSION, onDisk: VERSION, loaded: VERSION, dkms: [dkms('installed')] },
  smi: { answers: true, driverVersion: VERSION, gpus: [] },
};

function judge(seen: Seen, settings: Settings = { driver: { package: PATH } }, ahead: string[] = []) {
  return installDriver.judge(configSchema.parse(settings), seen, new Set(ahead));
}
const withDriver = (driver: Partial<Facts['driver']>): Seen => ({ ...done, driver: { ...done.driver, ...driver } });
const withPackage = (seen: Seen, driverPackage: Partial<Package>): Seen => ({
  ...seen,
  driverPackage: { ...given, ...driverPackage },
});

const INSTALL = {
  kind: 'install-driver',
  argv: [
    'sh',
    PATH,
    '--silent',
    '--dkms',
    '--no-install-compat32-libs',
    '--no-rebuild-initramfs',
    '--log-file-name=/var/log/nvidia-installer.log',
  ],
  log: '/var/log/nvidia-installer.log',
  leaveGraphical: false,
};
const install = (because: string) => ({ is: 'due', changes: [{ ...INSTALL, because }] });

describe('a guest without a driver', () => {
  test('gets the package', () => {
    expect(judge(bare)).toEqual(install('no NVIDIA driver is installed'));
  });

  test('is planned to get it while nouveau has still to leave', () => {
    expect(judge(bare, undefined, ['leave-nouveau'])).toEqual(install('no NVIDIA driver is installed'));
  });

  test('leaves the graphical target when an X server runs in it', () => {
    const verdict = judge({ ...bare, screen: { graphical: true, xServers: [0] } });
    expect(verdict).toEqual({
      is: 'due',
      changes: [{ ...INSTALL, leaveGraphical: true, because: 'no NVIDIA driver is installed' }],
    });
  });

  test('is not sent to the graphical target by an X server that runs elsewhere', () => {
    expect(judge({ ...bare, screen: { graphical: false, xServers: [1] } })).toEqual({
      is: 'blocked',
      because: 'an X server outside of graphical.target holds display :1, and nothing is installed beside it',
      remedy: 'end it for the installation (a VNC server, startx), then run vgpu-guest apply again',
    });
  });

  test('and without a package is blocked', () => {
    expect(judge({ ...bare, driverPackage: { is: 'not-asked-for' } }, {})).toEqual({
      is: 'blocked',
      because: 'no NVIDIA driver is installed, and no driver package is given',
      remedy: 'set driver.package to the -grid.run package on this guest, or give --driver PATH',
    });
  });
});

describe('the options of the package', () => {
  const optionsFor = (version: string, options: Package['options'], settings?: Settings) => {
    const verdict = judge(withPackage(bare, { version, options }), settings);
    const change = verdict.is === 'due' ? verdict.changes[0] : undefined;
    return change?.kind === 'install-driver' ? change.argv.slice(2, -1) : [];
  };

  test('are those that its own help lists', () => {
    expect(optionsFor('570.211.01', new Set(['silent', 'dkms']))).toEqual(['--silent', '--dkms']);
  });

  test.each([
    ['545.23.06', ['--silent', '--dkms', '--no-install-compat32-libs', '--no-rebuild-initramfs']],
    ['535.129.03', ['--silent', '--dkms', '--no-install-compat32-libs']],
    ['470.63.01', ['--silent', '--dkms', '--no-install-compat32-libs']],
    ['340.108', ['--silent', '--dkms']],
  ])('are those that %s knows when it carries no help', (version, expected) => {
    expect(optionsFor(version, undefined)).toEqual(expected);
  });

  test('leave DKMS out where it is not asked for', () => {
    expect(optionsFor('570.211.01', OPTIONS, { driver: { package: PATH, dkms: false } })).toEqual([
      '--silent',
      '--no-install-compat32-libs',
      '--no-rebuild-initramfs',
    ]);
  });
});

describe('a package that must not be installed', () => {
  test.each<[string, Partial<Package>, Settings, string]>([
    ['for the host', { flavor: 'host' }, {}, `${PATH} is the vGPU Manager for the host, not a driver for the guest`],
    [
      'for another architecture',
      { architecture: 'aarch64', guestArchitecture: 'x86_64' },
      {},
      `${PATH} is made for aarch64, and this guest is x86_64`,
    ],
    [
      'without nvidia-gridd where a token is given',
      { flavor: 'plain' },
      { license: { token: '/opt/client.tok' } },
      `${PATH} brings no nvidia-gridd, so this guest would never be licensed`,
    ],
    [
      'without nvidia-gridd where a license server is given',
      { flavor: 'plain' },
      { license: { server: { address: '10.5.8.208' } } },
      `${PATH} brings no nvidia-gridd, so this guest would never be licensed`,
    ],
    ['that is damaged', { damage: 'it is cut short' }, {}, `${PATH} cannot be trusted: it is cut short`],
    [
      'under a name with a blank',
      { path: '/opt/my driver.run' },
      {},
      'the package cannot read itself under the name /opt/my driver.run',
    ],
    [
      'that does not fit into /tmp',
      { lacksRoom: { neededBytes: 2048 * 1024 ** 2, freeBytes: 512 * 1024 ** 2 } },
      {},
      '/tmp has 512 MiB free, and the package unpacks to 2048 MiB',
    ],
  ])('one %s blocks', (_what, change, settings, because) => {
    expect(judge(withPackage(bare, change), settings)).toMatchObject({
      is: 'blocked',
      because,
      remedy: expect.any(String),
    });
  });

  test('a plain driver is fine where no license is asked for', () => {
    expect(judge(withPackage(bare, { flavor: 'plain' }))).toEqual(install('no NVIDIA driver is installed'));
  });

  test('a package without any sum to compare is installed', () => {
    expect(judge(withPackage(bare, { damage: undefined }))).toEqual(install('no NVIDIA driver is installed'));
  });

  test('something else under that name blocks', () => {
    const driverPackage = { is: 'unreadable', path: PATH, because: 'it is a web page' } as const;
    expect(judge({ ...done, driverPackage })).toEqual({
      is: 'blocked',
      because: `${PATH} is no driver package: it is a web page`,
      remedy: 'set driver.package to the -grid.run package on this guest, or give --driver PATH',
    });
  });
});

describe('a package that is gone', () => {
  const missing = { is: 'missing', path: PATH, namedVersion: VERSION } as const;

  test('is not needed where its driver is installed and loaded', () => {
    expect(judge({ ...done, driverPackage: missing })).toEqual({
      is: 'settled',
      because: `the package is gone, its driver ${VERSION} is installed, loaded and registered with DKMS for ${KERNEL}`,
    });
  });

  test.each<[string, Partial<Facts['driver']>, string?]>([
    ['not installed', { installed: undefined }, ''],
    ['not on disk for this kernel', { onDisk: undefined }],
    ['not loaded', { loaded: undefined }],
    ['another version', { loaded: '550.54.14' }],
  ])('blocks where its driver is %s', (_how, driver, keep = `, or remove that key to keep driver ${VERSION}`) => {
    expect(judge({ ...withDriver(driver), driverPackage: missing })).toEqual({
      is: 'blocked',
      because: `${PATH} is not there`,
      remedy: `copy the package there, or correct driver.package${keep}`,
    });
  });

  test('blocks where its name tells no version', () => {
    const verdict = judge({ ...done, driverPackage: { ...missing, namedVersion: undefined } });
    expect(verdict).toMatchObject({ is: 'blocked', because: `${PATH} is not there` });
  });

  test('blocks where DKMS would have to learn the driver from it', () => {
    expect(judge({ ...withDriver({ dkms: [] }), driverPackage: missing })).toMatchObject({
      is: 'blocked',
      because: `driver ${VERSION} is not registered with DKMS for ${KERNEL}, and ${PATH} is not there`,
    });
  });
});

describe('a guest with the driver', () => {
  test('is settled when it is installed, loaded, registered and answering', () => {
    expect(judge(done)).toEqual({
      is: 'settled',
      because: `driver ${VERSION} is installed, loaded and registered with DKMS for ${KERNEL}`,
    });
  });

  test('is settled without DKMS where it is not asked for', () => {
    const settings = { driver: { package: PATH, dkms: false } };
    expect(judge(withDriver({ dkms: undefined }), settings)).toEqual({
      is: 'settled',
      because: `driver ${VERSION} is installed and loaded`,
    });
  });

  test('in another version gets the one that is asked for', () => {
    const old = '550.54.14';
    expect(judge(withDriver({ installed: old, onDisk: old, loaded: old }))).toEqual(
      install(`driver ${old} is installed, and ${VERSION} is asked for`),
    );
  });

  test('from packages of the distribution gets the one that is asked for', () => {
    expect(judge(withDriver({ installed: undefined }))).toEqual(
      install(`driver ${VERSION} does not come from a .run package`),
    );
  });

  test('that is not loaded loads it', () => {
    expect(
      judge({ ...withDriver({ loaded: undefined }), smi: { answers: false, problem: 'it has failed', code: 9 } }),
    ).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'run',
          argv: ['modprobe', 'nvidia'],
          timeoutMs: 120_000,
          because: `driver ${VERSION} is installed and not loaded`,
        },
      ],
    });
  });

  test('with the old one in memory reboots', () => {
    expect(judge(withDriver({ loaded: '550.54.14' }))).toEqual({
      is: 'due',
      changes: [{ kind: 'reboot', because: `driver 550.54.14 is in memory, and ${VERSION} is on disk` }],
    });
  });

  test.each([
    ['added', [dkms('added', undefined)]],
    ['built', [dkms('built')]],
    ['installed for another kernel', [dkms('installed', '6.4.0-150600.21-default')]],
  ])('that is only %s in DKMS is installed by DKMS', (_how, entries) => {
    expect(judge(withDriver({ dkms: entries }))).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'run',
          argv: ['dkms', 'install', '-m', 'nvidia', '-v', VERSION, '-k', KERNEL],
          timeoutMs: 1_800_000,
          because: `driver ${VERSION} is not registered with DKMS for ${KERNEL}`,
        },
      ],
    });
  });

  test('a weak module counts as registered', () => {
    expect(judge(withDriver({ dkms: [dkms('installed-weak')] }))).toMatchObject({ is: 'settled' });
  });

  test('after a kernel update has its modules built by DKMS and loaded', () => {
    const entries = [dkms('installed', '6.4.0-150600.21-default')];
    expect(judge(withDriver({ onDisk: undefined, loaded: undefined, dkms: entries }))).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'run',
          argv: ['dkms', 'install', '-m', 'nvidia', '-v', VERSION, '-k', KERNEL],
          timeoutMs: 1_800_000,
          because: `driver ${VERSION} has no modules for ${KERNEL}`,
        },
        {
          kind: 'run',
          argv: ['modprobe', 'nvidia'],
          timeoutMs: 120_000,
          because: `driver ${VERSION} is not loaded`,
        },
      ],
    });
  });

  test('whose modules were taken away from under DKMS has them put back by force', () => {
    expect(judge(withDriver({ onDisk: undefined, loaded: undefined }))).toMatchObject({
      is: 'due',
      changes: [
        { argv: ['dkms', 'install', '-m', 'nvidia', '-v', VERSION, '-k', KERNEL, '--force'] },
        { argv: ['modprobe', 'nvidia'] },
      ],
    });
  });

  test.each<[string, readonly DkmsEntry[] | undefined]>([
    ['there is no DKMS', undefined],
    ['DKMS does not know it', []],
    ['DKMS has lost its source', [dkms('broken', undefined)]],
  ])('is installed again by the package where %s', (_why, entries) => {
    expect(judge(withDriver({ dkms: entries }))).toEqual(
      install(`driver ${VERSION} is not registered with DKMS for ${KERNEL}`),
    );
  });

  test('that has lost nvidia-smi is installed again', () => {
    expect(judge({ ...done, smi: bare.smi })).toEqual(install(`driver ${VERSION} has lost nvidia-smi`));
  });

  test('is blocked by what nvidia-smi says', () => {
    expect(judge({ ...done, smi: { answers: false, problem: 'No devices were found', code: 6 } })).toMatchObject({
      is: 'blocked',
      because: `driver ${VERSION} is loaded, but nvidia-smi says: No devices were found`,
    });
  });

  test('is blocked where nvidia-smi speaks of another driver', () => {
    expect(judge({ ...done, smi: { answers: true, driverVersion: '550.54.14', gpus: [] } })).toMatchObject({
      is: 'blocked',
      because: `driver ${VERSION} is loaded, but nvidia-smi speaks of 550.54.14`,
    });
  });

  test('is upgraded even where the old nvidia-smi fails', () => {
    const old = '550.54.14';
    const seen = withDriver({ installed: old, onDisk: old, loaded: old });
    expect(judge({ ...seen, smi: { answers: false, problem: 'No devices were found', code: 6 } })).toMatchObject({
      is: 'due',
    });
  });
});

describe('a guest that brings its own driver, and none is asked for', () => {
  const own: Seen = { ...done, driverPackage: { is: 'not-asked-for' } };

  test('is settled when it works', () => {
    const driver = { installed: undefined, onDisk: VERSION, loaded: VERSION, dkms: undefined };
    expect(judge({ ...own, driver }, {})).toEqual({
      is: 'settled',
      because: `driver ${VERSION} is loaded, and no other is asked for`,
    });
  });

  test('loads it', () => {
    expect(judge({ ...own, driver: { ...own.driver, loaded: undefined } }, {})).toMatchObject({
      is: 'due',
      changes: [{ argv: ['modprobe', 'nvidia'] }],
    });
  });

  test('has its modules built for a new kernel by DKMS', () => {
    const entries = [dkms('installed', '6.4.0-150600.21-default')];
    const driver = { installed: VERSION, onDisk: undefined, loaded: undefined, dkms: entries };
    expect(judge({ ...own, driver }, {})).toMatchObject({
      is: 'due',
      changes: [
        {
          argv: ['dkms', 'install', '-m', 'nvidia', '-v', VERSION, '-k', KERNEL],
          because: `driver ${VERSION} has no modules for ${KERNEL}`,
        },
        { argv: ['modprobe', 'nvidia'] },
      ],
    });
  });
});

describe('SUSE Linux Enterprise, whose modprobe refuses what SUSE does not support', () => {
  const shipped = '/lib/modprobe.d/10-unsupported-modules.conf';
  const refusing = [{ path: shipped, text: '# 0 - refuse\nallow_unsupported_modules 0\n', changedUs: 1 }];

  test('is told to load it before anything is installed', () => {
    expect(judge({ ...bare, modprobe: refusing })).toMatchObject({
      is: 'due',
      changes: [
        {
          kind: 'write',
          path: '/etc/modprobe.d/10-unsupported-modules.conf',
          text: '# 0 - refuse\nallow_unsupported_modules 1\n',
          because: `${shipped} keeps modprobe from loading NVIDIA's modules, which SUSE does not support`,
        },
        { kind: 'install-driver' },
      ],
    });
  });

  test('is left alone where the driver runs, however it was loaded', () => {
    expect(judge({ ...done, modprobe: refusing }).is).toBe('settled');
  });

  test('is left alone where somebody has allowed it', () => {
    const allowing = [
      { path: shipped, text: 'allow_unsupported_modules 0\nallow_unsupported_modules 1\n', changedUs: 1 },
    ];
    const verdict = judge({ ...bare, modprobe: allowing });
    expect(verdict.is === 'due' && verdict.changes.map(({ kind }) => kind)).toEqual(['install-driver']);
  });
});
