import { type Change, due, type Verdict } from '../../change.ts';
import { isRegistered } from '../../facts/driver/driver.ts';
import { isSignedByStranger, type NextKernel } from '../../facts/driver/kernels.ts';
import type { Facts } from '../../facts/facts.ts';
import { signingOfDkms } from './module-signing.ts';

type Seen = Pick<Facts, 'driver' | 'system' | 'kernels' | 'secureBoot'>;

const MODPROBE_TIMEOUT_MS = 120_000;
/** DKMS compiles all modules: minutes on a small guest. */
const DKMS_TIMEOUT_MS = 1_800_000;

/** The modules of a driver whose source DKMS has, for the running kernel. */
export function buildByDkms(version: string, seen: Seen, because: string): Verdict {
  const signing = signingOfDkms(seen);
  if (signing.is === 'impossible') return signing.verdict;
  const place = { release: seen.system.kernel, onDisk: seen.driver.onDisk };
  const build = dkmsInstall(version, place, seen, because);
  return seen.driver.loaded ? due(...build) : due(...build, load(`driver ${version} is not loaded`));
}

/** The kernel that the next boot takes gets its modules now, while somebody is there to see whether they can be built. */
export function buildAhead(version: string, seen: Seen): Verdict | undefined {
  const next = seen.kernels.next;
  if (!next?.headers || next.failedBuild || next.onDisk === version || !hasSource(version, seen)) return undefined;
  // without a key the driver of today still works, and doctor tells what the next boot lacks
  return signingOfDkms(seen).is === 'impossible' ? undefined : due(...dkmsAhead(version, next, seen));
}

/** For a kernel that does not run: the guest works without it, so that a failure is told and ends nothing. */
export function dkmsAhead(version: string, next: NextKernel, seen: Seen): readonly [Change, ...Change[]] {
  const has = next.onDisk ? `driver ${next.onDisk}` : 'no driver';
  const because = `the next boot takes ${next.release} (${next.from}), which has ${has}`;
  const tolerated = `the next boot takes ${next.release}, and would be without driver ${version}`;
  return dkmsInstall(version, next, seen, because, tolerated);
}

/** What is known to be wanting, and cannot be mended here. */
export function lacksNext(version: string, seen: Seen): readonly string[] {
  const { next } = seen.kernels;
  if (!next) return [];
  const takes = `the next boot takes ${next.release} (${next.from})`;
  if (next.onDisk === version) {
    if (!isSignedByStranger(next, seen)) return [];
    return [`${takes}, whose module of the driver is signed by ${next.signer} with a key that is not enrolled`];
  }
  const why = next.failedBuild
    ? `DKMS could not build it: ${next.failedBuild}`
    : next.headers
      ? 'vgpu-guest doctor says why'
      : 'its headers are not there';
  return [`${takes}, which has not got driver ${version}: ${why}`];
}

/**
 * DKMS passes over what it has installed before, even when the modules have been taken away since, and up to 3.0.6 by force as well: it
 * has to let go of them first. Where none is there that can be read, or it never came to installing them, what it has built may be no
 * better: the power went before it was on the disk. And where modules of that version or a newer one lie for that kernel, from wherever, it keeps its own back.
 */
function dkmsInstall(
  version: string,
  { release, onDisk }: Pick<NextKernel, 'release' | 'onDisk'>,
  { driver }: Pick<Seen, 'driver'>,
  because: string,
  tolerated?: string,
): readonly [Change, ...Change[]] {
  const which = ['-m', 'nvidia', '-v', version, '-k', release] as const;
  const deed = { kind: 'run', timeoutMs: DKMS_TIMEOUT_MS, because } as const;
  const entries = driver.dkms?.filter(entry => entry.version === version && entry.kernel === release) ?? [];
  const isKnown = isRegistered(driver, version, release);
  const isSuspect = entries.length > 0 && (onDisk === undefined || !isKnown);
  const force = isKnown || onDisk !== undefined ? ['--force'] : [];
  const install: Change = {
    ...deed,
    argv: ['dkms', 'install', ...which, ...force],
    ...(tolerated === undefined ? {} : { tolerated }),
  };
  // DKMS 2.8.7 ends with 1 when it has done so, and up to 2.8.2 it knows no unbuild
  const first: readonly Change[] = [
    ...(isKnown ? [letGo('uninstall', 'DKMS may not have let go of what it had installed')] : []),
    ...(isSuspect ? [letGo('unbuild', 'DKMS may not have let go of what it had built')] : []),
  ];
  const [begin, ...rest] = [...first, install];
  return [begin ?? install, ...rest];

  function letGo(verb: string, tolerated: string): Change {
    return { ...deed, argv: ['dkms', verb, ...which], tolerated };
  }
}

/** What an installation that was cut has left with DKMS, where no installer takes it away; the package could not register its driver beside it. */
export function forgetLeftover(version: string, { driver }: Pick<Seen, 'driver'>): readonly Change[] {
  const { installed, dkms, inTree = [] } = driver;
  if (dkms === undefined || installed === version || !inTree.includes(version)) return [];
  return [{ kind: 'forget-dkms', version, because: `DKMS has nvidia/${version}, and no installer knows of it` }];
}

/** DKMS can build this version. */
export function hasSource(version: string, { driver }: Pick<Seen, 'driver'>): boolean {
  const entries = driver.dkms?.filter(entry => entry.version === version) ?? [];
  return entries.length > 0 && entries.every(({ status }) => status !== 'broken');
}

/** For as long as the guest is up; each boot loads it by itself. */
export function load(because: string): Change {
  return { kind: 'run', argv: ['modprobe', 'nvidia'], timeoutMs: MODPROBE_TIMEOUT_MS, because };
}

/** Those that have the driver, the running one first. */
export function kernelsOf({ system, kernels: { next } }: Seen): readonly string[] {
  return next?.onDisk ? [system.kernel, next.release] : [system.kernel];
}
