import { describe, expect, test } from 'vitest';
import type { Verdict } from '../../../src/change.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { plan } from '../../../src/engine/plan.ts';
import type { Facts } from '../../../src/facts/facts.ts';
import type { ChangedFile, RecordFact } from '../../../src/facts/record.ts';
import { NOTHING_CHANGED } from '../../../src/formats/change-record.ts';
import type { RevertOptions } from '../../../src/steps/revert/changed-files.ts';
import { revertJourney } from '../../../src/steps/revert/revert-journey.ts';

const config = configSchema.parse({});
const NO: RevertOptions = { driver: false, packages: false, force: false };
const ALL: RevertOptions = { driver: true, packages: true, force: false };
const OURS = 'b'.repeat(64);
const BLACKLIST = '/etc/modprobe.d/50-blacklist.conf';
const made = (path: string, changedUs = 1): ChangedFile => ({
  path,
  before: null,
  ours: [OURS],
  hasOriginal: false,
  now: { sha256: OURS, mode: 0o644, changedUs },
});
const recordOf = (files: readonly ChangedFile[], more: Partial<RecordFact> = {}): RecordFact => ({
  unreadable: undefined,
  toolkits: [],
  record: {
    ...NOTHING_CHANGED,
    files: Object.fromEntries(files.map(({ path, before, ours }) => [path, { before, ours: [...ours] }])),
    units: { 'nvidia-gridd.service': { enabled: '', active: 'inactive' } },
    packages: ['gcc-7-3.9.1.x86_64'],
    driver: { version: '570.211.01', before: null },
  },
  files,
  folders: [],
  moves: [],
  originals: [],
  state: ['changes.json'],
  ...more,
});

/** A guest that `apply` has brought to its license. */
const LICENSED = {
  system: { readOnly: undefined },
  goesOn: { resume: false, firstBoot: false, licenseTimer: false },
  ownUnits: {},
  record: recordOf([made(BLACKLIST), made('/etc/nvidia/gridd.conf')]),
  gridd: { unit: { load: 'loaded', active: 'active', enabled: 'enabled' } },
  driver: { installed: '570.211.01', onDisk: '570.211.01', loaded: '570.211.01', dkms: [] },
  installedDriver: { uninstaller: ['nvidia-uninstall'], kernels: ['6.4.0'], ours: ['570.211.01'] },
  gpuHolders: [],
  screen: { graphical: false, xServers: [] },
  carried: {
    images: [{ kernel: '6.4.0', path: '/boot/initrd-6.4.0', sizeBytes: 100, modifiedUs: 5, carries: [BLACKLIST] }],
    kept: [{ path: '/boot/initrd-6.4.0.before-vgpu-guest', sizeBytes: 100 }],
  },
  initrds: { builder: 'dracut', images: [], freeBytes: 1_000, dropIn: undefined },
  addedPackages: { there: ['gcc-7-3.9.1.x86_64'], removable: ['gcc-7-3.9.1.x86_64'], needed: [], problem: undefined },
  reverted: { inThisBoot: false, hasNouveau: true },
  gpus: [{ address: '0000:00:06.0', driver: 'nvidia' }],
  smi: { answers: true, gpus: [] },
  blacklist: { own: undefined, rivals: ['nouveau'], holders: new Map([['nouveau', { path: BLACKLIST }]]) },
} as unknown as Facts;
const GONE = {
  driver: { installed: undefined, onDisk: undefined, loaded: undefined, dkms: [] },
  installedDriver: { uninstaller: undefined, kernels: [], ours: [] },
} as unknown as Partial<Facts>;

function verdicts(options: RevertOptions, more: Partial<Facts> = {}): Record<string, Verdict> {
  const planned = plan(revertJourney(options), config, { ...LICENSED, ...more });
  return Object.fromEntries(planned.map(({ step, verdict }) => [step.id, verdict]));
}
const dueOf = (all: Record<string, Verdict>) => Object.keys(all).filter(id => all[id]?.is === 'due');
const kindsOf = (verdict: Verdict | undefined) =>
  verdict?.is === 'due' ? verdict.changes.map(({ kind }) => kind) : [];

describe('a licensed guest', () => {
  test('keeps its driver, and with it the blacklist, the initrd and the packages, and is told how they go', () => {
    const all = verdicts(NO);
    expect(dueOf(all)).toEqual(['return-license', 'restore-files', 'forget-changes']);
    expect(all['remove-driver']).toMatchObject({ is: 'settled', warnings: [expect.stringContaining('--driver')] });
    expect(all['restore-blacklist']).toMatchObject({
      because: expect.stringContaining('driver 570.211.01 needs them'),
    });
    expect(all['remove-packages']).toMatchObject({ warnings: [expect.stringContaining('--packages')] });
  });

  test('keeps on record what stays', () => {
    const forget = verdicts(NO)['forget-changes'];
    const [change] = forget?.is === 'due' ? forget.changes : [];
    const stays = JSON.parse(change?.kind === 'forget-changes' ? (change.stays ?? '{}') : '{}');
    expect(Object.keys(stays.files)).toEqual([BLACKLIST]);
    expect(stays).toMatchObject({ packages: ['gcc-7-3.9.1.x86_64'], driver: { version: '570.211.01' }, units: {} });
  });

  test('loses everything in an order in which a cut leaves no GPU between two drivers', () => {
    const all = verdicts(ALL);
    expect(dueOf(all)).toEqual([
      ...['return-license', 'restore-files', 'remove-driver', 'restore-blacklist', 'restore-initrd'],
      ...['remove-packages', 'forget-changes', 'return-to-nouveau'],
    ]);
    expect(kindsOf(all['restore-initrd'])).toEqual(['remove', 'rebuild-initrd', 'remove']);
    expect(all['restore-initrd']).toMatchObject({ changes: [{}, { lacks: [BLACKLIST] }, {}] });
    expect(all['forget-changes']).toMatchObject({ changes: [{ because: 'everything is as it was' }] });
  });
});

describe('the driver is not taken away', () => {
  test.each<[string, Partial<Facts>, RegExp]>([
    [
      'while somebody uses the GPU',
      { gpuHolders: [{ pid: 7, name: 'python', unit: undefined, device: '/dev/nvidia0' }] },
      /process 7 \(python\)/,
    ],
    [
      'while an X server runs outside of the graphical target',
      { screen: { ...LICENSED.screen, xServers: [1] } },
      /display :1/,
    ],
    [
      'from a terminal on the very screen that it would end',
      { screen: { ...LICENSED.screen, graphical: true, xServers: [0] }, foothold: { evidence: 'session 2' } } as never,
      /would end with it: session 2/,
    ],
    [
      'without an uninstaller',
      { installedDriver: { ...LICENSED.installedDriver, uninstaller: undefined } },
      /neither nvidia-uninstall nor/,
    ],
    [
      'that this program has not installed',
      { installedDriver: { ...LICENSED.installedDriver, ours: [] } },
      /was not installed by vgpu-guest/,
    ],
    [
      'on a root that cannot be written',
      { system: { readOnly: { because: '/ is read-only', remedy: 'remount' } } as Facts['system'] },
      /read-only/,
    ],
  ])('%s', (_, more, because) => {
    expect(verdicts(ALL, more)['remove-driver']).toMatchObject({
      is: 'blocked',
      because: expect.stringMatching(because),
    });
  });

  test('by name where it took the place of another one', () => {
    const record = recordOf([], {});
    const before = { ...record, record: { ...record.record, driver: { version: '570.211.01', before: '535.1' } } };
    expect(verdicts(ALL, { record: before })['remove-driver']).toMatchObject({
      warnings: ['driver 535.1, which was there before driver 570.211.01, does not come back by itself'],
    });
  });
});

describe('an initrd', () => {
  const files = [{ ...made(BLACKLIST), now: undefined }];
  test('that still carries what is gone from disk is built anew, of whichever kernel', () => {
    const image = (kernel: string, carries: readonly string[] | undefined) => ({
      kernel,
      path: `/boot/initrd-${kernel}`,
      sizeBytes: 100,
      modifiedUs: 5,
      carries,
    });
    const images = [
      image('6.4.0', [BLACKLIST]),
      image('5.3.18', [BLACKLIST]),
      image('6.5.0', []),
      image('6.6.0', undefined),
    ];
    const verdict = verdicts(ALL, { ...GONE, record: recordOf(files), carried: { images, kept: [] } })[
      'restore-initrd'
    ];
    const rebuilt =
      verdict?.is === 'due'
        ? verdict.changes.flatMap(change => (change.kind === 'rebuild-initrd' ? [change.kernel] : []))
        : [];
    expect(rebuilt).toEqual(['6.4.0', '5.3.18', '6.6.0']);
  });

  test('is not begun where /boot has no room for it, the kept image counted', () => {
    const initrds = { ...LICENSED.initrds, freeBytes: 20 };
    expect(verdicts(ALL, { initrds })['restore-initrd']).toMatchObject({
      is: 'blocked',
      because: expect.stringContaining('/boot has'),
    });
    expect(verdicts(ALL, { initrds: { ...initrds, freeBytes: 40 } })['restore-initrd']).toMatchObject({ is: 'due' });
  });
});

describe('nvidia-gridd', () => {
  const units = (enabled: string, active: string) => {
    const record = recordOf([made('/etc/nvidia/gridd.conf')]);
    return { ...record, record: { ...record.record, units: { 'nvidia-gridd.service': { enabled, active } } } };
  };
  test('that ran before is stopped for its files, and runs again', () => {
    const all = verdicts(NO, { record: units('disabled', 'active') });
    expect(all['return-license']).toMatchObject({ is: 'due', changes: [{ action: 'stop' }] });
    expect(all['restore-services']).toMatchObject({ is: 'due', changes: [{ action: 'disable' }, { action: 'start' }] });
  });

  test('of which nothing is to be put back is left alone', () => {
    const record = { ...units('enabled', 'active'), files: [{ ...made('/etc/nvidia/gridd.conf'), now: undefined }] };
    const all = verdicts(NO, { record });
    expect([all['return-license']?.is, all['restore-services']?.is]).toEqual(['settled', 'settled']);
  });
});

describe('packages', () => {
  test('stay while the driver stays that is built with them', () => {
    expect(verdicts({ ...NO, packages: true })['remove-packages']).toMatchObject({
      is: 'blocked',
      remedy: expect.stringContaining('--driver'),
    });
  });

  test('of which nobody can tell whether others need them stay', () => {
    const addedPackages = { ...LICENSED.addedPackages, removable: [], problem: 'rpmdb is locked' };
    expect(verdicts(ALL, { addedPackages })['remove-packages']).toMatchObject({
      is: 'blocked',
      because: expect.stringContaining('rpmdb is locked'),
    });
  });
});

describe('a reboot', () => {
  const after = {
    ...GONE,
    record: recordOf([], { state: undefined, record: NOTHING_CHANGED }),
    carried: { images: [], kept: [] },
  };
  const blacklist = { ...LICENSED.blacklist, holders: new Map() } as Facts['blacklist'];
  const gpus = [{ address: '0000:00:06.0', driver: undefined }] as unknown as Facts['gpus'];
  const reverted = { inThisBoot: true, hasNouveau: true };
  test('is asked for where nouveau waits for it, in the boot of the revert alone', () => {
    expect(verdicts(NO, { ...after, blacklist, gpus, reverted })['return-to-nouveau']).toMatchObject({ is: 'due' });
    expect(verdicts(NO, { ...after, blacklist, gpus })['return-to-nouveau']).toMatchObject({ is: 'settled' });
  });

  test('is asked for where the driver is still in memory', () => {
    const driver = { ...GONE.driver, loaded: '570.211.01' } as Facts['driver'];
    expect(verdicts(NO, { ...after, driver, blacklist, gpus, reverted })['return-to-nouveau']).toMatchObject({
      changes: [{ because: expect.stringContaining('still in memory') }],
    });
  });

  test('is not asked for where this kernel has no nouveau, or somebody else keeps it away', () => {
    const without = { ...reverted, hasNouveau: false };
    expect(verdicts(NO, { ...after, blacklist, gpus, reverted: without })['return-to-nouveau']?.is).toBe('settled');
    expect(verdicts(NO, { ...after, gpus, reverted })['return-to-nouveau']?.is).toBe('settled');
  });
});

describe('a GPU whose ECC apply has turned off', () => {
  const address = '0000:00:06.0';
  const settings = { ...NOTHING_CHANGED, ecc: { [address]: 'on' as const } };
  const record = recordOf([], { record: settings });
  const smiWith = (current: string, pending: string) =>
    ({ answers: true, gpus: [{ address, ecc: { current, pending } }] }) as unknown as Facts['smi'];
  const addedPackages = { there: [], removable: [], needed: [], problem: undefined };
  const seen = (smi: Facts['smi'], more: Partial<Facts> = {}) => ({ record, addedPackages, smi, ...more });
  const staysOf = (verdict: Verdict | undefined) =>
    verdict?.is === 'due' && verdict.changes[0].kind === 'forget-changes' ? verdict.changes[0].stays : 'kept';

  test('has it again after the next boot', () => {
    const all = verdicts(NO, seen(smiWith('Disabled', 'Disabled')));
    expect(all['restore-ecc']).toMatchObject({
      changes: [
        { kind: 'mark-boot' },
        { kind: 'restore-ecc', address, ecc: 'on', because: `ECC of the GPU ${address} was on before` },
      ],
    });
    expect(staysOf(all['forget-changes'])).toBeUndefined();
    expect(kindsOf(all['return-to-nouveau'])).toEqual(['reboot']);
  });

  test('is let alone where somebody has turned it on again', () => {
    const all = verdicts(NO, seen(smiWith('Disabled', 'Enabled')));
    expect(all['restore-ecc']?.is).toBe('settled');
    expect(staysOf(all['forget-changes'])).toBeUndefined();
  });

  test.each<[string, RevertOptions, Facts['smi'], RegExp]>([
    ['no driver can tell it', NO, { answers: false, problem: 'there is no nvidia-smi', code: 127 }, /no nvidia-smi/],
    ['that GPU is gone', NO, { ...smiWith('Disabled', 'Disabled'), gpus: [] } as Facts['smi'], /-e 1 sets it$/],
  ])('stays as it is where %s, and on record', (_, options, smi, warning) => {
    const all = verdicts(options, seen(smi));
    expect(all['restore-ecc']).toMatchObject({ is: 'settled', warnings: [expect.stringMatching(warning)] });
    expect(all['forget-changes']).toMatchObject({ is: 'settled', because: 'on record is what is still changed' });
  });

  test('has it again where changed files are forced back as well', () => {
    const all = verdicts({ ...NO, force: true }, seen(smiWith('Disabled', 'Disabled')));
    expect(kindsOf(all['restore-ecc'])).toEqual(['mark-boot', 'restore-ecc']);
  });

  test('asks for the reboot until there was one', () => {
    const reverted = { inThisBoot: true, hasNouveau: true };
    const restored = seen(smiWith('Disabled', 'Enabled'), { record: recordOf([]) });
    expect(verdicts(NO, { ...restored, reverted })['return-to-nouveau']).toMatchObject({
      changes: [{ because: `ECC of the GPU ${address} is Disabled until a reboot, then Enabled` }],
    });
    expect(verdicts(NO, restored)['return-to-nouveau']?.is).toBe('settled');
  });
});
