import { CUDA_PROOF } from '../facts/gpu/cuda.ts';
import { findCudaFault } from '../formats/gpu/cuda-words.ts';
import { defineSubject, evidence, seen } from './check.ts';

/** The CUDA toolkit, where one is asked for. */
export const cuda = defineSubject({
  id: 'cuda',
  title: 'the CUDA toolkit',
  reads: ['cuda', 'smi'],
  saw({ cuda: asked }, { cuda: { nvcc, proof } }) {
    if (!asked) return seen('none is asked for');
    if (!nvcc) return seen('not there');
    const worked = proof?.passed ? `, seen to work with driver ${proof.driver}` : '';
    return seen(`${nvcc.version} (${nvcc.path})${worked}`);
  },
  checks: [
    {
      id: 'cuda-missing',
      causes: [],
      judge({ cuda: asked }, { cuda: { nvcc, release, others } }) {
        if (!asked || nvcc) return undefined;
        return {
          severity: 'warning',
          summary: `the CUDA toolkit${release ? ` ${release}` : ''} is asked for, and not there`,
          cause: 'it was not installed since the configuration asks for it, or somebody has removed it',
          remedy: 'vgpu-guest apply installs it',
          evidence: [evidence('nvcc --version', others.length > 0 ? `release ${others.join(', ')}` : 'no nvcc')],
        };
      },
    },
    {
      id: 'cuda-fails',
      causes: [],
      judge({ cuda: asked }, { cuda: { nvcc, proof }, smi }) {
        const isOfThese = proof?.toolkit === nvcc?.version && smi.answers && proof?.driver === smi.driverVersion;
        if (!asked?.prove || !proof || proof.passed || !isOfThese) return undefined;
        const fault = findCudaFault(proof.said ?? '');
        return {
          severity: 'warning',
          summary: `CUDA ${proof.toolkit} did not work with driver ${proof.driver} when it was tried`,
          cause: fault?.cause ?? 'what it said is not known to this program',
          remedy: fault?.remedy ?? 'compile and run a program with that nvcc by hand; vgpu-guest apply tries it again',
          evidence: [evidence(CUDA_PROOF, proof.said ?? '')],
        };
      },
    },
  ],
});
