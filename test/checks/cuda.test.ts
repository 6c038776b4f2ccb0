import { expect, test } from 'vitest';
import { find, HEALTHY } from '../helpers/doctor.ts';

const ASKED = { cuda: { packages: ['cuda-toolkit-12-8'] } };
const NVCC = { release: '12.8', version: '12.8.93', path: '/usr/local/cuda-12.8/bin/nvcc' };
const PROOF = { toolkit: '12.8.93', driver: '570.211.01', passed: false, said: 'cudaMalloc: out of memory' };
const cuda = (given: object) => ({ cuda: { ...HEALTHY.cuda, release: '12.8', ...given } });

test('a toolkit that is asked for and not there is a warning, with what is there instead', () => {
  expect(find('cuda-missing', cuda({ others: ['12.4'] }), ASKED)).toMatchObject({
    severity: 'warning',
    summary: 'the CUDA toolkit 12.8 is asked for, and not there',
    evidence: [{ at: 'nvcc --version', shows: 'release 12.4' }],
  });
  expect(find('cuda-missing', cuda({ nvcc: NVCC }), ASKED)).toBeUndefined();
  expect(find('cuda-missing', cuda({}))).toBeUndefined();
});

test('a program that did not work is a warning for the versions that it was tried with, and for no others', () => {
  expect(find('cuda-fails', cuda({ nvcc: NVCC, proof: PROOF }), ASKED)).toMatchObject({
    severity: 'warning',
    summary: 'CUDA 12.8.93 did not work with driver 570.211.01 when it was tried',
    cause: expect.stringContaining('memory of the GPU'),
    evidence: [{ shows: 'cudaMalloc: out of memory' }],
  });
  for (const proof of [
    { ...PROOF, passed: true },
    { ...PROOF, driver: '580.1' },
    { ...PROOF, toolkit: '12.8.61' },
  ]) {
    expect(find('cuda-fails', cuda({ nvcc: NVCC, proof }), ASKED)).toBeUndefined();
  }
  const unasked = { cuda: { ...ASKED.cuda, prove: false } };
  expect(find('cuda-fails', cuda({ nvcc: NVCC, proof: PROOF }), unasked)).toBeUndefined();
});
