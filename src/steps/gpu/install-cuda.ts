import { blocked, type Change, due, settled, type Verdict } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import type { Facts } from '../../facts/facts.ts';
import { notChangeable } from '../gates.ts';
import { defineStep } from '../step.ts';
import { chooseCudaWorkshop, refuseRunfile } from './cuda-preflight.ts';

/** Where cuda-installer writes. */
const INSTALLER_LOG = '/var/log/cuda-installer.log';

type Cuda = NonNullable<Config['cuda']>;
type Seen = Pick<Facts, 'cuda' | 'system' | 'smi' | 'room' | 'driverPackage'>;

/** The toolkit alone: the driver in its runfile, and the packages that would bring another one, stay out. */
export const installCuda = defineStep({
  id: 'install-cuda',
  title: 'Install the CUDA toolkit and see it work',
  reads: ['cuda', 'system', 'smi', 'room', 'driverPackage'],
  judge({ cuda: asked }, seen, ahead) {
    if (!asked) return settled('no CUDA toolkit is asked for');
    const isComing = ['leave-nouveau', 'install-driver'].some(id => ahead.has(id));
    const { nvcc } = seen.cuda;
    const proof = asked.prove ? proving(seen, isComing) : [];
    if (nvcc && proof.length === 0) return settled(there(nvcc, asked, seen));
    const refusal =
      (asked.prove ? cannotProve(seen, isComing) : undefined) ??
      (nvcc ? undefined : (notChangeable(seen) ?? refuse(asked, seen)));
    if (refusal) return refusal;
    const [first, ...rest] = [...(nvcc ? compiler(asked, seen) : bringing(asked, seen)), ...proof];
    return first ? due(first, ...rest) : settled(there(nvcc, asked, seen));
  },
});

function there(nvcc: Seen['cuda']['nvcc'], { prove }: Cuda, { cuda: { proof } }: Seen): string {
  const seen = prove && proof ? `, and was seen to work with driver ${proof.driver}` : '';
  return `the CUDA toolkit ${nvcc?.version} is there (${nvcc?.path})${seen}`;
}

function refuse(asked: Cuda, seen: Seen): Verdict | undefined {
  const { solution } = seen.cuda;
  if (solution?.is === 'known' && solution.drivers.length > 0) {
    return blocked(
      `${asked.packages?.join(', ')} would bring a driver beside the one that is there: ${solution.drivers.join(', ')}`,
      'name packages of the toolkit alone in cuda.packages, such as cuda-toolkit-12-8: cuda and cuda-12-8 have the driver in them',
    );
  }
  return asked.package === undefined ? undefined : refuseRunfile(asked.package, asked.sha256, seen);
}

function bringing(asked: Cuda, seen: Seen): readonly Change[] {
  const { release, others, runfile } = seen.cuda;
  const beside = others.length > 0 ? `, only ${others.join(' and ')}` : '';
  const because = `the CUDA toolkit${release ? ` ${release}` : ''} is not installed${beside}`;
  if (asked.packages) return [{ kind: 'install-packages', packages: asked.packages, without: 'drivers', because }];
  const path = asked.package ?? '';
  const workshop = workshopFor(seen);
  return [
    // its installer looks for the compiler
    ...compiler({ ...asked, prove: true }, seen),
    {
      kind: 'install-cuda',
      argv: ['sh', path, '--silent', '--toolkit', `--tmpdir=${workshop}`],
      log: INSTALLER_LOG,
      release: release ?? '',
      package: { path, sha256: runfile && 'sha256' in runfile ? runfile.sha256 : undefined },
      workshop,
      because,
    },
  ];
}

/** Packages of the toolkit ask for the compiler that they need; a runfile cannot. */
function compiler({ package: path, prove }: Cuda, { cuda, system }: Seen): readonly Change[] {
  if (path === undefined || !prove || cuda.cxx || !system.family) return [];
  const because = 'nvcc makes nothing without a C++ compiler, and there is none';
  return [{ kind: 'install-packages', packages: [system.family.cxx], because }];
}

/** Once for each driver and toolkit; what has failed is tried again. */
function proving(seen: Seen, isComing: boolean): readonly Change[] {
  const { nvcc, proof, release } = seen.cuda;
  const driver = (isComing ? comingDriver(seen) : undefined) ?? (seen.smi.answers ? seen.smi.driverVersion : undefined);
  const prove = (because: string): readonly Change[] => [{ kind: 'prove-cuda', workshop: workshopFor(seen), because }];
  const toolkit = ['CUDA', nvcc?.version ?? release].filter(Boolean).join(' ');
  const isSame = nvcc !== undefined && proof?.toolkit === nvcc.version && proof.driver === driver;
  if (!isSame)
    return prove(`${toolkit} was not seen to work with ${driver ? `driver ${driver}` : 'the driver to come'}`);
  return proof.passed ? [] : prove(`${toolkit} failed with driver ${driver}: ${proof.said ?? 'without a word'}`);
}

function comingDriver({ driverPackage: given }: Seen): string | undefined {
  if (given.is === 'present') return given.version;
  return given.is === 'missing' || given.is === 'remote' ? given.namedVersion : undefined;
}

function cannotProve(seen: Seen, isComing: boolean): Verdict | undefined {
  if (!seen.smi.answers && !isComing) {
    return blocked(
      `CUDA is to be seen working, and ${seen.smi.problem}`,
      'install a driver that works (driver.package), or set cuda.prove to false',
    );
  }
  const place = chooseCudaWorkshop(seen, 0);
  return 'refusal' in place ? place.refusal : undefined;
}

function workshopFor(seen: Seen): string {
  const place = chooseCudaWorkshop(seen, 0);
  return 'path' in place ? place.path : '';
}
