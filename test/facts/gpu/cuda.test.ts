import { describe, expect, test } from 'vitest';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { FAMILIES } from '../../../src/facts/families.ts';
import { CUDA_PROOF, readSolution } from '../../../src/facts/gpu/cuda.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { buildStandInCuda } from '../../helpers/stand-in-cuda.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const NVCC = (release: string) => `echo "Cuda compilation tools, release ${release}, V${release}.93"`;

function look(
  cuda: Settings['cuda'],
  programs: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
) {
  const root = temporaryFolder();
  writeFiles(root, { 'etc/os-release': 'ID=rocky\n', ...files });
  for (const [path, script] of Object.entries(programs)) writeProgram(root, `../../${path}`, script);
  return lookAt(openEyes({ root, env: {} }), configSchema.parse({ cuda })).fact('cuda');
}

describe('the nvcc of a guest', () => {
  test('is the one of the release that is asked for, beside others', async () => {
    const found = await look(
      { packages: ['cuda-toolkit-12-8'] },
      {
        'usr/local/cuda-12.8/bin/nvcc': NVCC('12.8'),
        'usr/local/cuda/bin/nvcc': NVCC('12.4'),
        'usr/bin/nvcc': NVCC('11.5'),
      },
    );
    expect(found).toMatchObject({
      release: '12.8',
      nvcc: { version: '12.8.93', path: '/usr/local/cuda-12.8/bin/nvcc' },
      others: ['12.4', '11.5'],
    });
  });

  test('of another release is no answer, and any will do where none is named', async () => {
    const other = { 'usr/bin/nvcc': NVCC('11.5') };
    expect(await look({ packages: ['cuda-toolkit-12-8'] }, other)).toMatchObject({ nvcc: undefined, others: ['11.5'] });
    expect(await look({ packages: ['nvidia-cuda-toolkit'] }, other)).toMatchObject({ nvcc: { path: '/usr/bin/nvcc' } });
  });

  test('that is broken is none', async () => {
    const broken = { 'usr/local/cuda/bin/nvcc': 'echo "error while loading shared libraries" >&2; exit 127' };
    expect((await look({ packages: ['cuda-toolkit-12-8'] }, broken)).nvcc).toBeUndefined();
  });
});

test('a runfile is looked at as long as its toolkit is not there, and hashed only where that is asked for', async () => {
  const { name, text } = buildStandInCuda();
  const asked = { package: `/opt/${name}` };
  const files = { [`opt/${name}`]: text };
  expect(await look(asked, {}, files)).toMatchObject({
    release: '12.8',
    runfile: { is: 'runfile', version: '12.8.1', sizeBytes: text.length, sha256: undefined },
  });
  const hashed = await look({ ...asked, sha256: '0'.repeat(64) }, {}, files);
  expect(hashed.runfile).toMatchObject({ sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect((await look(asked, {})).runfile).toEqual({ is: 'missing' });
  expect((await look(asked, {})).release).toBe('12.8');
  expect((await look(asked, { 'usr/local/cuda/bin/nvcc': NVCC('12.8') }, files)).runfile).toBeUndefined();
});

test.each([
  [
    '{"toolkit":"12.8.93","driver":"570.211.01","passed":false,"said":"no"}',
    { toolkit: '12.8.93', driver: '570.211.01', passed: false, said: 'no' },
  ],
  ['{"toolkit":"12.8.93"}', undefined],
  ['{"toolkit":', undefined],
  ['null', undefined],
])('a proof that reads %s is %j', async (text, proof) => {
  const found = await look({ packages: ['cuda-toolkit-12-8'] }, {}, { [CUDA_PROOF.slice(1)]: text });
  expect(found.proof).toEqual(proof);
});

test('nothing is looked at where no toolkit is asked for', async () => {
  expect(await look(undefined, { 'usr/bin/nvcc': NVCC('12.8') })).toMatchObject({ nvcc: undefined, proof: undefined });
});

/** Answers as these programs print them; the names of drivers are those of NVIDIA's repositories. */
const DNF = `Last metadata expiration check: 0:12:41 ago on Fri 20 Nov 2026 04:48:46 PM UTC.
Dependencies resolved.
================================================================================
 Package                        Arch   Version           Repository        Size
================================================================================
Installing:
 cuda-12-8                      x86_64 12.8.1-1          cuda-rhel9-x86_64 7.4 k
Installing dependencies:
 cuda-nvcc-12-8                 x86_64 12.8.93-1         cuda-rhel9-x86_64  84 M
 xorg-x11-drv-nvidia-cuda-libs-with-a-long-name
                                x86_64 3:570.124.06-1    cuda-rhel9-x86_64  51 M
 kmod-nvidia-open-dkms          noarch 3:570.124.06-1    cuda-rhel9-x86_64  11 M

Transaction Summary
================================================================================
Install  4 Packages

Total download size: 146 M
`;
const ZYPPER = `Loading repository data...
Reading installed packages...
Resolving package dependencies...

The following 3 NEW packages are going to be installed:
  cuda-nvcc-12-8 cuda-toolkit-12-8
  nvidia-compute-G06

The following package is going to be upgraded:
  libxml2-2

1 package to upgrade, 3 new.
`;
const APT = `NOTE: This is only a simulation!
Reading package lists...
The following NEW packages will be installed:
  cuda-nvcc-12-8 libnvidia-compute-570
Inst libnvidia-compute-570 (570.124.06-0ubuntu1 NVIDIA CUDA:1.0 [amd64])
Inst cuda-nvcc-12-8:amd64 (12.8.93-1 NVIDIA CUDA:1.0 [amd64])
Conf libnvidia-compute-570 (570.124.06-0ubuntu1 NVIDIA CUDA:1.0 [amd64])
`;

test.each([
  [
    'rhel',
    { code: 1, stdout: DNF, stderr: 'Operation aborted.' },
    ['xorg-x11-drv-nvidia-cuda-libs-with-a-long-name', 'kmod-nvidia-open-dkms'],
  ],
  ['suse', { code: 0, stdout: ZYPPER, stderr: '' }, ['nvidia-compute-G06']],
  ['debian', { code: 0, stdout: APT, stderr: '' }, ['libnvidia-compute-570']],
  ['debian', { code: 0, stdout: APT.replaceAll('libnvidia-compute-570', 'libcuda1'), stderr: '' }, ['libcuda1']],
  ['debian', { code: 0, stdout: '0 upgraded, 0 newly installed', stderr: '' }, []],
] as const)('the drivers that a solution of the %s family would bring are named', (id, outcome, drivers) => {
  const family = FAMILIES.find(candidate => candidate.id === id)!;
  expect(readSolution(family, family.managers[0]!, outcome)).toEqual({ is: 'known', drivers });
});

test('problems that dnf tells in rows of the same shape are no packages', () => {
  const family = FAMILIES.find(({ id }) => id === 'rhel')!;
  const stdout = 'Error: \n Problem: conflicting requests\n  - nothing provides libfoo\n';
  expect(readSolution(family, family.managers[0]!, { code: 1, stdout, stderr: '' })).toEqual({
    is: 'unknown',
    because: 'dnf says: Problem: conflicting requests',
  });
});

test('a package manager that does not know them is quoted', () => {
  const family = FAMILIES.find(({ id }) => id === 'debian')!;
  const outcome = {
    code: 100,
    stdout: 'Reading package lists...\n',
    stderr: 'E: Unable to locate package cuda-toolkit-12-8\n',
  };
  expect(readSolution(family, family.managers[0]!, outcome)).toEqual({
    is: 'unknown',
    because: 'apt-get says: E: Unable to locate package cuda-toolkit-12-8',
  });
});
