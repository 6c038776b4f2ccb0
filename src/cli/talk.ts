import { AgentError } from '../errors.ts';
import type { Guest } from '../guest/guest.ts';
import { type Log, openLog } from '../report/log.ts';
import { indent, type Paint, paintFor } from '../report/text.ts';
import { createWatcher, terminalFoot } from '../report/watch.ts';
import type { CommonOptions, Io } from './io.ts';

const LOG = '/var/log/vgpu-guest.log';

/** How a run is told: to the terminal and to the log file. */
export interface Talk {
  readonly paint: Paint;
  readonly log: Log;
  readonly watcher: ReturnType<typeof createWatcher>;
  /** Everything is in the log file when this returns. */
  close(): Promise<void>;
}

/** A terminal that can be repainted shows what is going on; every other one gets lines. */
export async function openTalk(guest: Guest, { quiet, verbose, color }: CommonOptions, io: Io): Promise<Talk> {
  const paint = paintFor(io.err, color);
  const foot = io.err.isTTY && !quiet && !verbose ? terminalFoot(io.err, paint, io.spell) : undefined;
  const log = openLog({
    file: await logFile(guest, io),
    terminal: quiet ? 'quiet' : verbose ? 'verbose' : 'normal',
    line: (_level, message) => `${foot?.clear() ?? ''}${io.spell(message)}`,
  });
  const watcher = createWatcher(log, foot, paint);
  return {
    paint,
    log,
    watcher,
    async close() {
      watcher.close();
      await log.close();
    },
  };
}

/** A log that cannot be written is a pity, and no reason to leave the guest as it is. */
async function logFile(guest: Guest, { err, spell }: Io): Promise<string | undefined> {
  try {
    return await guest.prepareAppend(LOG, 0o640);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    err.write(`there will be no log file: ${spell(indent(error.message))}\n`);
    return undefined;
  }
}
