import type { Argv, Change, Verdict } from '../change.ts';
import type { Config } from '../config/schema.ts';
import { AgentError } from '../errors.ts';
import { collect, type Look, lookAt } from '../facts/facts.ts';
import { GRIDD_UNIT } from '../facts/license/gridd.ts';
import type { Guest } from '../guest/guest.ts';
import { pause } from '../guest/pause.ts';
import { type License, licenseOf } from '../steps/license/await-license.ts';
import type { Step } from '../steps/step.ts';
import { clearLeftovers } from './clear-leftovers.ts';
import { CLOCK_STEP_US, type Enactable, enact, NoLicense } from './enact.ts';
import { whyDead } from './license/why-dead.ts';
import { lookAgain } from './look-again.ts';
import { lookForAll, plan } from './plan.ts';
import { remember } from './remember.ts';
import { arrangeResume, endResume, type ResumeMarker, readMarker, refuseLoop } from './resume.ts';
import type { Tell } from './tell.ts';

export type StepOutcome = 'settled' | 'changed' | 'reboot-needed' | 'blocked' | 'failed' | 'unlicensed' | 'not-reached';

export interface StepReport {
  readonly id: string;
  readonly outcome: StepOutcome;
  readonly because: string;
  readonly remedy?: string;
  /** What the guest can live with, and somebody should know. */
  readonly warnings?: readonly string[];
  readonly durationMs: number;
}

const LOCK_PAUSE_MS = 1_000;

/** What happened. `outcome` is the whole run's: the worst of its steps, or `changed` or `settled`. */
export interface Report {
  readonly outcome: Exclude<StepOutcome, 'not-reached'>;
  /** Something was done to the guest, also by a step that failed afterwards. */
  readonly changed: boolean;
  readonly steps: readonly StepReport[];
  readonly license: License;
  /** The thrown error behind `failed`, for its exit code and for the log. */
  readonly error?: AgentError;
}

/** What a person may watch. */
export interface Watcher extends Tell {
  stepBegins(step: Step, index: number, total: number): void;
  deedBegins(change: Change): void;
  stepEnds(report: StepReport, index: number, total: number): void;
}

export interface Run {
  readonly guest: Guest;
  readonly config: Config;
  readonly steps: readonly Step[];
  readonly watcher: Watcher;
  readonly stop: AbortSignal;
  /** How long a run that somebody else has begun is waited for; the others are told to come again. */
  readonly lockWaitMs?: number;
  /** How this program is called; the packaged one unless given. */
  readonly program?: Argv;
  /** What the next boot must know to go on as this run would. */
  readonly resume?: Pick<ResumeMarker, 'settings' | 'configPath' | 'only' | 'skip'> & { readonly unitText: string };
  /** Changes are put back: nothing is remembered of it, and no boot goes on with it. */
  readonly reverts?: true;
}

/**
 * Makes it so: judge → enact → look again → judge again. Nothing is changed unless every step can be judged without a blocked one
 * among them; the first step that cannot go on ends the run.
 */
export async function apply(run: Run): Promise<Report> {
  const release = await takeLock(run);
  try {
    await clearLeftovers(run.guest, run.watcher);
    const report = await journey(run);
    if (!run.reverts) await concludeResume(run.guest, report);
    return report;
  } finally {
    await release();
  }
}

async function takeLock({ guest, lockWaitMs = 0, watcher, stop }: Run): Promise<() => Promise<void>> {
  const deadlineMs = performance.now() + lockWaitMs;
  for (let isTold = false; ; isTold = true) {
    try {
      return await guest.lock();
    } catch (error) {
      const isBusy = error instanceof AgentError && error.fault === 'busy';
      if (!isBusy || performance.now() >= deadlineMs) throw error;
      if (!isTold) watcher.info(`${error.message}; this one waits for its end`);
      await pause(LOCK_PAUSE_MS, stop);
    }
  }
}

/** These steps and nothing around them: whoever calls it holds the lock. */
export async function journey(run: Run): Promise<Report> {
  const { guest, config, steps, watcher } = run;
  const reports: StepReport[] = [];
  let look = lookAt(guest, config);
  let error: AgentError | undefined;
  let changed = false;

  const planned = plan(steps, config, await lookForAll(steps, look));
  const isBlocked = planned.some(({ verdict }) => verdict.is === 'blocked');
  for (const [index, { step, verdict }] of planned.entries()) {
    watcher.stepBegins(step, index, steps.length);
    const startedMs = performance.now();
    const result = isBlocked ? untouched(verdict) : await settle(run, step, reports, look);
    error ??= result.error;
    changed ||= result.changed ?? false;
    if (result.looked) look = result.looked;
    const { outcome, because, remedy, warnings = [] } = result;
    const report: StepReport = {
      id: step.id,
      outcome,
      because,
      ...(remedy ? { remedy } : {}),
      ...(warnings.length > 0 ? { warnings } : {}),
      durationMs: Math.round(performance.now() - startedMs),
    };
    reports.push(report);
    watcher.stepEnds(report, index, steps.length);
    // without a license everything else can still be put in its place
    if (!isBlocked && !['settled', 'changed', 'unlicensed'].includes(outcome)) break;
  }

  const missed = steps.slice(reports.length).map(step => notReached(step));
  const all = [...reports, ...missed];
  return {
    outcome: outcomeOf(all),
    changed,
    steps: all,
    license: await currentLicense(config, look),
    ...(error ? { error } : {}),
  };
}

interface Result {
  readonly outcome: StepOutcome;
  readonly because: string;
  readonly remedy?: string | undefined;
  readonly warnings?: readonly string[] | undefined;
  /** A deed was done, or at least begun. */
  readonly changed?: boolean;
  /** What was seen before is stale. */
  readonly looked?: Look;
  readonly error?: AgentError;
}

async function settle(run: Run, step: Step, before: readonly StepReport[], look: Look): Promise<Result> {
  let changed = false;
  try {
    const first = await judge(step, run.config, look);
    if (first.is !== 'blocked') for (const warning of first.warnings ?? []) run.watcher.warn(warning);
    if (first.is !== 'due') return fromVerdict(first);
    const enactable = first.changes.filter((change): change is Enactable => change.kind !== 'reboot');
    const { family } = await look.fact('system');
    const beganUs = run.guest.nowUs() - CLOCK_STEP_US;
    for (const change of enactable) {
      run.stop.throwIfAborted();
      run.watcher.deedBegins(change);
      changed ||= change.kind !== 'await-license';
      if (!run.reverts) await remember(run.guest, change);
      await enact(change, { ...run, family, tell: run.watcher });
    }
    const looked = lookAgain(look, enactable);
    const second = await judge(step, run.config, looked);
    const progressed = enactable.some(({ kind }) => kind !== 'set-ecc');
    const doing = { done: first.changes, beganUs, changedSince: progressed || before.some(isChange) };
    const told = new Set(first.warnings);
    const news = second.is === 'blocked' ? [] : (second.warnings ?? []).filter(warning => !told.has(warning));
    for (const warning of news) run.watcher.warn(warning);
    const result = await conclude(run, step, doing, second);
    const warnings = [...told, ...news];
    return { ...result, warnings, changed: changed || result.outcome === 'changed', looked };
  } catch (thrown) {
    run.stop.throwIfAborted();
    return { ...failure(thrown), changed, looked: look.again() };
  }
}

const isChange = ({ outcome }: StepReport) => outcome === 'changed';

async function judge(step: Step, config: Config, look: Look): Promise<Verdict> {
  return step.judge(config, await collect(look, step.reads), new Set());
}

interface Doing {
  readonly done: readonly Change[];
  /** When the first deed began, in microseconds since 1970. */
  readonly beganUs: number;
  /** Something was changed since the last reboot that was asked for; what had to be set for that one again is no progress. */
  readonly changedSince: boolean;
}

/** After the deeds of a step only a reboot may still be due; anything else means that they did not work. */
async function conclude(run: Run, step: Step, doing: Doing, verdict: Verdict): Promise<Result> {
  if (verdict.is === 'settled')
    return {
      outcome: 'changed',
      because: `${reasons(doing.done)}; now ${verdict.because}`,
      warnings: verdict.warnings,
    };
  if (verdict.is === 'blocked') return fromVerdict(verdict);
  const [next] = verdict.changes;
  if (next.kind === 'reboot') return await reboot(run, step, next.because, doing.changedSince);
  throw await ineffective(run, next, doing.beganUs);
}

/** A daemon may die just after systemd has called it started; what it said by then is the cause. */
async function ineffective({ guest, config }: Run, next: Change, beganUs: number): Promise<AgentError> {
  const message = `everything was done, and still ${next.because}`;
  const isDead = next.kind === 'service' && next.unit === GRIDD_UNIT;
  const death = isDead ? await whyDead(guest, config, beganUs) : undefined;
  const readLog = 'the log /var/log/vgpu-guest.log has what was run and what it said';
  return new AgentError([message, ...(death?.lines ?? [])].join('\n  '), { remedy: death?.remedy ?? readLog });
}

async function reboot(run: Run, step: Step, because: string, changedSince: boolean): Promise<Result> {
  if (!run.resume) return { outcome: 'reboot-needed', because, remedy: 'reboot when it suits you' };
  const { bootId } = await lookAt(run.guest, run.config).fact('system');
  const { unitText, ...resume } = run.resume;
  const next = { bootId, step: step.id, because, ...resume };
  const last = await readMarker(run.guest);
  refuseLoop(last, next, changedSince);
  const reboots = last ? last.reboots + (last.bootId === bootId ? 0 : 1) : 1;
  await arrangeResume(run.guest, { ...next, reboots }, unitText);
  return { outcome: 'reboot-needed', because, remedy: 'reboot; the journey then goes on by itself' };
}

function fromVerdict(verdict: Exclude<Verdict, { is: 'due' }>): Result {
  return verdict.is === 'settled'
    ? { outcome: 'settled', because: verdict.because, warnings: verdict.warnings }
    : { outcome: 'blocked', because: verdict.because, remedy: verdict.remedy };
}

/** In a run that is blocked somewhere, nothing that is due is done. */
function untouched(verdict: Verdict): Result {
  return verdict.is === 'due' ? { outcome: 'not-reached', because: reasons(verdict.changes) } : fromVerdict(verdict);
}

function failure(thrown: unknown): Result {
  if (!(thrown instanceof AgentError)) throw thrown;
  const { message: because, remedy } = thrown;
  return { outcome: thrown instanceof NoLicense ? 'unlicensed' : 'failed', because, remedy, error: thrown };
}

function notReached(step: Step): StepReport {
  return { id: step.id, outcome: 'not-reached', because: 'the run ended before it', durationMs: 0 };
}

function reasons(changes: readonly Change[]): string {
  return [...new Set(changes.map(change => change.because))].join('; ');
}

/** The worst of its steps; without one, whether any was changed. */
function outcomeOf(steps: readonly StepReport[]): Report['outcome'] {
  const worst = (['failed', 'blocked', 'unlicensed', 'reboot-needed', 'changed'] as const).find(outcome =>
    steps.some(step => step.outcome === outcome),
  );
  return worst ?? 'settled';
}

async function currentLicense(config: Config, look: Look): Promise<License> {
  return licenseOf(config, await look.fact('smi'));
}

/** A journey that waits for its reboot, or found a lock held, goes on at the next boot; every other one is over. */
async function concludeResume(guest: Guest, { outcome, steps, error }: Report): Promise<void> {
  if (outcome === 'reboot-needed' || error?.fault === 'busy') return;
  const failed = steps.find(step => step.outcome === 'failed');
  const triedInVain = failed !== undefined && (await readMarker(guest))?.step === failed.id;
  await endResume(guest, triedInVain ? 'keep-marker' : 'forget-marker');
}
