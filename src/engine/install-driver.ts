import type { Deed } from '../change.ts';
import { AgentError, messageOf } from '../errors.ts';
import { lookAtDkms } from '../facts/driver.ts';
import { LEFT_GRAPHICAL } from '../facts/screen.ts';
import {
  findDkmsWarning,
  findInstallerFailure,
  findSkippedErrors,
  type InstallerFailure,
  installerErrors,
} from '../formats/installer-log.ts';
import type { Guest, Outcome, RunOptions } from '../guest/guest.ts';
import { failedCommand } from './failed-command.ts';
import type { Tell } from './tell.ts';

type InstallDriver = Extract<Deed, { kind: 'install-driver' }>;

/** They keep the module in use, and the installer gives up when it cannot take the old one out of memory. */
const HOLDERS = ['nvidia-gridd.service', 'nvidia-persistenced.service'];
const SERVICE_TIMEOUT_MS = 120_000;
/** A failed build leaves the compiler's output in the log. */
const LOG_LIMIT_BYTES = 64 * 1024 * 1024;
/** The wrapper's own code for a sum that does not fit; nvidia-installer ends with 1, or 128 and more after a signal. */
const SUMS_DIFFER = 2;

/** Runs the .run package and says what came of it; no time limit, since ending it half-way leaves half a driver. */
export async function installDriver(guest: Guest, deed: InstallDriver, tell: Tell): Promise<void> {
  // an option that it does not know ends it before it opens its log: an old log would be read as its own
  if ((await guest.stat(deed.log)) || (await guest.readLink(deed.log))) await guest.rename(deed.log, `${deed.log}.old`);
  await using undo = new AsyncDisposableStack();
  // a run that was killed has left it, and could not come back
  const wasLeft = (await guest.stat(LEFT_GRAPHICAL)) !== undefined;
  if (deed.leaveGraphical || wasLeft) undo.defer(() => comeBack(guest, tell));
  if (deed.leaveGraphical) {
    await guest.writeText(LEFT_GRAPHICAL, '', 0o644);
    await isolate(guest, 'multi-user.target', tell);
  }
  await stopHolders(guest, undo, tell);
  const outcome = await runPackage(guest, deed, tell);
  const log = (await guest.readText(deed.log, LOG_LIMIT_BYTES)) ?? '';
  if (outcome.code !== 0) throw explain(deed, outcome, log);
  for (const line of findSkippedErrors(log)) tell.warn(line);
  await checkRegistration(guest, `${log}\n${outcome.stderr}`, tell);
}

/** What was taken away comes back, however the installation ends. */
const PUT_BACK = { evenWhenStopped: true } as const;

async function comeBack(guest: Guest, tell: Tell): Promise<void> {
  try {
    await isolate(guest, 'graphical.target', tell, PUT_BACK);
    await guest.remove(LEFT_GRAPHICAL);
  } catch (error) {
    tell.warn(messageOf(error));
  }
}

async function isolate(guest: Guest, target: string, tell: Tell, options: RunOptions = {}): Promise<void> {
  tell.info(`systemctl isolate ${target}`);
  const argv = ['systemctl', 'isolate', target] as const;
  const outcome = await guest.run(argv, { timeoutMs: SERVICE_TIMEOUT_MS, ...options });
  if (outcome.code !== 0) throw failedCommand(argv, outcome);
}

/** Stops the services that hold the old driver, and leaves their start on the stack. */
async function stopHolders(guest: Guest, undo: AsyncDisposableStack, tell: Tell): Promise<void> {
  for (const unit of HOLDERS) {
    if ((await guest.query(['systemctl', 'is-active', unit])).stdout.trim() !== 'active') continue;
    tell.info(`${unit} is stopped while the driver is replaced`);
    undo.defer(async () => {
      const started = await guest.run(['systemctl', 'start', unit], { timeoutMs: SERVICE_TIMEOUT_MS, ...PUT_BACK });
      if (started.code !== 0) tell.warn(failedCommand(['systemctl', 'start', unit], started).message);
    });
    const stopped = await guest.run(['systemctl', 'stop', unit], { timeoutMs: SERVICE_TIMEOUT_MS });
    if (stopped.code !== 0) tell.warn(failedCommand(['systemctl', 'stop', unit], stopped).message);
  }
}

/** Its silent mode says nothing for minutes, but its log grows line by line. */
async function runPackage(guest: Guest, deed: InstallDriver, tell: Tell): Promise<Outcome> {
  const over = new AbortController();
  const following = tellLog(guest, deed.log, over.signal, tell);
  try {
    return await guest.run(deed.argv, { onLine: line => tell.progress(line) });
  } finally {
    over.abort();
    await following;
  }
}

async function tellLog(guest: Guest, log: string, signal: AbortSignal, tell: Tell): Promise<void> {
  try {
    for await (const line of guest.follow(['tail', '-n', '+1', '-F', log], signal)) tell.progress(line);
  } catch {
    // only what is shown while it runs; the log itself is read afterwards
  }
}

function explain(deed: InstallDriver, outcome: Outcome, log: string): AgentError {
  const { code, stdout, stderr } = outcome;
  const failure = findInstallerFailure(log) ?? findInstallerFailure(stderr) ?? findInstallerFailure(stdout);
  const errors = [log, stderr].map(installerErrors).find(lines => lines.length > 0) ?? [];
  const last = (stderr.trim() || stdout.trim()).split('\n').slice(-3);
  const quoted = failure ? [failure.line] : errors.length > 0 ? errors.slice(-3) : last;
  const lines = [`${deed.argv.join(' ')} ended with exit code ${code}`, ...quoted.map(line => `  ${line}`)];
  if (failure) lines.push(`  ${failure.cause}`);
  return new AgentError(lines.join('\n'), { remedy: failure?.remedy ?? remedyFor(code, deed.log) });
}

function remedyFor(code: number, log: string): InstallerFailure['remedy'] {
  if (code === SUMS_DIFFER) return "copy the package again and compare it with NVIDIA's checksum (driver.sha256)";
  if (code > 128) return 'it was ended by a signal: run vgpu-guest apply again, which repeats the installation';
  return `read ${log} on this guest`;
}

/** The installer takes a failed registration for a warning; and some releases warn although DKMS has everything. */
async function checkRegistration(guest: Guest, text: string, tell: Tell): Promise<void> {
  const line = findDkmsWarning(text);
  if (!line) return;
  const entries = (await lookAtDkms(guest)) ?? [];
  if (entries.some(({ status }) => status.startsWith('installed'))) return tell.warn(line);
  const failure = findInstallerFailure(line);
  throw new AgentError(`the driver is installed, but DKMS has not got its modules\n  ${line}`, {
    remedy: failure?.remedy ?? 'run dkms status, and read the make.log below /var/lib/dkms/nvidia',
  });
}
