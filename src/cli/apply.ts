import unitTemplate from '../../units/vgpu-guest-resume.service';
import { apply, type Report } from '../engine/apply.ts';
import { readMarker, resumeUnitText, STATE_DIRECTORY } from '../engine/resume.ts';
import { AgentError } from '../errors.ts';
import type { Guest } from '../guest/guest.ts';
import { reportJson, reportText } from '../report/apply-report.ts';
import { type Log, openLog } from '../report/log.ts';
import { paintFor } from '../report/text.ts';
import { createWatcher, levelOf, terminalFoot } from '../report/watch.ts';
import { EXIT, exitCodeOfReport } from './exit.ts';
import type { CommonOptions, Io, SettingOptions } from './io.ts';
import { openGuestFor } from './open.ts';
import { selectSteps } from './select-steps.ts';
import { namedConfigPath, readConfig } from './settings.ts';

const LOG = '/var/log/vgpu-guest.log';
const LAST_REPORT = `${STATE_DIRECTORY}/last-report.json`;

export interface ApplyOptions extends CommonOptions, SettingOptions {
  /** The resume unit's: go on with the journey whose reboot is over, as it was asked for. */
  readonly resume?: boolean;
}

/** Makes it so. */
export async function applyCommand(options: ApplyOptions, io: Io): Promise<number> {
  const guest = openGuestFor(options, io);
  const marker = options.resume ? await readMarker(guest) : undefined;
  const only = options.only ?? marker?.only ?? [];
  const skip = options.skip ?? marker?.skip ?? [];
  const steps = selectSteps(only, skip);
  const configPath = namedConfigPath(options, io.env) ?? marker?.configPath;
  const file = configPath === undefined ? {} : { config: configPath };
  const { config, asked } = await readConfig(guest, { ...options, ...file }, io.env, marker?.settings);

  const paint = paintFor(io.err, options.color);
  const foot = io.err.isTTY && !options.quiet && !options.verbose ? terminalFoot(io.err, paint) : undefined;
  const log = openLog({
    file: await logFile(guest, io),
    terminal: options.quiet ? 'quiet' : options.verbose ? 'verbose' : 'normal',
    line: (_level, message) => `${foot?.clear() ?? ''}${message}`,
  });
  const watcher = createWatcher(log, foot, paint);
  try {
    const unitText = resumeUnitText(unitTemplate, io.program);
    const report = await apply({
      guest,
      config,
      steps,
      watcher,
      stop: io.stop,
      resume: { settings: asked, ...(configPath === undefined ? {} : { configPath }), only, skip, unitText },
    });
    await keepReport(guest, report);
    const rebootComes = report.outcome === 'reboot-needed' && config.reboot === 'auto';
    answer(report, reportText(report, rebootComes), options, io, log);
    if (rebootComes) await reboot(guest);
    return exitCodeOfReport(report, options.rebootExitCode ?? EXIT.rebootNeeded, options.detailedExitcode ?? false);
  } catch (error) {
    if (error instanceof AgentError) log.write('debug', error.message);
    throw error;
  } finally {
    watcher.close();
    await log.close();
  }
}

/** A log that cannot be written is a pity, and no reason to leave the guest as it is. */
async function logFile(guest: Guest, { err }: Io): Promise<string | undefined> {
  try {
    return await guest.prepareAppend(LOG, 0o640);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    err.write(`there will be no log file: ${error.message}\n`);
    return undefined;
  }
}

/** The answer is on stdout; the talk before it went to stderr, and the log file gets both. */
function answer(report: Report, text: string, { json, quiet }: ApplyOptions, io: Io, log: Log): void {
  log.write('debug', text, { outcome: report.outcome });
  if (json) io.out(JSON.stringify(reportJson(report), null, 2));
  else if (!quiet || levelOf(report.outcome) !== 'info') io.out(text);
}

/** A run that found everything settled leaves nothing behind. */
async function keepReport(guest: Guest, report: Report): Promise<void> {
  if (report.outcome === 'settled') return;
  await guest.makeDirectory(STATE_DIRECTORY, 0o700);
  await guest.writeText(LAST_REPORT, `${JSON.stringify(reportJson(report), null, 2)}\n`, 0o600);
}

async function reboot(guest: Guest): Promise<void> {
  const outcome = await guest.run(['systemctl', 'reboot'], { timeoutMs: 60_000 });
  if (outcome.code === 0) return;
  throw new AgentError(`the guest cannot be rebooted: ${outcome.stderr.trim()}`, {
    remedy: 'reboot it by hand; the journey then goes on by itself',
  });
}
