/** Why the toolkit cannot be installed or used, by a line that is known. */
export interface CudaFault {
  /** As it stands. */
  readonly line: string;
  readonly cause: string;
  readonly remedy: string;
}

/** The first line that is known, of nvcc, of a program that it made, or of the runfile and its log. */
export function findCudaFault(text: string): CudaFault | undefined {
  for (const line of text.split('\n')) {
    const known = KNOWN.find(([words]) => words.test(line));
    if (known) return { line: line.trim(), cause: known[1], remedy: known[2] };
  }
  return undefined;
}

/** The lines in which cuda-installer says what went wrong, `[ERROR]: …`. */
export function installerErrorLines(log: string): readonly string[] {
  return log.split('\n').filter(line => line.startsWith('[ERROR]'));
}

const NEWER_DRIVER =
  'install a newer driver (driver.package), as far as the host allows one, or the toolkit of an older release';
const CXX = 'install the C++ compiler of this distribution (gcc-c++ or g++), then run vgpu-guest apply again';

/** Strings of the CUDA runtime (cudaGetErrorString), nvcc, the C++ compiler and the runfile's wrapper. */
const KNOWN: readonly (readonly [RegExp, string, string])[] = [
  [
    /CUDA driver version is insufficient for CUDA runtime version/,
    'the driver is too old for this toolkit',
    NEWER_DRIVER,
  ],
  [
    /the provided PTX was compiled with an unsupported toolchain/,
    'the driver is too old for this toolkit',
    NEWER_DRIVER,
  ],
  [
    /no kernel image is available for execution on the device|Unsupported gpu architecture/,
    'the toolkit makes nothing for this GPU: it is too old or too new for it',
    'install a toolkit whose release notes name this GPU',
  ],
  [
    /no CUDA-capable device is detected/,
    'the driver shows no GPU with CUDA; a vGPU for virtual PCs or applications (B, A) may have none',
    'give the guest a vGPU whose profile ends in Q or C, or see what the kernel says (dmesg | grep NVRM)',
  ],
  [
    /busy or unavailable|operation not supported/,
    'an unlicensed vGPU, whose CUDA is reduced after some time, may be the reason',
    'vgpu-guest doctor says why there is no license; or another program has the GPU to itself (nvidia-smi)',
  ],
  [
    /out of memory/,
    'another program may hold the memory of the GPU',
    'see who uses it (nvidia-smi), and run vgpu-guest apply again',
  ],
  [
    /unsupported GNU version|Failed to verify gcc version/,
    'the compiler of this distribution is not one that this toolkit supports',
    'install an older compiler beside it, or a newer toolkit',
  ],
  [/cannot execute .?cc1plus|Failed to preprocess host compiler properties/, 'there is no C++ compiler', CXX],
  [
    /libxml2\.so\.2: cannot open shared object file/,
    "the runfile's installer needs libxml2",
    'install libxml2 with the package manager, or name the packages of the toolkit (cuda.packages) instead',
  ],
  [
    /Ensure there is enough space|No space left on device/,
    'there is too little room, or the runfile is damaged',
    'make room (df -h /var /usr/local), and compare the runfile with the sum that NVIDIA publishes (cuda.sha256)',
  ],
];
