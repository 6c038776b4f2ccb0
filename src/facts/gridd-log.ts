import {
  type GriddLine,
  type GriddTalk,
  interpret,
  readJournalLine,
  readSyslogLine,
  startedPid,
} from '../formats/license-log.ts';
import type { GuestView } from '../guest/guest.ts';
import type { Look } from './facts.ts';

/** What the daemon that was started last has said. */
export type GriddLogFact =
  | { readonly is: 'unknown'; readonly because: string }
  | {
      readonly is: 'read';
      /** Where the lines are: a command or a file. */
      readonly from: string;
      /** From its `Started` on, the oldest first; empty when it never started in this boot. */
      readonly said: readonly GriddSaid[];
    };

export interface GriddSaid extends GriddLine, GriddTalk {}

const TIMEOUT_MS = 8_000;
/** A daemon that fails retries twice a minute at most; these are the lines of some hours. */
const LINES = '2000';
/** What a person would type to see the same lines. */
const JOURNAL = 'journalctl -b -t nvidia-gridd';
/** Of most system loggers. */
const SYSLOG_PATH = '/var/log/messages';

export async function collectGriddLog({ guest, config, fact }: Look): Promise<GriddLogFact> {
  const source = config.license.server ? 'server' : 'token';
  const { family } = await fact('system');
  const syslogPath = family?.syslogPath ?? SYSLOG_PATH;
  const found = (await readJournal(guest)) ?? (await readSyslog(guest, syslogPath));
  if (!found) return { is: 'unknown', because: `neither the journal nor ${syslogPath} can be read` };
  const said = sinceLastStart(found.lines).map(line => ({ ...line, ...interpret(line.message, source) }));
  return { is: 'read', from: found.from, said };
}

interface Found {
  readonly from: string;
  readonly lines: readonly GriddLine[];
}

/** undefined: there is no journal of this boot, so that its silence says nothing. */
async function readJournal(guest: GuestView): Promise<Found | undefined> {
  const common = ['journalctl', '--quiet', '--boot', '--output', 'json', '--lines'] as const;
  const [ours, any] = await Promise.all([
    guest.query([...common, LINES, 'SYSLOG_IDENTIFIER=nvidia-gridd'], TIMEOUT_MS),
    guest.query([...common, '1'], TIMEOUT_MS),
  ]);
  if (!any.stdout.startsWith('{')) return undefined;
  return { from: JOURNAL, lines: ours.stdout.split('\n').flatMap(raw => readJournalLine(raw) ?? []) };
}

async function readSyslog(guest: GuestView, path: string): Promise<Found | undefined> {
  if (!(await guest.stat(path))) return undefined;
  const { code, stdout } = await guest.query(['tail', '-n', '10000', path], TIMEOUT_MS);
  return code === 0 ? { from: path, lines: stdout.split('\n').flatMap(raw => readSyslogLine(raw) ?? []) } : undefined;
}

function sinceLastStart(lines: readonly GriddLine[]): readonly GriddLine[] {
  const start = lines.findLastIndex(({ message }) => startedPid(message) !== undefined);
  const own = lines[start];
  if (!own) return lines;
  const pid = own.pid ?? startedPid(own.message);
  // an earlier daemon may say its last words after the present one has begun
  return lines.slice(start).filter(line => line.pid === undefined || line.pid === pid);
}
