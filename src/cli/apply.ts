import unitTemplate from '../../units/vgpu-guest-resume.service';
import type { Finding } from '../checks/check.ts';
import type { Config } from '../config/schema.ts';
import { apply, type Report } from '../engine/apply.ts';
import { LAST_REPORT, readMarker, resumeUnitText } from '../engine/resume.ts';
import { AgentError, messageOf } from '../errors.ts';
import { lookAt } from '../facts/facts.ts';
import { STATE_DIRECTORY } from '../facts/record.ts';
import type { Guest } from '../guest/guest.ts';
import { reportJson, reportText } from '../report/apply-report.ts';
import { findingText } from '../report/doctor-report.ts';
import type { Log } from '../report/log.ts';
import { indent } from '../report/text.ts';
import { levelOf } from '../report/watch.ts';
import { openDeadline } from './deadline.ts';
import { EXIT, exitCodeOfReport } from './exit.ts';
import type { CommonOptions, Io, SettingOptions } from './io.ts';
import { openEyesFor, openGuestFor } from './open.ts';
import { selectSteps } from './select-steps.ts';
import { namedConfigPath, readConfig } from './settings.ts';
import { openTalk } from './talk.ts';

export interface ApplyOptions extends CommonOptions, SettingOptions {
  /** The resume unit's: go on with the journey whose reboot is over, as it was asked for. */
  readonly resume?: boolean;
}

/** Makes it so. */
export async function applyCommand(options: ApplyOptions, given: Io): Promise<number> {
  using deadline = openDeadline(given);
  const { io } = deadline;
  const guest = openGuestFor(options, io);
  const marker = options.resume ? await readMarker(guest) : undefined;
  const only = options.only ?? marker?.only ?? [];
  const skip = options.skip ?? marker?.skip ?? [];
  const steps = selectSteps(only, skip);
  const configPath = namedConfigPath(options, io.env) ?? marker?.configPath;
  const file = configPath === undefined ? {} : { config: configPath };
  const { config, asked } = await readConfig(guest, { ...options, ...file }, io.env, marker?.settings);

  deadline.begin(config.runTimeoutMs);
  const { paint, log, watcher, close } = await openTalk(guest, options, io);
  try {
    const unitText = resumeUnitText(unitTemplate, io.program);
    const report = await apply({
      guest,
      config,
      steps,
      watcher: deadline.watched(watcher),
      stop: io.stop,
      // a boot may find a run that its cloud or its configuration management has begun
      lockWaitMs: options.resume ? config.lockTimeoutMs : 0,
      program: io.program,
      resume: { settings: asked, ...(configPath === undefined ? {} : { configPath }), only, skip, unitText },
    });
    await keepReport(guest, log, report);
    const findings = await findCauses(report, config, options, io, log);
    if (findings.length > 0) await keepReport(guest, log, report, findings);
    const rebootComes = report.outcome === 'reboot-needed' && config.reboot === 'auto';
    for (const finding of findings) log.write('warn', findingText(finding, paint), { finding: finding.id });
    answer(report, findings, reportText(report, rebootComes), options, io, log);
    if (rebootComes) await reboot(guest);
    return exitCodeOfReport(report, options.rebootExitCode ?? EXIT.rebootNeeded, options.detailedExitcode ?? false);
  } catch (error) {
    if (error instanceof AgentError) log.write('debug', indent(error.message));
    throw error;
  } finally {
    await close();
  }
}

/** The answer is on stdout; the talk before it went to stderr, and the log file gets both. */
function answer(
  report: Report,
  findings: readonly Finding[],
  text: string,
  { json, quiet }: ApplyOptions,
  io: Io,
  log: Log,
): void {
  log.write('debug', text, { outcome: report.outcome });
  if (json) io.json(reportJson(report, findings));
  else if (!quiet || levelOf(report.outcome) !== 'info') io.out(text);
}

/** What explains a run that was blocked or ended without a license. It says more, and must not change how the run has ended. */
async function findCauses(
  report: Report,
  config: Config,
  options: ApplyOptions,
  io: Io,
  log: Log,
): Promise<readonly Finding[]> {
  if (report.outcome !== 'blocked' && report.outcome !== 'unlicensed') return [];
  const { explain } = await import('../engine/explain.ts');
  const deadline = AbortSignal.timeout(CAUSES_TIMEOUT_MS);
  const eyes = openEyesFor(options, { ...io, stop: AbortSignal.any([io.stop, deadline]) });
  try {
    return await explain(report, lookAt(eyes, config), { stop: io.stop, deadline });
  } catch (error) {
    io.stop.throwIfAborted();
    log.write('debug', `what explains this could not be found: ${indent(messageOf(error))}`);
    return [];
  }
}

/** Somebody waits for the end of a run that has ended already, and nvidia-smi may take half a minute without persistence. */
const CAUSES_TIMEOUT_MS = 45_000;

/** A run that found everything settled leaves nothing behind. */
async function keepReport(guest: Guest, log: Log, report: Report, findings: readonly Finding[] = []): Promise<void> {
  if (report.outcome === 'settled') return;
  try {
    await guest.makeDirectory(STATE_DIRECTORY, 0o700);
    await guest.writeText(LAST_REPORT, `${JSON.stringify(reportJson(report, findings), null, 2)}\n`, 0o600);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    // what is to be said is said all the same, and how the run has ended stays true
    log.write('warn', `the report of this run is not kept: ${indent(error.message)}\n→ ${indent(error.remedy ?? '')}`);
  }
}

async function reboot(guest: Guest): Promise<void> {
  const outcome = await guest.run(['systemctl', 'reboot'], { timeoutMs: 60_000 });
  if (outcome.code === 0) return;
  throw new AgentError(`the guest cannot be rebooted: ${outcome.stderr.trim()}`, {
    remedy: 'reboot it by hand; the journey then goes on by itself',
  });
}
