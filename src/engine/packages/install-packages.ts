import { setTimeout } from 'node:timers/promises';
import type { Argv } from '../../change.ts';
import { AgentError } from '../../errors.ts';
import type { Family, PackageManager } from '../../facts/families.ts';
import { readSolution, type Solution } from '../../facts/gpu/cuda.ts';
import { findManager } from '../../facts/prerequisites.ts';
import { exitCodeWords } from '../../formats/signals.ts';
import type { Guest, Outcome } from '../../guest/guest.ts';
import { remedyFor } from '../failed-command.ts';
import type { Tell } from '../tell.ts';

/** How zypper, dnf, yum and apt-get say that no repository has a package; the first group is its name. */
const UNAVAILABLE = [
  /No provider of '([^']+)' found/,
  /^Package '([^']+)' not found/,
  /No match for argument: (.+)$/,
  /Unable to find a match: (.+)$/,
  /^No package (\S+) available/,
  /Unable to locate package (\S+)/,
  /Package '?([^'\s]+)'? has no installation candidate/,
];
/** How a line begins that says why; most of the rest is progress. */
const TELLING =
  /^(?:E: |Error|error|ERROR|Problem|Fatal|dpkg: error|File .* not found|- (?:nothing provides|package|conflicting|problem))/;
const QUOTED_LINES = 4;

/** Not every lock is one that the package manager waits for by itself: apt-get update gives up at once. */
const LOCK_PAUSE_MS = 2_000;
/** The lists of a large repository may have to be fetched for it. */
const SIMULATION_TIMEOUT_MS = 600_000;

export interface Installation {
  readonly family: Family;
  readonly packages: readonly string[];
  /** How long somebody else may hold the package manager's lock. */
  readonly lockTimeoutMs: number;
  readonly tell: Tell;
  /** Nothing is installed where a driver would come along. */
  readonly without?: 'drivers';
}

/** Installs packages with the family's package manager; every line of it is told as progress. Returns what it said. */
export async function installPackages(guest: Guest, installation: Installation): Promise<string> {
  const { family, packages, tell } = installation;
  const { manager, run, patiently, lockWaitS } = await openManager(guest, installation, 'install');
  const refresh = manager.refresh?.(lockWaitS);
  if (refresh) {
    const outcome = await run(refresh);
    if (outcome.code !== 0) tell.warn(`${endOf(refresh, outcome)}; the present package lists are used`);
  }
  if (installation.without === 'drivers') {
    const ask = manager.simulate.ask(packages, 'current');
    // a look, since all of its answer counts
    const answer = await patiently(() => guest.query(ask, SIMULATION_TIMEOUT_MS));
    refuseDrivers(packages, readSolution(family, manager, answer));
  }
  const argv = manager.install(packages, lockWaitS);
  const first = await run(argv);
  const mend = wasInterrupted(manager, first);
  if (mend) await putRight(mend);
  const outcome = mend ? await run(argv) : first;
  // yum, and dnf by its configuration, install the others and end well
  const absent = unavailable(outcome, packages);
  if (absent.length > 0) throw await noProvider(guest, family, manager, absent);
  if (outcome.code === 0) return outcome.stdout;
  if (!manager.noticeCodes?.includes(outcome.code)) throw failed(argv, outcome);
  tell.warn(endOf(argv, outcome));
  return outcome.stdout;

  async function putRight(argv: Argv): Promise<void> {
    tell.warn(`an earlier run of ${manager.program} was cut; ${argv.join(' ')} puts that right`);
    const mended = await run(argv);
    if (mended.code === 0) return;
    throw failed(argv, mended);
  }
}

/** What puts right what an earlier run was cut in; undefined: it was not. */
function wasInterrupted({ interrupted }: PackageManager, outcome: Outcome): Argv | undefined {
  const saysSo = outcome.code !== 0 && linesOf(outcome).some(line => interrupted?.text.test(line));
  return saysSo ? interrupted?.mend : undefined;
}

/** Takes packages away with the family's package manager: these and no others, as it is told. */
export async function uninstallPackages(guest: Guest, installation: Installation): Promise<void> {
  const { manager, run, lockWaitS } = await openManager(guest, installation, 'remove');
  const argv = manager.remove(installation.packages, lockWaitS);
  const outcome = await run(argv);
  if (outcome.code !== 0 && !manager.noticeCodes?.includes(outcome.code)) throw failed(argv, outcome);
}

/** Nobody knows the package manager of a distribution that is not known. */
export function unknownFamily(verb: 'install' | 'remove', packages: readonly string[]): AgentError {
  return new AgentError(`vgpu-guest does not know this distribution, and cannot ${verb} packages on it`, {
    remedy: `${verb} by hand: ${packages.join(' ')}`,
  });
}

/** The package manager, and how it is run: as soon as nobody else holds its lock. */
async function openManager(
  guest: Guest,
  { family, packages, lockTimeoutMs, tell }: Installation,
  verb: 'install' | 'remove',
) {
  const manager = await findManager(guest, family);
  if (!manager) {
    const names = family.managers.map(({ program }) => program).join(' nor ');
    throw new AgentError(`neither ${names} is there`, {
      fault: 'blocked',
      remedy: `${verb} by hand: ${packages.join(' ')}`,
    });
  }
  const deadlineMs = performance.now() + lockTimeoutMs;
  const lockWaitS = Math.round(lockTimeoutMs / 1_000);
  const patiently = async (ask: () => Promise<Outcome>) => {
    for (;;) {
      const outcome = await ask();
      if (!isLocked(manager, outcome)) return outcome;
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw busy(manager, outcome, lockWaitS);
      tell.progress(`another program holds the lock of ${manager.program}; it has ${Math.ceil(leftMs / 1_000)} s more`);
      await setTimeout(Math.min(LOCK_PAUSE_MS, leftMs));
    }
  };
  const run = (argv: Argv) =>
    patiently(() =>
      guest.run(argv, { env: manager.env(lockWaitS), onLine: line => tell.progress(line), finishes: true }),
    );
  return { manager, run, patiently, lockWaitS };
}

/** By the lists that are current now; what cannot be foreseen is not done. */
function refuseDrivers(packages: readonly string[], solution: Solution): void {
  if (solution.is === 'unknown') {
    throw new AgentError(`what ${packages.join(' ')} would bring cannot be seen beforehand: ${solution.because}`, {
      remedy: 'set up a repository that has them on this guest (the names are those of cuda.packages)',
    });
  }
  if (solution.drivers.length === 0) return;
  throw new AgentError(
    `nothing is installed: ${packages.join(' ')} would bring a driver beside the one that is there: ${solution.drivers.join(', ')}`,
    {
      fault: 'blocked',
      remedy: 'name packages that have no driver in them, such as cuda-toolkit-12-8 instead of cuda-12-8',
    },
  );
}

function isLocked(manager: PackageManager, outcome: Outcome): boolean {
  if (outcome.code === 0) return false;
  return outcome.code === manager.locked.code || lockLine(manager, outcome) !== undefined;
}

/** apt-get says the same words while it waits for the lock that it then gets: `Waiting for cache lock: Could not …`. */
function lockLine({ locked }: PackageManager, outcome: Outcome): string | undefined {
  return linesOf(outcome).find(line => locked.text.test(line) && !line.startsWith('Waiting for'));
}

function busy(manager: PackageManager, outcome: Outcome, lockWaitS: number): AgentError {
  const line = lockLine(manager, outcome);
  const words = `another program holds the lock of ${manager.program}, for ${lockWaitS} s now`;
  return new AgentError(`${words}${line ? `\n  ${line}` : ''}`, {
    fault: 'busy',
    remedy: 'wait for it to end (automatic updates often run after boot), then run the same command again',
  });
}

function unavailable(outcome: Outcome, packages: readonly string[]): readonly string[] {
  const named = linesOf(outcome).flatMap(line => UNAVAILABLE.flatMap(pattern => pattern.exec(line)?.[1] ?? []));
  // zypper writes `name = version` for name=version; dnf names several in one line
  const joined = named.map(name => ` ${name.replace(/ *= */g, '=')} `);
  return packages.filter(name => joined.some(text => text.includes(` ${name} `)));
}

async function noProvider(guest: Guest, family: Family, { program }: PackageManager, absent: readonly string[]) {
  const kernel = (await guest.readText('/proc/sys/kernel/osrelease'))?.trim() ?? '';
  const sources = [...family.requirements(kernel), ...family.extras].flatMap(({ ask, source }) =>
    absent.includes(ask) && source ? [`${ask} comes from ${source}`] : [],
  );
  const without = absent.includes('dkms') ? '; or set driver.dkms to false' : '';
  const enable = `enable the repository that has it, then run vgpu-guest apply again${without}`;
  return new AgentError(`no repository of ${program} has ${absent.join(', ')}`, {
    remedy: sources.length > 0 ? `${sources.join('; ')}: ${enable}` : enable,
  });
}

function failed(argv: Argv, outcome: Outcome): AgentError {
  return new AgentError(endOf(argv, outcome), { remedy: remedyFor(argv, outcome) });
}

/** `apt-get … ended with exit code 100`, and below it the lines that say why. */
function endOf(argv: Argv, outcome: Outcome): string {
  const lines = linesOf(outcome);
  const telling = lines.filter(line => TELLING.test(line));
  const quoted = (telling.length > 0 ? telling : lines).slice(-QUOTED_LINES);
  return `${argv.join(' ')} ended with ${exitCodeWords(outcome.code)}${quoted.map(line => `\n  ${line}`).join('')}`;
}

function linesOf({ stdout, stderr }: Outcome): readonly string[] {
  return `${stdout}\n${stderr}`
    .split(/[\r\n]+/)
    .map(line => line.trim())
    .filter(Boolean);
}
