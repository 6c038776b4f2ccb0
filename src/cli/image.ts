import firstBootTemplate from '../../units/vgpu-guest-first-boot.service';
import resumeTemplate from '../../units/vgpu-guest-resume.service';
import { apply } from '../engine/apply.ts';
import { generalize } from '../engine/generalize.ts';
import { resumeUnitText } from '../engine/resume.ts';
import { reportJson, reportText } from '../report/apply-report.ts';
import { indent } from '../report/text.ts';
import { levelOf } from '../report/watch.ts';
import { imageJourney } from '../steps/for-image.ts';
import { openDeadline } from './deadline.ts';
import { EXIT, exitCodeOfReport } from './exit.ts';
import type { CommonOptions, Io, SettingOptions } from './io.ts';
import { openGuestFor } from './open.ts';
import { readConfig } from './settings.ts';
import { openTalk } from './talk.ts';

/** Does on an image what needs neither GPU nor license, so that its clones need no reboot for it. */
export async function prepareCommand(options: CommonOptions & SettingOptions, given: Io): Promise<number> {
  using deadline = openDeadline(given);
  const { io } = deadline;
  const guest = openGuestFor(options, io);
  const { config, asked } = await readConfig(guest, options, io.env);
  deadline.begin(config.runTimeoutMs);
  const { log, watcher, close } = await openTalk(guest, options, io);
  try {
    const unitText = resumeUnitText(resumeTemplate, io.program);
    const resume = { settings: asked, only: [], skip: [], unitText };
    const told = deadline.watched(watcher);
    const report = await apply({ guest, config, steps: imageJourney, watcher: told, stop: io.stop, resume });
    const isReady = report.outcome === 'settled' || report.outcome === 'changed';
    const text = isReady ? READY : reportText(report, false);
    log.write('debug', text, { outcome: report.outcome });
    if (options.json) io.json(reportJson(report));
    else if (!options.quiet || levelOf(report.outcome) !== 'info') io.out(text);
    return exitCodeOfReport(report, EXIT.rebootNeeded, options.detailedExitcode ?? false);
  } finally {
    await close();
  }
}

const READY = 'prepared: what is left for the first boot is the driver, which only a GPU can prove, and the license';

/** Takes away what clones must not share, and lets their first boot bring them to a license. */
export async function generalizeCommand(options: CommonOptions, io: Io): Promise<number> {
  const guest = openGuestFor(options, io);
  const { config } = await readConfig(guest, options, io.env);
  const say = (text: string) => void io.err.write(`${io.spell(indent(text))}\n`);
  const tell = { info: options.verbose ? say : () => {}, warn: say, progress: () => {} };
  const unitText = resumeUnitText(firstBootTemplate, io.program);
  const { removed, kept } = await generalize({ guest, config, tell, unitText });
  if (options.json) {
    io.json({ schema: 'vgpu-guest/generalized/1', removed, kept, firstBoot: true });
  } else if (!options.quiet) {
    io.out(`generalized: ${removed.length} files are gone, and the next boot runs vgpu-guest apply`);
    for (const path of kept) io.out(`${path} stays, since license.token names it: remove it if clones get their own`);
  }
  return EXIT.settled;
}
