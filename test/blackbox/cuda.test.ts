import { describe, expect, test } from 'vitest';
import { type FolderGuest, makeFolderGuest, type Ran } from '../helpers/folder-guest.ts';
import { addCudaRepository, buildStandInCuda } from '../helpers/stand-in-cuda.ts';

const READY = { nouveau: 'not-bound', prerequisites: 'installed' } as const;
const PROOF = '/var/lib/vgpu-guest/cuda-proof.json';
const SECOND_DRIVER = '/var/lib/stubs/second-driver';

interface Step {
  readonly id: string;
  readonly outcome: string;
  readonly because: string;
  readonly remedy?: string;
}

const stepOf = ({ stdout }: Ran) =>
  (JSON.parse(stdout) as { readonly steps: readonly Step[] }).steps.find(({ id }) => id === 'install-cuda');
const programs = (guest: FolderGuest) => guest.calls('change').map(({ program }) => program);

/** A guest that asks for the toolkit beside its driver. */
function withCuda(family: 'suse' | 'rhel' | 'debian', cuda: string, more: object = {}): FolderGuest {
  const guest = makeFolderGuest({ family, ...READY, ...more });
  ask(guest, cuda);
  return guest;
}

function ask(guest: FolderGuest, cuda: string): void {
  const text = (guest.read('/etc/vgpu-guest/config.yaml') ?? '').replace(/cuda:.*\n/, '');
  guest.write('/etc/vgpu-guest/config.yaml', `${text}cuda: { ${cuda} }\n`);
}

function addRunfile(guest: FolderGuest): string {
  const { name, text } = buildStandInCuda();
  guest.write(`/opt/${name}`, text, 0o755);
  return `package: /opt/${name}`;
}

async function expectSettled(guest: FolderGuest): Promise<void> {
  guest.forgetCalls();
  const tree = JSON.stringify(guest.manifest());
  const second = await guest.vgpuGuest(['apply', '--json']);
  expect(JSON.parse(second.stdout)).toMatchObject({ outcome: 'settled', changed: false });
  expect(guest.calls('change')).toEqual([]);
  expect(JSON.stringify(guest.manifest())).toBe(tree);
}

describe.each(['suse', 'debian'] as const)('a guest of the %s family with the runfile of the toolkit', family => {
  test('gets the toolkit and no second driver, sees it work once, and is then left alone', async () => {
    using guest = withCuda(family, 'package: /opt/cuda_12.8.1_570.124.06_linux.run', { repositoryLacks: [] });
    addRunfile(guest);
    const plan = await guest.vgpuGuest(['plan', '--json']);
    expect(JSON.parse(plan.stdout).steps.at(-1)).toMatchObject({
      id: 'install-cuda',
      verdict: { is: 'due', changes: [{ kind: 'install-cuda' }, { kind: 'prove-cuda' }] },
    });
    expect(guest.calls('change')).toEqual([]);
    const first = await guest.vgpuGuest(['apply', '--json']);
    expect(first.code, first.stderr).toBe(0);
    expect(stepOf(first)).toMatchObject({ outcome: 'changed' });
    const run = guest.calls('change').find(({ args }) => args[0]?.endsWith('_linux.run'));
    expect(run?.args.slice(1)).toEqual(['--silent', '--toolkit', '--tmpdir=/var/lib/vgpu-guest/unpacked']);
    expect(guest.read(SECOND_DRIVER)).toBeUndefined();
    expect(guest.list('/var/lib/vgpu-guest')).not.toContain('unpacked');
    expect(guest.list('/tmp')).toEqual([]);
    expect(JSON.parse(guest.read(PROOF) ?? '')).toEqual({ toolkit: '12.8.93', driver: '570.211.01', passed: true });
    await expectSettled(guest);
    expect((await guest.vgpuGuest(['status'])).stdout).toMatch(/^CUDA +12\.8\.93, seen to work with this driver$/m);
  });

  test('is told by revert what takes the toolkit away, for as long as it is there', async () => {
    using guest = withCuda(family, 'package: /opt/cuda_12.8.1_570.124.06_linux.run', { repositoryLacks: [] });
    addRunfile(guest);
    expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
    const uninstaller = 'CUDA toolkit 12.8 stays: its own /usr/local/cuda-12.8/bin/cuda-uninstaller takes it away';
    for (let time = 1; time <= 2; time++)
      expect((await guest.vgpuGuest(['revert', '--driver', '--packages'])).stderr).toContain(uninstaller);
    guest.remove('/usr/local/cuda-12.8');
    const last = await guest.vgpuGuest(['revert', '--driver', '--packages']);
    expect(last.stderr).not.toContain('CUDA');
    expect(guest.list('/var/lib/vgpu-guest')).toEqual([]);
  });
});

describe.each(['suse', 'rhel', 'debian'] as const)('a guest of the %s family with packages of the toolkit', family => {
  test('gets them from its repositories', async () => {
    using guest = withCuda(family, 'packages: [cuda-toolkit-12-8]');
    addCudaRepository(guest);
    const first = await guest.vgpuGuest(['apply', '--json']);
    expect(first.code, first.stderr).toBe(0);
    expect(stepOf(first)).toMatchObject({ outcome: 'changed' });
    expect(guest.read(SECOND_DRIVER)).toBeUndefined();
    await expectSettled(guest);
  });

  test('is refused those that would bring a driver, by name, and nothing is installed', async () => {
    using guest = withCuda(family, 'packages: [cuda-12-8]');
    addCudaRepository(guest);
    const ran = await guest.vgpuGuest(['apply', '--only', 'install-driver', '--only', 'install-cuda', '--json']);
    const step = stepOf(ran);
    expect(['blocked', 'failed']).toContain(step?.outcome);
    expect(step?.because).toMatch(
      /would bring a driver beside the one that is there: cuda-drivers, nvidia-(driver-570|compute-G06)$/,
    );
    expect(step?.remedy).toContain('cuda-toolkit-12-8');
    expect(guest.read(SECOND_DRIVER)).toBeUndefined();
    expect(guest.list('/usr/local')).not.toContain('cuda-12.8');
  });
});

test('a guest whose package manager has no lists yet gets them, and the toolkit', async () => {
  using guest = withCuda('rhel', 'packages: [cuda-toolkit-12-8]');
  addCudaRepository(guest);
  guest.write('/var/lib/stubs/no-dnf-cache', '');
  const { code, stderr } = await guest.vgpuGuest(['apply']);
  expect(code, stderr).toBe(0);
  expect(guest.read(PROOF)).toContain('"passed": true');
});

test('a guest without a C++ compiler gets it before the runfile', async () => {
  using guest = await licensed();
  guest.remove('/usr/bin/g++');
  guest.write('/var/lib/stubs/packages', (guest.read('/var/lib/stubs/packages') ?? '').replace(/^gcc-c\+\+.*\n/m, ''));
  ask(guest, addRunfile(guest));
  guest.forgetCalls();
  expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
  expect(programs(guest)).toEqual(['zypper', 'sh', 'nvcc', 'sample']);
  await expectSettled(guest);
});

describe('a program that does not work', () => {
  test.each([
    [
      'CUDA driver version is insufficient for CUDA runtime version',
      'the driver is too old for this toolkit',
      /install a newer driver/,
    ],
    [
      'all CUDA-capable devices are busy or unavailable',
      'an unlicensed vGPU, whose CUDA is reduced after some time, may be the reason',
      /vgpu-guest doctor says why/,
    ],
    ['something that nobody has seen yet', 'cudaMalloc: something', /by hand/],
  ])('for "%s" fails the run with that line and its cause, and is tried again', async (said, cause, remedy) => {
    using guest = await licensed();
    ask(guest, addRunfile(guest));
    guest.write('/var/lib/stubs/cuda-fault', `${said}\n`);
    const first = await guest.vgpuGuest(['apply', '--json']);
    expect(first.code).toBe(1);
    expect(stepOf(first)?.because).toContain(`cudaMalloc: ${said}`);
    expect(stepOf(first)?.because).toContain(cause);
    expect(stepOf(first)?.remedy).toMatch(remedy);
    expect(JSON.parse(guest.read(PROOF) ?? '')).toMatchObject({ passed: false, said: `cudaMalloc: ${said}` });
    const { findings } = JSON.parse((await guest.vgpuGuest(['doctor', '--json'])).stdout);
    expect(findings).toContainEqual(expect.objectContaining({ id: 'cuda-fails' }));

    guest.remove('/var/lib/stubs/cuda-fault');
    guest.forgetCalls();
    expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
    expect(programs(guest)).toEqual(['nvcc', 'sample']);
    await expectSettled(guest);
  });

  test('is run again with another driver, and a driver that is too old for the toolkit is found', async () => {
    using guest = await licensed();
    ask(guest, addRunfile(guest));
    expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
    const older = guest.addPackage('510.108.03');
    const plan = await guest.vgpuGuest(['plan', '--json', '--driver', older]);
    expect(JSON.parse(plan.stdout).steps.at(-1)).toMatchObject({
      verdict: { is: 'due', changes: [{ kind: 'prove-cuda' }] },
    });
    const ran = await guest.vgpuGuest(['apply', '--json', '--driver', older]);
    expect(ran.code).toBe(1);
    expect(stepOf(ran)?.because).toContain('CUDA 12.8.93 does not work with driver 510.108.03');
    expect(stepOf(ran)?.because).toContain('CUDA driver version is insufficient for CUDA runtime version');
  });

  test('is not looked for where nobody wants the proof', async () => {
    using guest = await licensed();
    ask(guest, `${addRunfile(guest)}, prove: false`);
    guest.write('/var/lib/stubs/cuda-fault', 'no CUDA-capable device is detected\n');
    expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
    expect(programs(guest)).not.toContain('nvcc');
    await expectSettled(guest);
  });
});

describe('a runfile', () => {
  test('that ends well and has installed nothing is not believed', async () => {
    using guest = await licensed();
    ask(guest, addRunfile(guest));
    guest.write(
      '/var/lib/stubs/cuda-runfile',
      '0\n[ERROR]: boost::filesystem::create_directory: No space left on device: "/usr/local/cuda-12.8"\n',
    );
    const ran = await guest.vgpuGuest(['apply', '--json']);
    expect(ran.code).toBe(1);
    expect(stepOf(ran)?.because).toContain('and there is no nvcc 12.8');
    expect(stepOf(ran)?.because).toContain('[ERROR]: boost::filesystem::create_directory: No space left on device');
    expect(stepOf(ran)?.remedy).toContain('make room');
    expect(guest.list('/var/lib/vgpu-guest')).not.toContain('unpacked');
  });

  test.each([
    ['that is not there', 'package: /opt/cuda_12.8.1_570.124.06_linux.run', '', 'is not there'],
    ['that is a driver', 'package: /opt/NVIDIA-Linux-x86_64-570.211.01-grid.run', '', 'instead of cuda-installer'],
    [
      'of another sum',
      'package: /opt/cuda_12.8.1_570.124.06_linux.run',
      `sha256: "${'0'.repeat(64)}"`,
      'cannot be trusted',
    ],
  ])('%s blocks the run before anything is changed', async (_, package_, sum, because) => {
    using guest = await licensed();
    if (sum) addRunfile(guest);
    ask(guest, [package_, sum].filter(Boolean).join(', '));
    guest.forgetCalls();
    const ran = await guest.vgpuGuest(['apply', '--json']);
    expect(ran.code).toBe(4);
    expect(stepOf(ran)).toMatchObject({ outcome: 'blocked', because: expect.stringContaining(because) });
    expect(guest.calls('change')).toEqual([]);
  });
});

async function licensed(): Promise<FolderGuest> {
  const guest = makeFolderGuest({ family: 'suse', ...READY });
  const { code, stderr } = await guest.vgpuGuest(['apply']);
  if (code !== 0) throw new Error(stderr);
  return guest;
}
