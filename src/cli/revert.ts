import { apply } from '../engine/apply.ts';
import { lookAt } from '../facts/facts.ts';
import { reportJson, revertText } from '../report/apply-report.ts';
import { levelOf } from '../report/watch.ts';
import type { RevertOptions } from '../steps/revert/changed-files.ts';
import { revertJourney } from '../steps/revert/revert-journey.ts';
import { openDeadline } from './deadline.ts';
import { EXIT, exitCodeOfReport } from './exit.ts';
import type { CommonOptions, Io } from './io.ts';
import { openEyesFor, openGuestFor } from './open.ts';
import { tellPlan } from './plan.ts';
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

async function revert(options: Options, asked: RevertOptions, given: Io): Promise<number> {
  using deadline = openDeadline(given);
  const { io } = deadline;
  const guest = openGuestFor(options, io);
  const { config } = await readConfig(guest, common(options), io.env);
  deadline.begin(config.runTimeoutMs);
  const { log, watcher, close } = await openTalk(guest, options, io);
  try {
    const steps = revertJourney(asked);
    const report = await apply({
      guest,
      config,
      steps,
      watcher: deadline.watched(watcher),
      stop: io.stop,
      reverts: true,
    });
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
  return await tellPlan(revertJourney(asked), lookAt(guest, config), options, io);
}

/** What apply takes for settings are other options here: --driver names no package. */
function common({ config, root, color }: Options): CommonOptions {
  return { root, color, ...(config === undefined ? {} : { config }) };
}
