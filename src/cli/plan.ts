import type { Change } from '../change.ts';
import { lookForAll, type Plan, plan } from '../engine/plan.ts';
import { type Look, lookAt } from '../facts/facts.ts';
import type { GuestView } from '../guest/guest.ts';
import { type PresentTexts, planJson, planText } from '../report/plan-report.ts';
import { paintFor } from '../report/text.ts';
import type { Step } from '../steps/step.ts';
import { EXIT } from './exit.ts';
import type { CommonOptions, Io, SettingOptions } from './io.ts';
import { openEyesFor } from './open.ts';
import { selectSteps } from './select-steps.ts';
import { readConfig } from './settings.ts';

/** What would change, step by step, with file diffs. Touches nothing. */
export async function planCommand(options: CommonOptions & SettingOptions, io: Io): Promise<number> {
  const steps = selectSteps(options.only, options.skip);
  const guest = openEyesFor(options, io);
  const { config } = await readConfig(guest, options, io.env);
  return await tellPlan(steps, lookAt(guest, config), options, io);
}

/** What these steps would change. */
export async function tellPlan(
  steps: readonly Step[],
  look: Look,
  options: CommonOptions & { readonly detailedExitcode?: boolean },
  io: Io,
): Promise<number> {
  const planned = plan(steps, look.config, await lookForAll(steps, look));
  const present = await presentTexts(look.guest, planned);
  if (options.json) io.json(planJson(planned, present));
  else {
    const told = options.quiet ? planned.filter(({ verdict }) => verdict.is === 'blocked') : planned;
    if (told.length > 0) io.out(planText(told, present, paintFor(process.stdout, options.color)));
  }
  return exitCode(planned, options.detailedExitcode ?? false);
}

/** 4 where somebody must act first, else whether anything is due. */
function exitCode(planned: Plan, detailed: boolean): number {
  if (planned.some(({ verdict }) => verdict.is === 'blocked')) return EXIT.blocked;
  return detailed && planned.some(({ verdict }) => verdict.is === 'due') ? EXIT.changes : EXIT.settled;
}

/** The files that would be written, put back or removed, and their originals, as they stand, for the diffs. */
export async function presentTexts(guest: GuestView, planned: Plan): Promise<PresentTexts> {
  const changes = planned.flatMap(({ verdict }) => (verdict.is === 'due' ? verdict.changes : []));
  const texts = await Promise.all(
    changes.flatMap(change =>
      pathsToShow(change).map(async path => [path, await textOf(guest, path, change)] as const),
    ),
  );
  return new Map(texts.filter((entry): entry is readonly [string, string] => entry[1] !== undefined));
}

async function textOf(guest: GuestView, path: string, change: Change): Promise<string | undefined> {
  const isLatin1 = change.kind === 'write' && change.encoding === 'latin1';
  return isLatin1 ? await guest.readStart(path, MOST_BYTES) : await guest.readText(path);
}

/** What `readText` takes. */
const MOST_BYTES = 1024 * 1024;

/** Of a token nothing is shown. */
function pathsToShow(change: Change): readonly string[] {
  switch (change.kind) {
    case 'write':
      return [change.path];
    case 'restore':
      return change.isSecret ? [] : [change.path, change.original];
    case 'remove':
      return change.isText ? [change.path] : [];
    default:
      return [];
  }
}
