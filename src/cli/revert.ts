import { apply } from '../engine/apply.ts';
import { lookForAll, plan } from '../engine/plan.ts';
import { lookAt } from '../facts/facts.ts';
import { reportJson, revertText } from '../report/apply-report.ts';
import { planJson, planText } from '../report/plan-report.ts';
import { paintFor } from '../report/text.ts';
import { levelOf } from '../report/watch.ts';
import type { RevertOptions } from '../steps/changed-files.ts';
import { revertJourney } from '../steps/revert-journey.ts';
import { EXIT, exitCodeOfReport } from './exit.ts';
import type { CommonOptions, Io } from './io.ts';
import { openEyesFor, openGuestFor } from './open.ts';
import { exitCodeOfPlan, presentTexts } from './plan.ts';
import { readConfig } from './settings.ts';
import { openTalk } from './talk.ts';

interface Options extends CommonOptions {
  readonly plan?: boolean;
  readonly driver?: boolean;
  readonly packages?: boolean;
  readonly force?: boolean;
  readonly detailedExitcode?: boolean;
  readonly rebootExitCode?: number;
}

/** Puts back what apply has changed. */
export async function revertCommand(options: Options, io: Io): Promise<number> {
  const { driver = false, packages = false, force = false } = options;
  const asked: RevertOptions = { driver, packages, force };
  return options.plan ? await planRevert(options, asked, io) : await revert(options, asked, io);
}

async function revert(options: Options, asked: RevertOptions, io: Io): Promise<number> {
  const guest = openGuestFor(options, io);
  const { config } = await readConfig(guest, common(options), io.env);
  const { log, watcher, close } = await openTalk(guest, options, io);
  try {
    const steps = revertJourney(asked);
    const report = await apply({ guest, config, steps, watcher, stop: io.stop, reverts: true });
    const text = revertText(report);
    log.write('debug', text, { outcome: report.outcome });
    if (options.json) io.json(reportJson(report));
    else if (!options.quiet || levelOf(report.outcome) !== 'info') io.out(text);
    return exitCodeOfReport(report, options.rebootExitCode ?? EXIT.rebootNeeded, options.detailedExitcode ?? false);
  } finally {
    await close();
  }
}

async function planRevert(options: Options, asked: RevertOptions, io: Io): Promise<number> {
  const guest = openEyesFor(options, io);
  const { config } = await readConfig(guest, common(options), io.env);
  const steps = revertJourney(asked);
  const planned = plan(steps, config, await lookForAll(steps, lookAt(guest, config)));
  const present = await presentTexts(guest, planned);
  if (options.json) io.json(planJson(planned, present));
  else {
    const told = options.quiet ? planned.filter(({ verdict }) => verdict.is === 'blocked') : planned;
    if (told.length > 0) io.out(planText(told, present, paintFor(process.stdout, options.color)));
  }
  return exitCodeOfPlan(planned, options.detailedExitcode ?? false);
}

/** What apply takes for settings are other options here: --driver names no package. */
function common({ config, root, color }: Options): CommonOptions {
  return { root, color, ...(config === undefined ? {} : { config }) };
}
