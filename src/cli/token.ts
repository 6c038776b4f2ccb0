import unitTemplate from '../../units/vgpu-guest-resume.service';
import type { Report } from '../engine/apply.ts';
import { rotateToken } from '../engine/license/rotate-token.ts';
import { resumeUnitText } from '../engine/resume.ts';
import { AgentError } from '../errors.ts';
import { lookAtToken } from '../facts/license/token.ts';
import { judgeDates } from '../formats/license/token.ts';
import { isUrl, withoutSecrets } from '../formats/url.ts';
import type { GuestView } from '../guest/guest.ts';
import { openEyes } from '../guest/open-guest.ts';
import { reportJson, reportText } from '../report/apply-report.ts';
import { indent } from '../report/text.ts';
import { type InspectedToken, tokenJson, tokenText } from '../report/token-report.ts';
import { levelOf } from '../report/watch.ts';
import { NEW_TOKEN, remedyForDates } from '../steps/license/place-token.ts';
import { openDeadline } from './deadline.ts';
import { EXIT, exitCodeOfReport } from './exit.ts';
import type { CommonOptions, Io } from './io.ts';
import { openGuestFor } from './open.ts';
import { guestPath, namedConfigPath, readConfig } from './settings.ts';
import { openTalk } from './talk.ts';

export interface TokenOptions extends CommonOptions {
  /** The file; of `rotate` a URL as well. */
  readonly argument: string;
  readonly licenseTimeout?: string;
  readonly detailedExitcode?: boolean;
}

/** What a token says of itself, without what is secret; exit 4: it cannot be used. */
export async function tokenInspectCommand(options: TokenOptions, io: Io): Promise<number> {
  if (isUrl(options.argument)) {
    throw new AgentError(`${withoutSecrets(options.argument)}: it takes a file of this guest`, { fault: 'usage' });
  }
  const path = guestPath(options.argument, options.root, 'token inspect');
  const inspected = await inspect(openEyes({ root: options.root, env: io.env, stop: io.stop }), path);
  if (options.json) io.json(tokenJson(inspected));
  else if (!options.quiet || inspected.refusal) io.out(tokenText(inspected));
  return inspected.refusal ? EXIT.blocked : EXIT.settled;
}

async function inspect(guest: GuestView, path: string): Promise<InspectedToken> {
  const found = await lookAtToken(guest, path).catch(error => {
    if (error.code !== 'EACCES' && error.code !== 'EPERM') throw error;
    throw new AgentError(`${path} cannot be read by this user`, { fault: 'not-root', remedy: 'run it with sudo' });
  });
  if (found.is === 'unusable') return { path, found, refusal: { because: found.because, remedy: NEW_TOKEN } };
  const untimely = judgeDates(found.claims, guest.nowUs());
  const refusal = untimely && { because: untimely.because, remedy: remedyForDates(untimely) };
  return { path, found, refusal };
}

/** Replaces the token, and puts the old one back where the new one brings no license. */
export async function tokenRotateCommand(options: TokenOptions, given: Io): Promise<number> {
  using deadline = openDeadline(given);
  const { io } = deadline;
  const guest = openGuestFor(options, io);
  const token = isUrl(options.argument) ? options.argument : guestPath(options.argument, options.root, 'token rotate');
  const { config, asked } = await readConfig(guest, options, io.env);
  if (isUrl(token) && !token.startsWith('https://')) {
    throw new AgentError(`${withoutSecrets(token)}: a token is downloaded by https only`, { fault: 'usage' });
  }
  deadline.begin(config.runTimeoutMs);
  const { log, watcher, close } = await openTalk(guest, options, io);
  try {
    const configPath = namedConfigPath(options, io.env);
    const unitText = resumeUnitText(unitTemplate, io.program);
    const report = await rotateToken({
      guest,
      config,
      token,
      watcher: deadline.watched(watcher),
      stop: io.stop,
      resume: {
        settings: asked,
        ...(configPath === undefined ? {} : { configPath }),
        only: [],
        skip: [],
        unitText,
      },
    });
    const advice = adviceOf(report, token, config.license.token);
    const { restored } = report;
    const text = [textOf(report), ...advice.map(line => `→ ${line}`)].join('\n');
    log.write('debug', text, { outcome: report.outcome });
    if (options.json) io.json({ ...reportJson(report), restored, advice });
    else if (!options.quiet || levelOf(report.outcome) !== 'info') io.out(text);
    return exitCodeOfReport(report, EXIT.rebootNeeded, options.detailedExitcode ?? false);
  } catch (error) {
    if (error instanceof AgentError) log.write('debug', indent(error.message));
    throw error;
  } finally {
    await close();
  }
}

function textOf(report: Report & { readonly restored: boolean }): string {
  if (!report.restored) return reportText(report, false);
  if (report.outcome === 'failed') return `${reportText(report, false)}\nthe old token is in its place again`;
  return report.license.state === 'licensed'
    ? 'the new token brought no license, and the old one is in its place again'
    : 'the new token brought no license, and the old one, which is in its place again, brings none either';
}

/** The configuration file is the operator's, and the next apply goes by it. */
function adviceOf(
  report: Report & { readonly restored: boolean },
  token: string,
  configured: string | undefined,
): readonly string[] {
  const isInPlace =
    !report.restored && report.steps.some(({ id, outcome }) => id === 'place-token' && outcome !== 'blocked');
  if (configured === undefined) return [];
  if (isInPlace && configured !== token) {
    return [
      `license.token is still ${withoutSecrets(configured)}, which vgpu-guest apply would put back: set it to ${withoutSecrets(token)}`,
    ];
  }
  if (report.restored && configured === token) {
    return [
      `license.token is ${withoutSecrets(token)}, which vgpu-guest apply would put in its place: set it to another one`,
    ];
  }
  return [];
}
