import type { InstallDriver } from '../change.ts';
import { AgentError, messageOf } from '../errors.ts';
import { lookAtDkms } from '../facts/driver/dkms.ts';
import { STATE_DIRECTORY } from '../facts/record.ts';
import {
  findDkmsWarning,
  findInstallerFailure,
  findLeftOut,
  findSkippedErrors,
  type InstallerFailure,
  installerErrors,
} from '../formats/driver/installer-log.ts';
import { exitCodeWords } from '../formats/signals.ts';
import type { Guest, Outcome, RunOptions } from '../guest/guest.ts';
import { beginInstall } from './driver/begun-install.ts';
import { makeStateFolder } from './resume.ts';
import { tailOf } from './tail.ts';
import type { Tell } from './tell.ts';

/** What is run, where it unpacks itself, and what it writes. */
export type PackageRun = Pick<InstallDriver, 'argv' | 'log' | 'workshop' | 'version'>;

/** A failed build leaves the compiler's output in the log. */
const LOG_LIMIT_BYTES = 64 * 1024 * 1024;
/** The wrapper's own code for a sum that does not fit; nvidia-installer ends with 1, or 128 and more after a signal. */
const SUMS_DIFFER = 2;
/** Exit codes from here on are those of a program that a signal has ended. */
const SIGNALS = 128;
/** A build says nothing for a long time, and somebody may wonder. */
const STILL_RUNNING_MS = 60_000;

/** A signal has ended the installer, wherever it was. */
export class InstallerKilled extends AgentError {}

/**
 * Runs a .run package and says what came of it; no time limit, since ending it half-way leaves half a driver. It is known as begun
 * afterwards: `endInstall` is for who knows that nothing else is to come.
 */
export async function runPackage(guest: Guest, run: PackageRun, tell: Tell): Promise<void> {
  // an option that it does not know ends it before it opens its log: an old log would be read as its own
  if ((await guest.stat(run.log)) || (await guest.readLink(run.log))) await guest.rename(run.log, `${run.log}.old`);
  await beginInstall(guest, run.version);
  await makeWorkshop(guest, run.workshop);
  let isKilled = false;
  const onEnd = (code: number) => {
    isKilled = code > SIGNALS;
  };
  try {
    await install(guest, { ...run, onEnd }, tell);
  } catch (error) {
    // what failed first says why
    const mark = isKilled ? beginInstall(guest, run.version, 'killed') : undefined;
    await mark?.catch(late => tell.warn(messageOf(late)));
    await guest.removeFolder(run.workshop).catch(late => tell.warn(messageOf(late)));
    throw error;
  }
  await guest.removeFolder(run.workshop);
}

async function install(guest: Guest, run: PackageRun & Pick<Followed, 'onEnd'>, tell: Tell): Promise<void> {
  const outcome = await followInstaller(guest, run, tell);
  const log = (await guest.readText(run.log, LOG_LIMIT_BYTES)) ?? '';
  if (outcome.code !== 0) throw explain(run, outcome, log);
  for (const line of findSkippedErrors(log)) tell.warn(line);
  refuseHalf(log, run.log);
  await checkRegistration(guest, run.version, `${log}\n${outcome.stderr}`, tell);
}

/** Empty, and root's own: the wrapper makes a folder in it whose name anybody could foresee. */
export async function makeWorkshop(guest: Guest, path: string): Promise<void> {
  await guest.removeFolder(path); // left by a run that was cut
  if (path.startsWith(`${STATE_DIRECTORY}/`)) await makeStateFolder(guest, path);
  else await guest.makeDirectory(path, 0o700);
  const exposed = await guest.exposure(path);
  if (exposed === undefined) return;
  throw new AgentError(`${path} is no place to unpack a package in: others can change ${exposed}`, {
    fault: 'blocked',
    remedy: `chown root ${exposed} && chmod go-w ${exposed}, after a look at what lies there`,
  });
}

type Followed = Pick<PackageRun, 'argv' | 'log'> & Pick<RunOptions, 'env' | 'onEnd'>;

/** Its silent mode says nothing for minutes, but its log grows line by line. */
export async function followInstaller(
  guest: Guest,
  { argv, log, env = {}, onEnd = () => {} }: Followed,
  tell: Tell,
): Promise<Outcome> {
  const over = new AbortController();
  const startedMs = performance.now();
  const clock = setInterval(() => {
    tell.info(
      `the installer of the package still runs, for ${Math.round((performance.now() - startedMs) / 60_000)} min`,
    );
  }, STILL_RUNNING_MS);
  const following = tellLog(guest, log, over.signal, tell);
  try {
    return await guest.run(argv, { env, onLine: line => tell.progress(line), onEnd, finishes: true, outlives: true });
  } finally {
    clearInterval(clock);
    over.abort();
    await following;
  }
}

async function tellLog(guest: Guest, log: string, signal: AbortSignal, tell: Tell): Promise<void> {
  try {
    for await (const line of guest.follow(tailOf(log, '-n', '+1'), signal)) tell.progress(line);
  } catch {
    // only what is shown while it runs; the log itself is read afterwards
  }
}

function explain({ argv, log: path }: PackageRun, outcome: Outcome, log: string): AgentError {
  const { code, stdout, stderr } = outcome;
  const failure = findInstallerFailure(log) ?? findInstallerFailure(stderr) ?? findInstallerFailure(stdout);
  const errors = [log, stderr].map(installerErrors).find(lines => lines.length > 0) ?? [];
  const last = (stderr.trim() || stdout.trim()).split('\n').slice(-3);
  const quoted = failure ? [failure.line] : errors.length > 0 ? errors.slice(-3) : last;
  const lines = [`${argv.join(' ')} ended with ${exitCodeWords(code)}`, ...quoted.map(line => `  ${line}`)];
  if (failure) lines.push(`  ${failure.cause}`);
  const said = { remedy: failure?.remedy ?? remedyFor(code, path) };
  return code > SIGNALS ? new InstallerKilled(lines.join('\n'), said) : new AgentError(lines.join('\n'), said);
}

function remedyFor(code: number, log: string): InstallerFailure['remedy'] {
  if (code === SUMS_DIFFER) return "copy the package again and compare it with NVIDIA's checksum (driver.sha256)";
  if (code > SIGNALS) return 'it was ended by a signal: run vgpu-guest apply again, which repeats the installation';
  return `read ${log} on this guest`;
}

/** Its silent mode goes on without files that it cannot write. */
function refuseHalf(log: string, path: string): void {
  const leftOut = findLeftOut(log);
  if (leftOut.length === 0) return;
  const failure = findInstallerFailure(log);
  const lines = [...(failure ? [failure.line] : []), ...leftOut].slice(0, 3);
  const again = 'then vgpu-guest revert --driver, and vgpu-guest apply';
  throw new AgentError(['the driver is installed, but not all of its files', ...lines].join('\n  '), {
    remedy: `see in ${path} why they could not be written (df -h /usr), and put that right; ${again}`,
  });
}

/** The installer takes a failed registration for a warning; and some releases warn although DKMS has everything. */
async function checkRegistration(guest: Guest, version: string, text: string, tell: Tell): Promise<void> {
  const line = findDkmsWarning(text);
  if (!line) return;
  const kernel = (await guest.readText('/proc/sys/kernel/osrelease'))?.trim();
  const entries = (await lookAtDkms(guest)) ?? [];
  const ofThis = entries.filter(entry => entry.version === version && entry.kernel === kernel);
  if (ofThis.some(({ status }) => status.startsWith('installed'))) return tell.warn(line);
  const failure = findInstallerFailure(line);
  throw new AgentError(`the driver is installed, but DKMS has not got its modules\n  ${line}`, {
    remedy: failure?.remedy ?? 'run dkms status, and read the make.log below /var/lib/dkms/nvidia',
  });
}
