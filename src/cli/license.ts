import serviceTemplate from '../../units/vgpu-guest-license.service';
import timerText from '../../units/vgpu-guest-license.timer';
import { waitForLicense } from '../engine/license/license-wait.ts';
import { watchLicense } from '../engine/license/license-watch.ts';
import { AgentError } from '../errors.ts';
import { unitText } from '../formats/systemd-unit.ts';
import type { Guest } from '../guest/guest.ts';
import { reportJson } from '../report/apply-report.ts';
import { indent } from '../report/text.ts';
import { levelOf } from '../report/watch.ts';
import { watchJson, watchMetrics, watchText } from '../report/watch-report.ts';
import { EXIT, exitCodeOfReport } from './exit.ts';
import type { CommonOptions, Io } from './io.ts';
import { openGuestFor } from './open.ts';
import { guestPath, readConfig } from './settings.ts';
import { openTalk } from './talk.ts';
import { VERSION } from './version.ts';

/** Waits for a license with a deadline, and does nothing else. */
export async function licenseWaitCommand(
  options: CommonOptions & { readonly licenseTimeout?: string },
  io: Io,
): Promise<number> {
  const guest = openGuestFor(options, io);
  const { config } = await readConfig(guest, options, io.env);
  const { log, watcher, close } = await openTalk(guest, options, io);
  try {
    const report = await waitForLicense({ guest, config, watcher, stop: io.stop });
    const text = indent(report.steps.map(({ because }) => because).join(''));
    log.write('debug', text, { outcome: report.outcome });
    if (options.json) io.json(reportJson(report));
    else if (!options.quiet || levelOf(report.outcome) !== 'info') io.out(text);
    return exitCodeOfReport(report, EXIT.rebootNeeded, false);
  } finally {
    await close();
  }
}

/** One short look for a timer: heals nvidia-gridd alone, and writes metrics. */
export async function licenseWatchCommand(
  options: CommonOptions & { readonly metrics?: string },
  io: Io,
): Promise<number> {
  const guest = openGuestFor(options, io);
  const { config } = await readConfig(guest, options, io.env);
  const warn = (text: string) => void io.err.write(`${io.spell(indent(text))}\n`);
  const told = { info: () => {}, warn, progress: () => {} };
  const watched = await watchLicense({ guest, config, tell: told, stop: io.stop });
  await writeMetrics(guest, options, watchMetrics(watched, VERSION), warn);
  const isFine = !watched.required || watched.license.state === 'licensed' || watched.license.state === 'not-required';
  if (options.json) io.json(watchJson(watched));
  else if (!options.quiet || !isFine || watched.action === 'restarted') io.out(watchText(watched));
  return isFine ? EXIT.settled : EXIT.unlicensed;
}

/** Where Debian's node_exporter and where most others look. */
const METRICS_FOLDERS = ['/var/lib/prometheus/node-exporter', '/var/lib/node_exporter/textfile_collector'];

/** A file that was named must be written; nobody asked for one in a folder that happens to be there. */
async function writeMetrics(
  guest: Guest,
  { metrics, root }: CommonOptions & { readonly metrics?: string },
  text: string,
  warn: (text: string) => void,
): Promise<void> {
  if (metrics !== undefined) return await guest.writeText(guestPath(metrics, root, '--metrics'), text, 0o644);
  for (const folder of METRICS_FOLDERS) {
    if ((await guest.stat(folder))?.kind !== 'directory') continue;
    try {
      await guest.writeText(`${folder}/vgpu-guest.prom`, text, 0o644);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      warn(error.message);
    }
    return;
  }
}

/** The text of a unit that runs this very program, for /etc/systemd/system. */
export async function licenseUnitCommand(
  options: CommonOptions & { readonly argument: string },
  io: Io,
): Promise<number> {
  switch (options.argument) {
    case 'service':
      io.data(unitText(serviceTemplate, [...io.program, 'license', 'watch', '--quiet']).trimEnd());
      return EXIT.settled;
    case 'timer':
      io.data(timerText.trimEnd());
      return EXIT.settled;
    default:
      throw new AgentError(`license unit ${options.argument}: there are service and timer`, { fault: 'usage' });
  }
}
