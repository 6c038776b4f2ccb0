import { describe, expect, test } from 'vitest';
import { parseCudaRunfile } from '../../../src/formats/gpu/cuda-runfile.ts';
import { findCudaFault, installerErrorLines } from '../../../src/formats/gpu/cuda-words.ts';
import { parseNvccVersion } from '../../../src/formats/gpu/nvcc.ts';
import { buildStandInCuda } from '../../helpers/stand-in-cuda.ts';

// recorded on a guest with CUDA 13.0
const NVCC = `nvcc: NVIDIA (R) Cuda compiler driver
Copyright (c) 2005-2025 NVIDIA Corporation
Built on Wed_Aug_20_01:58:59_PM_PDT_2025
Cuda compilation tools, release 13.0, V13.0.88
Build cuda_13.0.r13.0/compiler.36424714_0
`;

test('nvcc tells its release and its version', () => {
  expect(parseNvccVersion(NVCC)).toEqual({ release: '13.0', version: '13.0.88' });
  expect(parseNvccVersion('nvcc: command not found')).toBeUndefined();
});

describe('a runfile', () => {
  const { text } = buildStandInCuda();

  test.each([
    ['cuda_12.8.1_570.124.06_linux.run', '12.8.1', '12.8', 'x86_64'],
    ['cuda_13.0.2_580.95.05_linux_sbsa.run', '13.0.2', '13.0', 'aarch64'],
    ['cuda_11.8.0_520.61.05_linux.run', '11.8.0', '11.8', 'x86_64'],
  ])('%s is of the toolkit %s', (name, version, release, architecture) => {
    expect(parseCudaRunfile(text, name)).toMatchObject({ is: 'runfile', version, release, architecture });
  });

  test.each([
    ['cuda.run', text, /its name/],
    [
      'cuda_12.8.1_570.124.06_linux.run',
      text.replace('./cuda-installer', './nvidia-installer'),
      /nvidia-installer instead of/,
    ],
    ['cuda_12.8.1_570.124.06_linux.run', '<!DOCTYPE html>', /a web page/],
    ['cuda_12.8.1_570.124.06_linux.run', '', /it is empty/],
    ['cuda_12.8.1_570.124.06_linux.run', 'what is this', /does not begin as/],
  ])('%s that is something else is refused with what is seen', (name, start, because) => {
    expect(parseCudaRunfile(start, name)).toEqual({ is: 'something-else', because: expect.stringMatching(because) });
  });
});

// The first was recorded; the others are as others have told them, or the runtime's own strings.
test.each([
  ['cudaMalloc: no CUDA-capable device is detected', /shows no GPU with CUDA/],
  ['cudaMalloc: CUDA driver version is insufficient for CUDA runtime version', /too old for this toolkit/],
  ['kernel launch: the provided PTX was compiled with an unsupported toolchain.', /too old for this toolkit/],
  ['cudaMalloc: CUDA-capable device(s) is/are busy or unavailable', /unlicensed vGPU/],
  ["gcc: fatal error: cannot execute 'cc1plus': execvp: No such file or directory", /no C\+\+ compiler/],
  ['#error -- unsupported GNU version! gcc versions later than 13 are not supported!', /compiler of this distribution/],
  ['./cuda-installer: error while loading shared libraries: libxml2.so.2: cannot open shared object file', /libxml2/],
  ['Ensure there is enough space in /tmp and that the installation package is not corrupt', /too little room/],
])('"%s" has a cause', (line, cause) => {
  expect(findCudaFault(`something before\n  ${line}\nsomething after`)).toEqual({
    line,
    cause: expect.stringMatching(cause),
    remedy: expect.stringMatching(/.{20}/),
  });
});

test('other words have none, and the errors of a log are told from the rest', () => {
  expect(findCudaFault('every sum is right')).toBeUndefined();
  expect(installerErrorLines('[INFO]: a\n[ERROR]: b\n[WARNING]: c\n')).toEqual(['[ERROR]: b']);
});
