import { describe, expect, test } from 'vitest';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import type { SigningKey } from '../../../src/facts/driver/secure-boot.ts';
import type { Facts } from '../../../src/facts/facts.ts';
import { FAMILIES } from '../../../src/facts/families.ts';
import type { DkmsEntry } from '../../../src/formats/driver/dkms-status.ts';
import { installDriver } from '../../../src/steps/driver/install-driver.ts';

const MIB = 1024 ** 2;
const SHA256 = 'a'.repeat(64);
const KERNEL = '6.4.0-150600.23.47-default';
const PATH = '/opt/NVIDIA-Linux-x86_64-570.211.01-grid.run';
const WORKSHOP = '/var/lib/vgpu-guest/unpacked';
const VERSION = '570.211.01';
const OPTIONS = new Set([
  'silent',
  'dkms',
  'no-dkms',
  'no-install-compat32-libs',
  'no-install-libglvnd',
  'no-rebuild-initramfs',
  'log-file-name',
]);

type Seen = Parameters<typeof installDriver.judge>[1];
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
  sizeBytes: 400 * MIB,
  unpackedBytes: 1000 * MIB,
  content: { sha256: SHA256, damage: 'none', exposed: undefined },
};
const dkms = (status: string, kernel: string | undefined = KERNEL, version = VERSION): DkmsEntry => ({
  module: 'nvidia',
  version,
  kernel,
  architecture: kernel && 'x86_64',
  status,
  warning: undefined,
});
/** A guest whose disk is one file system, roomy unless told otherwise. */
function roomOf(freeMib = 20_000, workshop: Partial<Facts['room']['system']> = {}): Facts['room'] {
  const place = (path: string) => ({ path, freeBytes: freeMib * MIB, mount: '/', noexec: false });
  return {
    workshops: [{ ...place(WORKSHOP), ...workshop }],
    system: place('/usr'),
    local: place('/usr/local'),
    store: place('/var/lib/vgpu-guest/packages'),
  };
}
/** A guest on which nothing has been done yet. */
const bare: Seen = {
  system,
  driverPackage: given,
  driver: { installed: undefined, onDisk: undefined, loaded: undefined, dkms: [] },
  smi: { answers: false, problem: 'nvidia-smi is not there', code: 127 },
  screen: { graphical: false, displayManager: 'inactive', xServers: [] },
  foothold: undefined,
  modprobe: [],
  gpus: [{ address: '0000:00:06.0', device: '2236', kind: '3d', driver: undefined, mode: 'vgpu' }],
  kernels: { next: undefined },
  secureBoot: { unsigned: 'taken', evidence: [], keys: {}, enrolled: undefined },
  room: roomOf(),
  gpuUsers: [],
  distributionDriver: { packages: [], remove: undefined, marker: undefined },
  driverTrouble: undefined,
  prerequisites: { manager: 'zypper', missing: [], later: [], offered: new Set() },
};
const LIBGLVND = { name: 'libglvnd-devel', ask: 'libglvnd-devel' };
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
    '--no-install-libglvnd',
    '--no-rebuild-initramfs',
    '--log-file-name=/var/log/nvidia-installer.log',
    '--tmpdir',
    WORKSHOP,
  ],
  log: '/var/log/nvidia-installer.log',
  version: VERSION,
  package: { path: PATH, sha256: SHA256 },
  workshop: WORKSHOP,
  leaveGraphical: false,
};
const install = (because: string, replaces?: string) => ({
  is: 'due',
  changes: [{ ...INSTALL, ...(replaces ? { replaces } : {}), because }],
});

describe('a guest without a driver', () => {
  test('gets the package', () => {
    expect(judge(bare)).toEqual(install('no NVIDIA driver is installed'));
  });

  test('is planned to get it while nouveau has still to leave', () => {
    expect(judge(bare, undefined, ['leave-nouveau'])).toEqual(install('no NVIDIA driver is installed'));
  });

  test('leaves the graphical target when an X server runs in it', () => {
    const verdict = judge({ ...bare, screen: { graphical: true, displayManager: 'inactive', xServers: [0] } });
    expect(verdict).toEqual({
      is: 'due',
      changes: [{ ...INSTALL, leaveGraphical: true, because: 'no NVIDIA driver is installed' }],
    });
  });

  test('is refused where leaving the screen would end this very run', () => {
    const screen = { graphical: true, displayManager: 'active', xServers: [0] };
    const foothold = { evidence: 'process 812 (bash) is on the screen, with DISPLAY=:0' };
    expect(judge({ ...bare, screen, foothold })).toEqual({
      is: 'blocked',
      because:
        'the graphical target is left for the installation, and this run would end with it: process 812 (bash) is on the screen, with DISPLAY=:0',
      remedy:
        'run it by ssh or on a text console (Ctrl+Alt+F3), or as systemd-run --property=IgnoreOnIsolate=yes vgpu-guest apply',
    });
  });

  test('is not sent to the graphical target by an X server that runs elsewhere', () => {
    expect(judge({ ...bare, screen: { graphical: false, displayManager: 'inactive', xServers: [1] } })).toEqual({
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
  const LIBRARIES = ['--no-install-compat32-libs', '--no-install-libglvnd'];
  const optionsOf = (verdict: ReturnType<typeof judge>) => {
    const change = verdict.is === 'due' ? verdict.changes[0] : undefined;
    return change?.kind === 'install-driver' ? change.argv.slice(2, -3) : [];
  };
  const optionsFor = (version: string, options: Package['options'], settings?: Settings) =>
    optionsOf(judge(withPackage(bare, { version, options }), settings));

  test('are those that its own help lists', () => {
    expect(optionsFor('570.211.01', new Set(['silent', 'dkms']))).toEqual(['--silent', '--dkms']);
  });

  test.each([
    ['545.23.06', ['--silent', '--dkms', ...LIBRARIES, '--no-rebuild-initramfs']],
    ['535.129.03', ['--silent', '--dkms', ...LIBRARIES]],
    ['470.63.01', ['--silent', '--dkms', ...LIBRARIES]],
    ['340.108', ['--silent', '--dkms']],
  ])('are those that %s knows when it carries no help', (version, expected) => {
    expect(optionsFor(version, undefined)).toEqual(expected);
  });

  test.each([
    ['570.211.01', 'open', '--kernel-module-type=open'],
    ['555.42.02', 'proprietary', '--kernel-module-type=proprietary'],
    ['550.144.03', 'open', '--kernel-module-build-directory=kernel-open'],
    ['550.144.03', 'proprietary', '--kernel-module-build-directory=kernel'],
  ] as const)('of %s name the %s kernel modules where they are asked for', (version, kernelModules, option) => {
    expect(optionsFor(version, undefined, { driver: { package: PATH, kernelModules } })).toContain(option);
    expect(optionsFor(version, undefined).join(' ')).not.toContain('kernel-module');
  });

  test('leave DKMS out where it is not asked for', () => {
    expect(optionsFor('570.211.01', OPTIONS, { driver: { package: PATH, dkms: false } })).toEqual([
      '--silent',
      ...LIBRARIES,
      '--no-rebuild-initramfs',
    ]);
  });

  test("leave libglvnd to the installer only where the distribution's is not there and does not come", () => {
    const lacking = { ...bare, prerequisites: { ...bare.prerequisites, missing: [LIBGLVND] } };
    expect(optionsOf(judge(lacking))).not.toContain('--no-install-libglvnd');
    expect(optionsOf(judge(lacking, undefined, ['install-prerequisites']))).toContain('--no-install-libglvnd');
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
    [
      'that is damaged',
      { content: { sha256: SHA256, damage: 'it is cut short', exposed: undefined } },
      {},
      `${PATH} cannot be trusted: it is cut short`,
    ],
  ])('one %s blocks', (_what, change, settings, because) => {
    expect(judge(withPackage(bare, change), settings)).toMatchObject({
      is: 'blocked',
      because,
      remedy: expect.any(String),
    });
  });

  test('has no open kernel modules where these are asked for', () => {
    const asked = { driver: { package: PATH, kernelModules: 'open' } } as const;
    expect(judge(withPackage(bare, { version: '510.108.03' }), asked)).toMatchObject({
      is: 'blocked',
      because: `${PATH} brings no open kernel modules, which driver.kernelModules asks for`,
    });
    expect(judge(withPackage(bare, { version: '515.43.04' }), asked)).toMatchObject({ is: 'due' });
  });

  test('a plain driver is fine where no license is asked for', () => {
    expect(judge(withPackage(bare, { flavor: 'plain' }))).toEqual(install('no NVIDIA driver is installed'));
  });

  test('a package without any sum to compare is installed', () => {
    expect(judge(withPackage(bare, { content: { sha256: SHA256, damage: undefined, exposed: undefined } }))).toEqual(
      install('no NVIDIA driver is installed'),
    );
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

  test.each([
    ['open', false, 1],
    ['open', true, 0],
    ['proprietary', true, 1],
    ['open', undefined, 0],
  ] as const)(
    'is settled where %s kernel modules are asked for and are open: %s, with %i warnings',
    (kernelModules, isOpen, count) => {
      const seen = isOpen === undefined ? done : withDriver({ isOpen });
      const verdict = judge(seen, { driver: { package: PATH, kernelModules } });
      expect(verdict.is === 'settled' && (verdict.warnings ?? []).length).toBe(count);
    },
  );

  test('is settled without DKMS where it is not asked for', () => {
    const settings = { driver: { package: PATH, dkms: false } };
    expect(judge(withDriver({ dkms: undefined }), settings)).toEqual({
      is: 'settled',
      because: `driver ${VERSION} is installed and loaded`,
    });
  });

  const unanswered = { modinfo: 'modinfo nvidia: exit code 124', dkms: 'dkms status: exit code 4' };

  test.each([
    [{ dkms: [] }, 'dkms status: exit code 4'],
    [{ onDisk: undefined }, 'modinfo nvidia: exit code 124'],
    [{ dkms: [], onDisk: undefined }, 'modinfo nvidia: exit code 124, dkms status: exit code 4'],
  ])('is left alone where nobody could say what it lacks: %o', (lacks, open) => {
    expect(judge(withDriver({ ...lacks, unanswered }))).toEqual({
      is: 'blocked',
      because: `driver ${VERSION} is installed and loaded, and whether all of it is in place is not known: ${open}`,
      remedy: expect.stringContaining('by hand'),
    });
    expect(judge(withDriver(lacks)).is).toBe('due');
  });

  test.each([
    ['is known to be broken at DKMS', { dkms: [dkms('broken', undefined)] }],
    ['is not loaded', { loaded: undefined, dkms: [] }],
    ['is another one', { installed: '550.54.14', onDisk: '550.54.14', loaded: '550.54.14', dkms: [] }],
  ])('is mended where it %s, whatever gave no answer', (_, lacks) => {
    expect(judge(withDriver({ ...lacks, unanswered })).is).toBe('due');
  });

  test.each([
    [{}, {}],
    [{ dkms: [] }, { dkms: false }],
  ])('is settled where all that counts is seen, whatever gave no answer: %o, %o', (lacks, asked) => {
    const settings = { driver: { package: PATH, ...asked } };
    expect(judge(withDriver({ ...lacks, unanswered }), settings).is).toBe('settled');
  });

  test('in another version gets the one that is asked for', () => {
    const old = '550.54.14';
    expect(judge(withDriver({ installed: old, onDisk: old, loaded: old }))).toEqual(
      install(`driver ${old} is installed, and ${VERSION} is asked for`, old),
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

  const which = ['-m', 'nvidia', '-v', VERSION, '-k', KERNEL];

  test('with the old one in memory reboots', () => {
    expect(judge(withDriver({ loaded: '550.54.14' }))).toEqual({
      is: 'due',
      changes: [{ kind: 'reboot', because: `driver 550.54.14 is in memory, and ${VERSION} is on disk` }],
    });
  });

  test.each([
    ['added', [{ ...dkms('added'), kernel: undefined }]],
    ['installed for another kernel', [dkms('installed', '6.4.0-150600.21-default')]],
  ])('that is only %s in DKMS is installed by DKMS, in the place of the modules that are there', (_how, entries) => {
    expect(judge(withDriver({ dkms: entries }))).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'run',
          argv: ['dkms', 'install', '-m', 'nvidia', '-v', VERSION, '-k', KERNEL, '--force'],
          timeoutMs: 1_800_000,
          because: `driver ${VERSION} is not registered with DKMS for ${KERNEL}`,
        },
      ],
    });
  });

  test('that is only built in DKMS is built anew: what kept DKMS from installing it may have damaged it', () => {
    expect(judge(withDriver({ dkms: [dkms('built')] }))).toMatchObject({
      is: 'due',
      changes: [{ argv: ['dkms', 'unbuild', ...which] }, { argv: ['dkms', 'install', ...which, '--force'] }],
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

  test('whose modules are gone or damaged has them built anew, once DKMS has let go of what it has', () => {
    expect(judge(withDriver({ onDisk: undefined, loaded: undefined }))).toMatchObject({
      is: 'due',
      changes: [
        { argv: ['dkms', 'uninstall', ...which], tolerated: 'DKMS may not have let go of what it had installed' },
        { argv: ['dkms', 'unbuild', ...which], tolerated: 'DKMS may not have let go of what it had built' },
        { argv: ['dkms', 'install', ...which, '--force'] },
        { argv: ['modprobe', 'nvidia'] },
      ],
    });
  });

  test('of which a cut has left a build alone has its modules built anew', () => {
    const changes = [
      { argv: ['dkms', 'unbuild', ...which] },
      { argv: ['dkms', 'install', ...which] },
      { argv: ['modprobe', 'nvidia'] },
    ];
    const seen = withDriver({ onDisk: undefined, loaded: undefined, dkms: [dkms('built')] });
    expect(judge(seen)).toMatchObject({ is: 'due', changes });
  });

  test.each([
    ['boot', 'a reboot, a reset or a loss of power'],
    ['signal', 'a signal'],
  ] as const)('whose installation was cut by a %s is installed again, however whole it looks', (cut, by) => {
    const begun = { version: VERSION, cut };
    const because = `the installation of driver ${VERSION} was cut by ${by}, so that any of its files may be damaged`;
    expect(judge(withDriver({ begun }))).toEqual(install(because));
    expect(judge(withDriver({ begun, onDisk: undefined }))).toEqual(install(because));
    const gone = { is: 'missing', path: PATH, namedVersion: VERSION } as const;
    expect(judge({ ...withDriver({ begun }), driverPackage: gone })).toEqual({
      is: 'blocked',
      because: `${because}, and ${PATH} is not there`,
      remedy: `copy the driver package to ${PATH}`,
    });
  });

  test('of which an installation that was cut has left a half with DKMS is rid of that first', () => {
    const seen = withDriver({
      installed: undefined,
      onDisk: undefined,
      loaded: undefined,
      dkms: [],
      inTree: [VERSION],
    });
    const because = 'no NVIDIA driver is installed';
    expect(judge(seen)).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'forget-dkms',
          version: VERSION,
          because: `DKMS has nvidia/${VERSION}, and no installer knows of it`,
        },
        ...install(because).changes,
      ],
    });
    for (const other of [{ inTree: ['550.54.14'] }, { dkms: undefined }])
      expect(judge({ ...seen, driver: { ...seen.driver, ...other } })).toEqual(install(because));
  });

  test('whose installation outlived the run that began it is seen to the disk, and not installed again', () => {
    const begun = { version: VERSION };
    expect(judge(withDriver({ begun }))).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'end-install',
          because: `the run that installed driver ${VERSION} was ended before it saw all of it on the disk`,
        },
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

  test('whose installation was ended before its libraries is installed again', () => {
    const smi = { answers: false, problem: "NVIDIA-SMI couldn't find libnvidia-ml.so library", code: 12 } as const;
    expect(judge({ ...done, smi })).toEqual(install(`driver ${VERSION} has lost libnvidia-ml.so`));
  });

  test('whose installation was ended between its log and its programs is installed again, and not built by DKMS alone', () => {
    const ended = withDriver({ onDisk: undefined, loaded: undefined, dkms: [dkms('added', undefined)] });
    expect(judge({ ...ended, smi: bare.smi })).toEqual(install(`driver ${VERSION} has lost nvidia-smi`));
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

describe('a package in a place that others can change', () => {
  const exposed = (path: string) =>
    ({ path, content: { sha256: SHA256, damage: 'none', exposed: '/home/user' } }) as const;

  test('is run from a copy of its own', () => {
    expect(judge(withPackage(bare, exposed(PATH)))).toMatchObject({
      is: 'due',
      changes: [
        {
          argv: [
            'sh',
            `/var/lib/vgpu-guest/packages/${SHA256}/NVIDIA-Linux-x86_64-570.211.01-grid.run`,
            '--silent',
          ].concat(INSTALL.argv.slice(3)),
          package: {
            path: PATH,
            copy: `/var/lib/vgpu-guest/packages/${SHA256}/NVIDIA-Linux-x86_64-570.211.01-grid.run`,
          },
        },
      ],
    });
  });

  test('or under a name that its own wrapper would fall over gets another name', () => {
    const path = '/opt/my driver*.run';
    expect(judge(withPackage(bare, { path }))).toMatchObject({
      changes: [{ package: { path, copy: `/var/lib/vgpu-guest/packages/${SHA256}/my_driver_.run` } }],
    });
  });
});

describe('room for the driver', () => {
  // 1000 MiB unpacked, half of that again for building, and the files
  test.each([
    ['is enough', 2_500, undefined],
    [
      'is short by one',
      2_499,
      "/ has 2499 MiB free, and unpacking and building the driver, the driver's files in /usr take 2500 MiB",
    ],
  ])('on one file system %s', (_how, free, because) => {
    const verdict = judge({ ...bare, room: roomOf(free) });
    expect(verdict.is === 'blocked' ? verdict.because : undefined).toBe(because);
  });

  test('is less where the files of an old driver make some', () => {
    const old = withDriver({ installed: '550.54.14', onDisk: '550.54.14', loaded: '550.54.14' });
    expect(judge({ ...old, room: roomOf(1_500) }).is).toBe('due');
    expect(judge({ ...old, room: roomOf(1_499) }).is).toBe('blocked');
  });

  test('is more where a copy of the package is kept', () => {
    const copied = withPackage(bare, { content: { sha256: SHA256, damage: 'none', exposed: '/home/user' } });
    expect(judge({ ...copied, room: roomOf(2_900) }).is).toBe('due');
    expect(judge({ ...copied, room: roomOf(2_899) }).is).toBe('blocked');
  });

  test('is counted for each file system by itself', () => {
    const room = roomOf(1_000, { mount: '/var', freeBytes: 1_500 * MIB });
    expect(judge({ ...bare, room }).is).toBe('due');
    expect(judge({ ...bare, room: { ...room, system: { ...room.system, freeBytes: 999 * MIB } } })).toMatchObject({
      is: 'blocked',
      because: "/ has 999 MiB free, and the driver's files in /usr take 1000 MiB",
    });
  });

  test('that cannot be seen is no reason to stop', () => {
    const room = roomOf();
    const unknown = {
      ...room,
      workshops: room.workshops.map(place => ({ ...place, freeBytes: undefined, mount: undefined })),
    };
    expect(judge({ ...bare, room: unknown }).is).toBe('due');
  });

  test('where nothing can be run is none: the next folder is taken, and without one the guest is blocked', () => {
    const room = roomOf(20_000, { noexec: true, mount: '/var' });
    const second = { ...room.system, path: '/root/.vgpu-guest-unpacked' };
    expect(judge({ ...bare, room: { ...room, workshops: [...room.workshops, second] } })).toMatchObject({
      changes: [{ workshop: '/root/.vgpu-guest-unpacked', argv: expect.arrayContaining(['--tmpdir', second.path]) }],
    });
    expect(judge({ ...bare, room })).toMatchObject({
      is: 'blocked',
      because: expect.stringContaining('(noexec)'),
      remedy: expect.stringContaining('mount -o remount,exec /var'),
    });
  });
});

describe('who stands in the way of another driver', () => {
  const old = withDriver({ installed: '550.54.14', onDisk: '550.54.14', loaded: '550.54.14' });

  test.each([
    ['a service', 'jupyter.service', 'of jupyter.service ', 'systemctl stop jupyter.service'],
    ['a program that somebody has started', 'session-3.scope', 'of session-3.scope ', 'end it (kill 4711)'],
    ['a process of no unit', undefined, '', 'end it (kill 4711)'],
  ])('%s that uses the GPU is named', (_who, unit, of, remedy) => {
    const gpuUsers = [{ pid: 4711, name: 'python3', unit, device: '/dev/nvidia0' }];
    expect(judge({ ...old, gpuUsers })).toEqual({
      is: 'blocked',
      because: `process 4711 (python3) ${of}has /dev/nvidia0 open, and the driver cannot be replaced while it is in use`,
      remedy: `${remedy}, then run vgpu-guest apply again`,
    });
    // the graphical target takes its programs along
    expect(judge({ ...old, gpuUsers, screen: { graphical: true, displayManager: 'inactive', xServers: [0] } }).is).toBe(
      'due',
    );
  });

  test("the distribution's own driver is not overwritten", () => {
    const distributionDriver = {
      packages: ['nvidia-driver-550'],
      remove: 'apt-get purge nvidia-driver-550',
      marker: undefined,
    };
    expect(judge({ ...bare, distributionDriver })).toEqual({
      is: 'blocked',
      because:
        'packages of the distribution bring a driver, and no .run package belongs beside them: nvidia-driver-550',
      remedy: 'remove them (apt-get purge nvidia-driver-550), or leave driver.package out to keep that driver',
    });
    const marker = '/usr/lib/nvidia/alternate-install-present';
    expect(judge({ ...bare, distributionDriver: { packages: [], remove: undefined, marker } })).toMatchObject({
      is: 'blocked',
      because: expect.stringContaining(marker),
    });
  });
});

describe('a kernel that wants signatures', () => {
  const enrolled: SigningKey = {
    secret: '/k/mok.key',
    certificate: '/k/mok.pub',
    present: 'both',
    enrollment: 'enrolled',
  };
  const guest = (keys: Facts['secureBoot']['keys'], unsigned: Facts['secureBoot']['unsigned'] = 'refused'): Seen => ({
    ...bare,
    secureBoot: {
      unsigned,
      evidence: [{ at: '/sys/kernel/security/lockdown', shows: 'none [integrity]' }],
      keys,
      enrolled: undefined,
    },
    driverPackage: { ...given, options: undefined },
  });
  const signedWith = (seen: Seen, settings?: Settings) => {
    const verdict = judge(seen, settings);
    const [change] = verdict.is === 'due' ? verdict.changes : [];
    return change?.kind === 'install-driver'
      ? change.argv.filter(word => word.startsWith('--module-signing'))
      : verdict;
  };
  const KEYS = ['--module-signing-secret-key=/k/mok.key', '--module-signing-public-key=/k/mok.pub'];

  test('gets the modules signed with the key that DKMS signs with, once the firmware knows it', () => {
    expect(signedWith(guest({ dkms: enrolled }))).toEqual(KEYS);
  });

  test('gets them signed with the key of the configuration before any other', () => {
    const other = { ...enrolled, secret: '/var/lib/dkms/mok.key', certificate: '/var/lib/dkms/mok.pub' };
    expect(signedWith(guest({ given: enrolled, dkms: other }))).toEqual(KEYS);
  });

  test('is told when DKMS signs the next ones with a key that nobody knows', () => {
    const other: SigningKey = { ...enrolled, secret: '/var/lib/dkms/mok.key', enrollment: 'not-enrolled' };
    const verdict = judge(guest({ given: enrolled, dkms: other }));
    expect(verdict.is !== 'blocked' && verdict.warnings).toEqual([
      expect.stringContaining('DKMS signs with /var/lib/dkms/mok.key, which is not known to be enrolled'),
    ]);
  });

  test('has them signed by DKMS alone with a package whose installer leaves all to DKMS', () => {
    const seen = guest({ given: enrolled, dkms: enrolled });
    expect(signedWith({ ...seen, driverPackage: { ...given, version: '510.47.03', options: undefined } })).toEqual([]);
    const unknownToDkms = guest({ given: enrolled, dkms: { ...enrolled, enrollment: 'not-enrolled' } });
    expect(
      signedWith({ ...unknownToDkms, driverPackage: { ...given, version: '510.47.03', options: undefined } }),
    ).toMatchObject({ is: 'blocked' });
  });

  test('without UEFI is not sent to enroll a key, which it could not', () => {
    const mok = { secret: '/var/lib/dkms/mok.key', certificate: '/var/lib/dkms/mok.pub' };
    const seen = guest({ dkms: { ...mok, present: 'neither', enrollment: 'unknown' } });
    const evidence = [{ at: '/sys/firmware/efi', shows: 'not there: this guest has no UEFI' }];
    expect(judge(seen)).toMatchObject({ remedy: expect.stringContaining('mokutil --import') });
    expect(judge({ ...seen, secureBoot: { ...seen.secureBoot, evidence } })).toMatchObject({
      is: 'blocked',
      remedy: expect.stringMatching(/^take module\.sig_enforce and lockdown= off the kernel command line/),
    });
  });

  test.each<[string, Facts['secureBoot']['keys'], string, string]>([
    ['has no key', {}, 'no key is named', 'driver.signingKey'],
    [
      'has a key that is not enrolled',
      { dkms: { ...enrolled, enrollment: 'not-enrolled' } },
      '/k/mok.pub is not enrolled',
      'mokutil --import /k/mok.pub',
    ],
    [
      'waits for somebody at its console',
      { dkms: { ...enrolled, enrollment: 'requested' } },
      '/k/mok.pub is not enrolled yet',
      'reboot, and on the guest',
    ],
    [
      'has put the key on its list of forbidden ones',
      { given: { ...enrolled, enrollment: 'blocked' } },
      'not trusted',
      'make a key pair',
    ],
    [
      'does not say whether it knows the key',
      { dkms: { ...enrolled, enrollment: 'unknown' } },
      'nothing says whether /k/mok.pub is enrolled',
      'install mokutil',
    ],
    [
      'has no key of DKMS yet',
      { dkms: { ...enrolled, present: 'neither', enrollment: 'unknown' } },
      '/k/mok.key and /k/mok.pub are not there',
      'openssl req -new -x509',
    ],
    [
      'has lost half of the key',
      { given: { ...enrolled, present: 'certificate-only' } },
      '/k/mok.key is not there',
      'correct driver.signingKey',
    ],
    [
      'keeps the key in a token',
      { dkms: { ...enrolled, secret: 'pkcs11:token=hsm' } },
      "DKMS's key is no file",
      'driver.signingKey',
    ],
  ])('and %s is blocked before anything is changed', (_how, keys, because, remedy) => {
    expect(judge(guest(keys))).toMatchObject({
      is: 'blocked',
      because: expect.stringContaining(because),
      remedy: expect.stringContaining(remedy),
    });
    expect(judge(guest(keys, 'unknown'))).toMatchObject({
      is: 'blocked',
      because: expect.stringMatching(/ may load /),
    });
    expect(judge(guest(keys))).toMatchObject({ because: expect.stringContaining('none [integrity]') });
  });

  test('takes the word of the configuration where mokutil does not know', () => {
    expect(signedWith(guest({ given: { ...enrolled, enrollment: 'unknown' } }))).toEqual(KEYS);
  });

  test('or takes any module has them signed only where a key is named', () => {
    expect(signedWith(guest({}, 'taken'))).toEqual([]);
    expect(signedWith(guest({ given: { ...enrolled, enrollment: 'unknown' } }, 'taken'))).toEqual(KEYS);
  });

  test('keeps DKMS from building what nobody would load', () => {
    const entries = [dkms('installed', '6.4.0-150600.21-default')];
    const seen = { ...withDriver({ onDisk: undefined, loaded: undefined, dkms: entries }) };
    const keys = { dkms: { ...enrolled, enrollment: 'not-enrolled' } } as const;
    expect(
      judge({ ...seen, secureBoot: { unsigned: 'refused', evidence: [], keys, enrolled: undefined } }),
    ).toMatchObject({
      is: 'blocked',
    });
    expect(
      judge({
        ...seen,
        secureBoot: { unsigned: 'refused', evidence: [], keys: { dkms: enrolled }, enrolled: undefined },
      }),
    ).toMatchObject({
      changes: [{ argv: expect.arrayContaining(['dkms']) }, { argv: ['modprobe', 'nvidia'] }],
    });
  });
});

describe('a guest whose next boot takes another kernel', () => {
  const RELEASE = '6.4.0-150600.30-default';
  const next = {
    release: RELEASE,
    from: 'grubby --default-kernel',
    headers: true,
    onDisk: undefined,
    signer: undefined,
    signedWith: undefined,
    failedBuild: undefined,
  };
  const build = {
    kind: 'run',
    argv: ['dkms', 'install', '-m', 'nvidia', '-v', VERSION, '-k', RELEASE],
    because: `the next boot takes ${RELEASE} (grubby --default-kernel), which has no driver`,
    tolerated: `the next boot takes ${RELEASE}, and would be without driver ${VERSION}`,
  };

  test('has the driver built for it too', () => {
    expect(judge({ ...done, kernels: { next } })).toMatchObject({ is: 'due', changes: [build] });
    expect(judge({ ...bare, kernels: { next } })).toMatchObject({
      is: 'due',
      changes: [{ kind: 'install-driver' }, build],
    });
  });

  test('has it put in the place of the other one that lies there', () => {
    const argv = [...build.argv, '--force'];
    const other = { ...next, onDisk: '580.95.05' };
    expect(judge({ ...done, kernels: { next: other } })).toMatchObject({ is: 'due', changes: [{ argv }] });
  });

  test('is settled when it has it', () => {
    expect(judge({ ...done, kernels: { next: { ...next, onDisk: VERSION } } })).toEqual({
      is: 'settled',
      because: `driver ${VERSION} is installed, loaded and registered with DKMS for ${KERNEL} and ${RELEASE}`,
    });
  });

  test('is told where it has it, signed with a key that the firmware does not know', () => {
    const signed = { ...next, onDisk: VERSION, signer: 'DKMS module signing key', signedWith: '77aa' };
    const secureBoot = { ...done.secureBoot, unsigned: 'refused', enrolled: new Set(['1c29']) } as const;
    const seen = {
      ...withDriver({ dkms: [dkms('installed'), dkms('installed', RELEASE)] }),
      secureBoot,
      kernels: { next: signed },
    };
    expect(judge(seen)).toMatchObject({
      is: 'settled',
      warnings: [
        `the next boot takes ${RELEASE} (grubby --default-kernel), whose module of the driver is signed by DKMS module signing key with a key that is not enrolled`,
      ],
    });
  });

  test.each([
    ['could not be built once', { failedBuild: '/var/lib/dkms/nvidia/570.211.01/build/make.log' }, 'make.log'],
    ['has no headers', { headers: false }, 'its headers are not there'],
  ])('is settled with a warning where it %s', (_how, what, because) => {
    const verdict = judge({ ...done, kernels: { next: { ...next, ...what } } });
    expect(verdict).toMatchObject({ is: 'settled', warnings: [expect.stringContaining(because)] });
  });

  test('has it built after the headers have come', () => {
    const bareNext = { ...bare, kernels: { next: { ...next, headers: false } } };
    expect(judge(bareNext)).toMatchObject({ changes: [{ kind: 'install-driver' }] });
    const verdict = judge(bareNext, undefined, ['install-prerequisites']);
    expect(verdict.is === 'due' && verdict.changes.map(({ kind }) => kind)).toEqual(['install-driver', 'run']);
  });

  test('is left alone where DKMS is not asked for', () => {
    const settings = { driver: { package: PATH, dkms: false } };
    expect(judge({ ...done, kernels: { next } }, settings)).toEqual({
      is: 'settled',
      because: `driver ${VERSION} is installed and loaded`,
    });
  });
});

describe('a package that is still to be downloaded', () => {
  const remote = {
    is: 'remote',
    url: 'https://mirror.example.com/a.run?…',
    path: `/var/lib/vgpu-guest/packages/${SHA256}/NVIDIA-Linux-x86_64-570.211.01-grid.run`,
    namedVersion: VERSION,
    namedFlavor: 'guest',
  } as const;
  const settings: Settings = { driver: { package: 'https://mirror.example.com/a.run?key=1', sha256: SHA256 } };

  test('is planned to be installed by what its name says', () => {
    expect(judge({ ...bare, driverPackage: remote }, settings)).toMatchObject({
      is: 'due',
      changes: [
        {
          ...INSTALL,
          argv: ['sh', remote.path, ...INSTALL.argv.slice(2)],
          package: { path: remote.path, sha256: SHA256 },
        },
      ],
    });
  });

  test('is not needed where its driver is in place', () => {
    expect(judge({ ...done, driverPackage: remote }, settings)).toMatchObject({ is: 'settled' });
  });

  test('is for the host by its name, and refused', () => {
    expect(judge({ ...bare, driverPackage: { ...remote, namedFlavor: 'host' } }, settings)).toMatchObject({
      is: 'blocked',
    });
  });

  test('of an unknown version is planned all the same', () => {
    const verdict = judge({ ...done, driverPackage: { ...remote, namedVersion: undefined } }, settings);
    expect(verdict).toMatchObject({ is: 'due', changes: [{ kind: 'install-driver' }] });
  });
});

test('a driver that is newer than the one on the host is installed with a warning', () => {
  const gpu = { address: '0000:00:06.0', device: '2236', kind: '3d', driver: undefined, mode: 'vgpu' } as const;
  const on = (version: string) => judge({ ...bare, gpus: [{ ...gpu, host: { version, branch: 'R' } }] });
  expect(on('535.129.03')).toMatchObject({
    is: 'due',
    warnings: [expect.stringContaining("newer branch than the host's 535.129.03")],
  });
  for (const version of ['570.124.03', '580.95.05']) expect(on(version)).not.toHaveProperty('warnings');
});

test('a driver that does not work is explained by what the kernel says', () => {
  const fault = {
    line: '[ 9.1] NVRM: GPU 0000:00:06.0: RmInitAdapter failed! (0x22:0x40:762)',
    cause: 'the driver cannot start the GPU',
    remedy: 'use another',
  };
  const seen: Seen = {
    ...done,
    smi: { answers: false, problem: 'No devices were found', code: 6 },
    driverTrouble: { from: 'dmesg', fault },
  };
  expect(judge(seen)).toEqual({
    is: 'blocked',
    because: `driver ${VERSION} is loaded, but nvidia-smi says: No devices were found; dmesg has why: ${fault.line} (${fault.cause})`,
    remedy: 'use another',
  });
});
