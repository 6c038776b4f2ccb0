import { basename } from 'node:path/posix';
import { RUN_HEADER_BYTES } from '../../formats/driver/run-header.ts';
import { type CudaRunfile, parseCudaRunfile } from '../../formats/gpu/cuda-runfile.ts';
import { type NvccVersion, parseNvccVersion } from '../../formats/gpu/nvcc.ts';
import type { GuestView, Outcome } from '../../guest/guest.ts';
import { architectureOf } from '../driver/driver-package.ts';
import type { Look } from '../facts.ts';
import type { Family, PackageManager } from '../families.ts';
import { findManager } from '../prerequisites.ts';

/** The CUDA toolkit: what is there, what it would come from, and whether it was seen to work. Looked at only where one is asked for. */
export interface CudaFact {
  /** The release that is asked for, `12.8`; undefined: any will do. */
  readonly release: string | undefined;
  /** The nvcc of that release. */
  readonly nvcc: (NvccVersion & { readonly path: string }) | undefined;
  /** Releases that answer, and are others. */
  readonly others: readonly string[];
  /** undefined: none is named, or nothing has to be installed. */
  readonly runfile: RunfileFact | undefined;
  /** What `cuda.packages` would bring; undefined: none is named, or nothing has to be installed. */
  readonly solution: Solution | undefined;
  /** There is a C++ compiler, without which nvcc makes nothing. */
  readonly cxx: boolean;
  readonly proof: CudaProof | undefined;
}

export type RunfileFact =
  | { readonly is: 'missing' }
  | { readonly is: 'unreadable'; readonly because: string }
  | (CudaRunfile & {
      readonly sizeBytes: number;
      readonly guestArchitecture: string | undefined;
      /** The file or folder that others than root can change; undefined: none. */
      readonly exposed: string | undefined;
      /** undefined where `cuda.sha256` asks for none: 5 GB are not read for nothing. */
      readonly sha256: string | undefined;
    });

export type Solution =
  | { readonly is: 'known'; readonly drivers: readonly string[] }
  | { readonly is: 'unknown'; readonly because: string };

/** What came of the small program, with the versions that it was compiled and run with. */
export interface CudaProof {
  readonly toolkit: string;
  readonly driver: string;
  readonly passed: boolean;
  /** What it said when it failed. */
  readonly said?: string;
}

export const CUDA_PROOF = '/var/lib/vgpu-guest/cuda-proof.json';
const GENERAL_PLACES = ['/usr/local/cuda/bin/nvcc', '/usr/bin/nvcc'];
const SIMULATION_TIMEOUT_MS = 120_000;

export async function collectCuda({ guest, config, fact }: Look): Promise<CudaFact> {
  const { cuda } = config;
  if (!cuda) return NO_CUDA;
  const { family } = await fact('system');
  const runfile = cuda.package === undefined ? undefined : await lookAtRunfile(guest, cuda.package, cuda.sha256);
  const release = runfile && 'release' in runfile ? runfile.release : releaseIn(cuda.package, cuda.packages);
  const [answers, cxx, proof] = await Promise.all([
    askEach(guest, release),
    guest.stat('/usr/bin/g++').then(found => found?.kind === 'file'),
    readProof(guest),
  ]);
  const nvcc = answers.find(answer => release === undefined || answer.release === release);
  const solution = !nvcc && cuda.packages && family ? await simulate(guest, family, cuda.packages) : undefined;
  return {
    release,
    nvcc,
    others: [...new Set(answers.filter(answer => answer !== nvcc).map(answer => answer.release))],
    runfile: nvcc ? undefined : runfile,
    solution,
    cxx,
    proof,
  };
}

/** Nothing is fetched for it. */
async function simulate(guest: GuestView, family: Family, packages: readonly string[]): Promise<Solution> {
  const manager = await findManager(guest, family);
  if (!manager) return { is: 'unknown', because: 'there is no package manager' };
  const outcome = await guest.query(manager.simulate.ask(packages, 'at-hand'), SIMULATION_TIMEOUT_MS);
  return readSolution(family, manager, outcome);
}

/** What a package manager says that it would install; dnf ends such an answer with 1. */
export function readSolution(family: Family, { program, simulate }: PackageManager, outcome: Outcome): Solution {
  const names = simulate.names(outcome.stdout);
  if (names.length > 0 || outcome.code === 0) {
    return { is: 'known', drivers: names.filter(name => isDriver(family, name)) };
  }
  const lines = [...outcome.stderr.split('\n'), ...outcome.stdout.split('\n')].map(line => line.trim());
  const words = lines.find(line => line !== '' && line !== 'Error:');
  return { is: 'unknown', because: `${program} says: ${words ?? 'nothing'}` };
}

/** `nvcc --version` of the place that a release has, and of those that any may have. */
async function askEach(guest: GuestView, release: string | undefined) {
  const places = [...(release ? [`/usr/local/cuda-${release}/bin/nvcc`] : []), ...GENERAL_PLACES];
  const answers = await Promise.all(
    places.map(async path => {
      if ((await guest.stat(path))?.kind !== 'file') return [];
      const version = parseNvccVersion((await guest.query([path, '--version'])).stdout);
      return version ? [{ ...version, path }] : [];
    }),
  );
  return answers.flat();
}

async function lookAtRunfile(guest: GuestView, path: string, asked: string | undefined): Promise<RunfileFact> {
  const stat = await guest.stat(path);
  if (!stat) return { is: 'missing' };
  if (stat.kind !== 'file') return { is: 'unreadable', because: 'it is not a file' };
  const header = parseCudaRunfile((await guest.readStart(path, RUN_HEADER_BYTES)) ?? '', basename(path));
  if (header.is === 'something-else') return { is: 'unreadable', because: header.because };
  const [guestArchitecture, exposed, sha256] = await Promise.all([
    architectureOf(guest),
    guest.exposure(path),
    asked === undefined ? undefined : guest.digest(path, 'sha256'),
  ]);
  return { ...header, sizeBytes: stat.sizeBytes, guestArchitecture, exposed, sha256 };
}

/** `cuda-toolkit-12-8` → 12.8; also of a runfile that is gone. */
function releaseIn(path: string | undefined, packages: readonly string[] = []): string | undefined {
  const ofName = /^cuda_(\d+\.\d+)\./.exec(basename(path ?? ''))?.[1];
  const ofPackages = packages.map(name => /-(\d+)-(\d+)$/.exec(name)).find(match => match !== null);
  return ofName ?? (ofPackages ? `${ofPackages[1]}.${ofPackages[2]}` : undefined);
}

/** Debian's libcuda1 is part of the driver as well. */
function isDriver(family: Family, name: string): boolean {
  return family.driverPackages.names.test(name) || name === 'libcuda1';
}

/** What is not as it was written counts for nothing: the program is simply run again. */
async function readProof(guest: GuestView): Promise<CudaProof | undefined> {
  const text = await guest.readText(CUDA_PROOF);
  const { toolkit, driver, passed, said } = parsed(text ?? '');
  if (typeof toolkit !== 'string' || typeof driver !== 'string' || typeof passed !== 'boolean') return undefined;
  return { toolkit, driver, passed, ...(typeof said === 'string' ? { said } : {}) };
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

/** Of a guest of which no CUDA toolkit is asked. */
export const NO_CUDA: CudaFact = {
  release: undefined,
  nvcc: undefined,
  others: [],
  runfile: undefined,
  solution: undefined,
  cxx: false,
  proof: undefined,
};
