import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FolderGuest } from './folder-guest.ts';

const RUNFILE = join(import.meta.dirname, '../stubs/cuda/runfile.sh');

/**
 * A runfile that behaves as NVIDIA's does. Its variables are those of the public makeself, and of its own is known what it prints (it runs
 * ./cuda-installer): typed, not recorded.
 */
export function buildStandInCuda(
  version = '12.8.1',
  nvcc = '12.8.93',
): { readonly name: string; readonly text: string } {
  const release = version.split('.').slice(0, 2).join('.');
  const code = readFileSync(RUNFILE, 'utf8').replaceAll('@RELEASE@', release).replaceAll('@NVCC@', nvcc);
  const text = `#!/bin/sh
# This script was generated using Makeself 2.1.4

CRCsum="0000000000"
MD5="00000000000000000000000000000000"
TMPROOT=\${TMPDIR:=/tmp}

label="CUDA Installer"
script="./cuda-installer"
scriptargs=""
targetdir="pkg"
keep=n

${code}`;
  return { name: `cuda_${version}_570.124.06_linux.run`, text };
}

/** The repository of NVIDIA, with the toolkit alone and together with a driver. */
export function addCudaRepository(guest: FolderGuest): void {
  const driver = guest.distribution === 'sles-15.6' ? 'nvidia-compute-G06' : 'nvidia-driver-570';
  const lines = [
    'cuda-toolkit-12-8 12.8.1-1 DEPENDS=cuda-nvcc-12-8',
    'cuda-nvcc-12-8 12.8.93-1 DEPENDS=a-library-with-a-name-that-is-much-too-long-for-a-table',
    'a-library-with-a-name-that-is-much-too-long-for-a-table 1.0-1',
    'cuda-12-8 12.8.1-1 DEPENDS=cuda-toolkit-12-8 DEPENDS=cuda-drivers',
    `cuda-drivers 570.124.06-1 DEPENDS=${driver}`,
    `${driver} 570.124.06-1`,
  ];
  const path = '/var/lib/stubs/repository';
  guest.write(path, `${guest.read(path) ?? ''}${lines.map(line => `${line}\n`).join('')}`);
}
