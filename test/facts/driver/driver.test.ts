import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { isDriverInPlace } from '../../../src/facts/driver/driver.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const KERNEL = '5.14.0-503.14.1.el9_5.x86_64';

function guestWith(files: Record<string, string> = {}, programs: { modinfo?: string; dkms?: string } = {}) {
  const root = temporaryFolder();
  // DKMS is asked where its tree is not plain
  const tree = programs.dkms ? { 'var/lib/dkms/nvidia/original_module/a.ko': '' } : {};
  writeFiles(root, { 'proc/sys/kernel/osrelease': `${KERNEL}\n`, ...tree, ...files });
  for (const [name, script] of Object.entries(programs)) writeProgram(root, name, script);
  return lookAt(openEyes({ root, env: {} }), configSchema.parse({}));
}

test('a bare guest has no driver, and nothing that looks for one fails', async () => {
  expect(await guestWith().fact('driver')).toEqual({
    installed: undefined,
    onDisk: undefined,
    loaded: undefined,
    dkms: undefined,
    unanswered: { modinfo: 'modinfo nvidia: exit code 127' },
  });
});

test('each place tells its own version', async () => {
  const look = guestWith(
    {
      'var/lib/nvidia/log':
        '1.0-57021101 (570.211.01)\nNVIDIA Accelerated Graphics Driver for Linux-x86_64\n1 /usr/bin/nvidia-smi\n',
      'sys/module/nvidia/version': '535.129.03\n',
      'proc/driver/nvidia/version': 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  525.60.13  Thu\n',
    },
    {
      modinfo: `[ "$*" = '-F version -k ${KERNEL} nvidia' ] && echo 550.54.14`,
      dkms: `echo 'nvidia/570.211.01, ${KERNEL}, x86_64: installed'; echo 'zfs/2.1.5: added'`,
    },
  );
  expect(await look.fact('driver')).toEqual({
    installed: '570.211.01',
    onDisk: '550.54.14',
    loaded: '535.129.03',
    isOpen: false,
    dkms: [
      {
        module: 'nvidia',
        version: '570.211.01',
        kernel: KERNEL,
        architecture: 'x86_64',
        status: 'installed',
        warning: undefined,
      },
    ],
  });
});

test.each([
  ['of this boot is under way', '"bootId":"b7f1"', {}],
  ['of this boot was killed', '"bootId":"b7f1","isKilled":true', { cut: 'signal' }],
  ['of an earlier boot was cut', '"bootId":"5c02"', { cut: 'boot' }],
  ['of an earlier boot was killed, and cut as well', '"bootId":"5c02","isKilled":true', { cut: 'boot' }],
])('an installation that has begun and %s', async (_how, known, cut) => {
  const look = guestWith({
    'proc/sys/kernel/random/boot_id': 'b7f1\n',
    'var/lib/vgpu-guest/installing.json': `{"version":"570.211.01",${known}}\n`,
    'var/lib/dkms/nvidia/570.211.01/build/make.log': '',
    'var/lib/dkms/nvidia/kernel-6.4.0-x86_64': '',
  });
  const { begun, inTree } = await look.fact('driver');
  expect([begun, inTree]).toEqual([{ version: '570.211.01', ...cut }, ['570.211.01']]);
});

test('what this program did not write tells of no installation', async () => {
  const look = guestWith({ 'var/lib/vgpu-guest/installing.json': '{' });
  expect(await look.fact('driver')).not.toHaveProperty('begun');
});

// The first is recorded on a real machine with the open modules; the second is typed after one with NVIDIA's own.
test.each([
  [
    readFileSync(
      new URL('../../fixtures/driver/h200-passthrough-580.159.04-proc-version.txt', import.meta.url),
      'utf8',
    ),
    '580.159.04',
    true,
  ],
  ['NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\n', '535.129.03', false],
])(
  'without a version in /sys the kernel is asked in /proc, and whose modules these are (%#)',
  async (text, version, isOpen) => {
    const look = guestWith({ 'proc/driver/nvidia/version': text });
    expect(await look.fact('driver')).toMatchObject({ loaded: version, isOpen });
  },
);

test('a DKMS that fails knows what it has printed', async () => {
  const look = guestWith({}, { dkms: "echo 'nvidia/470.63.01: broken'; echo 'Error! nvidia' >&2; exit 4" });
  expect((await look.fact('driver')).dkms).toMatchObject([{ version: '470.63.01', status: 'broken' }]);
});

test.each([
  ['exit 1', 'exit 0', {}],
  ['echo 570.211.01', "echo 'zfs/2.1.5: added'", {}],
  ['true', 'true', {}],
  ['kill -SEGV $$', 'true', { modinfo: 'modinfo nvidia: exit code 139 (SIGSEGV)' }],
  ['echo Modul fehlt', 'true', { modinfo: 'modinfo nvidia: exit code 0 (Modul fehlt)' }],
  ['exit 1', 'echo Modul fehlt', { dkms: 'dkms status: exit code 0 (Modul fehlt)' }],
  ['exit 1', 'echo "Error! No dkms.conf" >&2; exit 4', { dkms: 'dkms status: exit code 4 (Error! No dkms.conf)' }],
])('what is no answer is known to be none: %s, %s', async (modinfo, dkms, unanswered) => {
  expect((await guestWith({}, { modinfo, dkms }).fact('driver')).unanswered ?? {}).toEqual(unanswered);
});

test('what is no answer is told up to a bound', async () => {
  const { unanswered } = await guestWith({}, { dkms: 'head -c 5000000 /dev/zero | tr "\\0" x' }).fact('driver');
  expect(unanswered?.dkms).toBe(`dkms status: exit code 0 (${'x'.repeat(200)})`);
});

test('a module that is not there for this kernel is not on disk', async () => {
  const look = guestWith({}, { modinfo: 'echo "modinfo: ERROR: Module nvidia not found." >&2; exit 1' });
  expect((await look.fact('driver')).onDisk).toBeUndefined();
});

test('a driver is in place when package, module, DKMS and nvidia-smi are there', async () => {
  const system = await guestWith().fact('system');
  const entry = { module: 'nvidia', version: '570.211.01', kernel: KERNEL, architecture: 'x86_64', warning: undefined };
  const driver = {
    installed: '570.211.01',
    onDisk: '570.211.01',
    loaded: undefined,
    dkms: [{ ...entry, status: 'installed' }],
  };
  const smi = { answers: false, problem: 'it has failed', code: 9 } as const;
  const config = configSchema.parse({});
  expect(isDriverInPlace('570.211.01', config, { driver, smi, system })).toBe(true);
  expect(isDriverInPlace('550.54.14', config, { driver, smi, system })).toBe(false);
  expect(isDriverInPlace('570.211.01', config, { driver, smi: { ...smi, code: 127 }, system })).toBe(false);
  for (const change of [
    { installed: undefined },
    { onDisk: undefined },
    { dkms: undefined },
    { dkms: [{ ...entry, status: 'built' }] },
    { dkms: [{ ...entry, kernel: 'another', status: 'installed' }] },
  ]) {
    expect(isDriverInPlace('570.211.01', config, { driver: { ...driver, ...change }, smi, system })).toBe(false);
  }
  const without = configSchema.parse({ driver: { dkms: false } });
  expect(isDriverInPlace('570.211.01', without, { driver: { ...driver, dkms: undefined }, smi, system })).toBe(true);
});
