import { blocked, type Verdict } from '../../change.ts';
import type { Facts } from '../../facts/facts.ts';

type Seen = Pick<Facts, 'cuda' | 'room'>;

/** A runfile is about as large as what comes out of it (4.9 GB and 6 GB of CUDA 12.8, taken from what others tell). */
const GROWTH = 1.5;
const MIB = 1024 ** 2;

/** What would be the wrong thing to run, said before the first change. */
export function refuseRunfile(path: string, wanted: string | undefined, seen: Seen): Verdict | undefined {
  const { runfile } = seen.cuda;
  if (!runfile || runfile.is === 'missing') {
    return blocked(`${path} is not there`, 'copy the runfile of the CUDA toolkit there, or correct cuda.package');
  }
  if (runfile.is === 'unreadable') {
    return blocked(
      `${path} is no runfile of the CUDA toolkit: ${runfile.because}`,
      "set cuda.package to NVIDIA's runfile, under its own name (cuda_12.8.1_570.124.06_linux.run)",
    );
  }
  const { architecture, guestArchitecture, exposed, sha256 } = runfile;
  if (guestArchitecture && guestArchitecture !== architecture) {
    return blocked(
      `${path} is made for ${architecture}, and this guest is ${guestArchitecture}`,
      `set cuda.package to the runfile for ${guestArchitecture}`,
    );
  }
  if (wanted !== undefined && sha256 !== wanted.toLowerCase()) {
    return blocked(
      `${path} cannot be trusted: its sha256 is ${sha256 ?? 'none'}, and cuda.sha256 asks for ${wanted.toLowerCase()}`,
      'copy the runfile again, or correct cuda.sha256',
    );
  }
  if (exposed !== undefined) {
    return blocked(
      `${path} is run by root, and others can change ${exposed}`,
      `chown root ${exposed} && chmod go-w ${exposed}, after a look at what lies there`,
    );
  }
  return lacksRoom(runfile, seen);
}

function lacksRoom(
  { unpackedBytes, sizeBytes }: { readonly unpackedBytes: number | undefined; readonly sizeBytes: number },
  seen: Seen,
): Verdict | undefined {
  const needBytes = unpackedBytes ?? sizeBytes * GROWTH;
  const { local } = seen.room;
  const place = chooseCudaWorkshop(seen, needBytes);
  if ('refusal' in place) return place.refusal;
  const workshop = seen.room.workshops.find(({ path }) => path === place.path);
  const together = workshop?.mount !== undefined && workshop.mount === local.mount;
  return shortage(local.path, local.freeBytes, together ? 2 * needBytes : needBytes);
}

/** The first folder of this program in which something can be run, and which has so much room. */
export function chooseCudaWorkshop(
  { room }: Pick<Facts, 'room'>,
  needBytes: number,
): { readonly path: string } | { readonly refusal: Verdict } {
  const runnable = room.workshops.filter(({ noexec }) => !noexec);
  const [first] = runnable;
  if (!first) {
    const places = room.workshops.map(({ path, mount }) => `${path} (${mount})`).join(' and ');
    return {
      refusal: blocked(
        `what comes out of the toolkit is run from ${places}, which are on mounts that let nothing be run (noexec)`,
        `mount -o remount,exec ${room.workshops[0]?.mount ?? '/var'} for the installation, then run vgpu-guest apply again`,
      ),
    };
  }
  const roomy = runnable.find(({ freeBytes }) => freeBytes === undefined || freeBytes >= needBytes);
  if (roomy) return { path: roomy.path };
  return { refusal: shortage(first.path, first.freeBytes, needBytes) as Verdict };
}

function shortage(path: string, freeBytes: number | undefined, needBytes: number): Verdict | undefined {
  if (freeBytes === undefined || freeBytes >= needBytes) return undefined;
  const [free, need] = [freeBytes, needBytes].map(bytes => Math.ceil(bytes / MIB));
  return blocked(
    `there is too little room for the CUDA toolkit: ${path} has ${free} MiB, and about ${need} MiB are needed`,
    `make room in the file system of ${path} (df -h ${path}), or take packages of the parts that are needed (cuda.packages)`,
  );
}
