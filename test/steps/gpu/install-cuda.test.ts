import { describe, expect, test } from 'vitest';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import type { Facts } from '../../../src/facts/facts.ts';
import type { CudaFact, RunfileFact } from '../../../src/facts/gpu/cuda.ts';
import { installCuda } from '../../../src/steps/gpu/install-cuda.ts';
import { HEALTHY } from '../../helpers/doctor.ts';

const PATH = '/opt/cuda_12.8.1_570.124.06_linux.run';
const GIB = 1024 ** 3;
const place = (path: string, freeGib = 40) => ({ path, freeBytes: freeGib * GIB, mount: '/', noexec: false });
const ROOM: Facts['room'] = {
  workshops: [place('/var/lib/vgpu-guest/unpacked'), place('/root/.vgpu-guest-unpacked')],
  system: place('/usr'),
  local: place('/usr/local'),
  store: place('/var/lib/vgpu-guest/packages'),
};
const RUNFILE: Extract<RunfileFact, { is: 'runfile' }> = {
  is: 'runfile',
  version: '12.8.1',
  release: '12.8',
  architecture: 'x86_64',
  unpackedBytes: undefined,
  sizeBytes: 5 * GIB,
  guestArchitecture: 'x86_64',
  exposed: undefined,
  sha256: undefined,
};
const NVCC = { release: '12.8', version: '12.8.93', path: '/usr/local/cuda-12.8/bin/nvcc' };
const PROOF = { toolkit: '12.8.93', driver: '570.211.01', passed: true };
const NO_DRIVER: Facts['smi'] = { answers: false, problem: 'there is no nvidia-smi', code: 127 };

interface Given {
  readonly asked?: Settings['cuda'];
  readonly cuda?: Partial<CudaFact>;
  readonly room?: Facts['room'];
  readonly smi?: Facts['smi'];
  readonly driverPackage?: Facts['driverPackage'];
  readonly ahead?: readonly string[];
}

function judge({ asked = { package: PATH }, cuda, ahead = [], ...more }: Given) {
  const facts = {
    system: HEALTHY.system,
    smi: HEALTHY.smi,
    room: ROOM,
    driverPackage: { is: 'not-asked-for' } as const,
    ...more,
    cuda: { ...HEALTHY.cuda, release: '12.8', runfile: RUNFILE, cxx: true, ...cuda },
  };
  return installCuda.judge(configSchema.parse({ cuda: asked }), facts, new Set(ahead));
}

const kinds = (verdict: ReturnType<typeof judge>) =>
  verdict.is === 'due' ? verdict.changes.map(change => change.kind) : verdict;

describe('the CUDA toolkit', () => {
  test('of a guest that asks for none is left alone', () => {
    expect(
      installCuda.judge(
        configSchema.parse({}),
        { ...HEALTHY, room: ROOM, driverPackage: { is: 'not-asked-for' } },
        new Set(),
      ),
    ).toMatchObject({ is: 'settled' });
  });

  test('comes from its runfile without a driver, into a folder of root, and is tried then', () => {
    expect(judge({ cuda: { others: ['12.4'] } })).toMatchObject({
      is: 'due',
      changes: [
        {
          kind: 'install-cuda',
          argv: ['sh', PATH, '--silent', '--toolkit', '--tmpdir=/var/lib/vgpu-guest/unpacked'],
          release: '12.8',
          because: 'the CUDA toolkit 12.8 is not installed, only 12.4',
        },
        { kind: 'prove-cuda', because: 'CUDA 12.8 was not seen to work with driver 570.211.01' },
      ],
    });
  });

  test('of a runfile brings the C++ compiler first, once, where there is none', () => {
    expect(kinds(judge({ cuda: { cxx: false } }))).toEqual(['install-packages', 'install-cuda', 'prove-cuda']);
    expect(judge({ cuda: { cxx: false } })).toMatchObject({ changes: [{ packages: ['gcc-c++'] }, {}, {}] });
    expect(kinds(judge({ cuda: { cxx: false, nvcc: NVCC } }))).toEqual(['install-packages', 'prove-cuda']);
    expect(judge({ cuda: { cxx: false, nvcc: NVCC, proof: PROOF } })).toMatchObject({ is: 'settled' });
  });

  test('of packages comes without a driver', () => {
    const asked = { packages: ['cuda-toolkit-12-8'] };
    expect(judge({ asked, cuda: { runfile: undefined } })).toMatchObject({
      changes: [
        { kind: 'install-packages', packages: ['cuda-toolkit-12-8'], without: 'drivers' },
        { kind: 'prove-cuda' },
      ],
    });
    const solution = { is: 'known', drivers: ['cuda-drivers'] } as const;
    expect(judge({ asked, cuda: { runfile: undefined, solution } })).toMatchObject({
      is: 'blocked',
      because: 'cuda-toolkit-12-8 would bring a driver beside the one that is there: cuda-drivers',
    });
    const unknown = { is: 'unknown', because: 'apt-get says: no' } as const;
    expect(judge({ asked, cuda: { runfile: undefined, solution: unknown } })).toMatchObject({ is: 'due' });
  });
});

describe('a toolkit that is there', () => {
  test.each<[string, Partial<CudaFact>, string | undefined]>([
    ['and works', { proof: PROOF }, undefined],
    ['and was never tried', {}, 'CUDA 12.8.93 was not seen to work with driver 570.211.01'],
    [
      'and worked with another driver',
      { proof: { ...PROOF, driver: '550.144.03' } },
      'CUDA 12.8.93 was not seen to work with driver 570.211.01',
    ],
    [
      'and of which another worked',
      { proof: { ...PROOF, toolkit: '12.8.61' } },
      'CUDA 12.8.93 was not seen to work with driver 570.211.01',
    ],
    [
      'and has failed',
      { proof: { ...PROOF, passed: false, said: 'no' } },
      'CUDA 12.8.93 failed with driver 570.211.01: no',
    ],
  ])('%s', (_, cuda, because) => {
    const verdict = judge({ cuda: { nvcc: NVCC, ...cuda } });
    if (because === undefined)
      expect(verdict).toMatchObject({ is: 'settled', because: expect.stringContaining('12.8.93') });
    else expect(verdict).toMatchObject({ is: 'due', changes: [{ kind: 'prove-cuda', because }] });
    expect(judge({ asked: { package: PATH, prove: false }, cuda: { nvcc: NVCC, ...cuda } })).toMatchObject({
      is: 'settled',
    });
  });

  test('is tried with a driver that is about to come only if that is another one', () => {
    const driverPackage = { is: 'missing', path: '/opt/x.run', namedVersion: '580.1.2' } as const;
    const cuda = { nvcc: NVCC, proof: PROOF };
    const ahead = ['install-driver'];
    expect(judge({ cuda, driverPackage, ahead })).toMatchObject({
      is: 'due',
      changes: [{ because: expect.stringContaining('driver 580.1.2') }],
    });
    expect(judge({ cuda, driverPackage: { ...driverPackage, namedVersion: '570.211.01' }, ahead })).toMatchObject({
      is: 'settled',
    });
    expect(judge({ cuda: {}, smi: NO_DRIVER, ahead })).toMatchObject({ is: 'due' });
  });
});

describe('before anything is changed', () => {
  test.each<[string, Given, RegExp]>([
    ['a guest without a driver', { smi: NO_DRIVER }, /^CUDA is to be seen working, and there is no nvidia-smi/],
    ['a runfile that is not there', { cuda: { runfile: { is: 'missing' } } }, /is not there$/],
    [
      'a file that is no runfile',
      { cuda: { runfile: { is: 'unreadable', because: 'it is empty' } } },
      /no runfile .*: it is empty/,
    ],
    [
      'a runfile for other processors',
      { cuda: { runfile: { ...RUNFILE, architecture: 'aarch64' } } },
      /made for aarch64, and this guest is x86_64/,
    ],
    [
      'a runfile that others can change',
      { cuda: { runfile: { ...RUNFILE, exposed: '/opt' } } },
      /others can change \/opt/,
    ],
    [
      'a runfile of another sum',
      { asked: { package: PATH, sha256: 'A'.repeat(64) }, cuda: { runfile: { ...RUNFILE, sha256: 'b' } } },
      /cuda\.sha256 asks for a{64}$/,
    ],
    [
      'too little room to unpack',
      { room: { ...ROOM, workshops: [{ ...place('/var/lib/x', 3), mount: '/var' }] } },
      /too little room .*\/var\/lib\/x has 3072 MiB/,
    ],
    [
      'too little room for both in one file system',
      { room: { ...ROOM, local: place('/usr/local', 10) } },
      /\/usr\/local has 10240 MiB, and about 15360 MiB/,
    ],
    [
      'mounts that let nothing be run',
      { room: { ...ROOM, workshops: ROOM.workshops.map(at => ({ ...at, noexec: true })) } },
      /noexec/,
    ],
  ])('%s is a reason to refuse, with a remedy', (_, given, because) => {
    expect(judge(given)).toEqual({
      is: 'blocked',
      because: expect.stringMatching(because),
      remedy: expect.stringMatching(/.{10}/),
    });
  });

  test('a second folder is taken where the first one lets nothing be run, and other mounts share no room', () => {
    const [first, second] = ROOM.workshops;
    const room = {
      ...ROOM,
      workshops: [
        { ...first!, noexec: true },
        { ...second!, mount: '/root' },
      ],
      local: place('/usr/local', 10),
    };
    expect(judge({ room })).toMatchObject({ is: 'due', changes: [{ workshop: '/root/.vgpu-guest-unpacked' }, {}] });
  });
});
