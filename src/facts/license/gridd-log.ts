import {
  type GriddLine,
  type GriddTalk,
  interpret,
  readJournalLine,
  readSyslogLine,
  startedPid,
} from '../../formats/license/license-log.ts';
import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';
import type { GriddUnit } from './gridd.ts';
import { licenseSourceOf } from './servers.ts';
import { tokenChangedUs } from './token-files.ts';

/** What the daemon that was started last has said. Lines about another token or gridd.conf than the present one are kept apart. */
export type GriddLogFact =
  | { readonly is: 'unknown'; readonly because: string }
  | {
      readonly is: 'read';
      /** Where the lines are: a command or a file. */
      readonly from: string;
      /** From its start and from the last change of what it reads on, the oldest first. */
      readonly said: readonly GriddSaid[];
      /** What was said before: by it of files that were changed since, or, while it is silent, by the daemon before it. */
      readonly earlier: readonly GriddSaid[];
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
  const [{ family, nowUs }, gridd, tokenFiles, token] = await Promise.all([
    fact('system'),
    fact('gridd'),
    fact('tokenFiles'),
    fact('token'),
  ]);
  const { unit, conf } = gridd;
  const source = licenseSourceOf(config, { tokenFiles, token, gridd });
  const syslogPath = family?.syslogPath ?? SYSLOG_PATH;
  const found = (await readJournal(guest)) ?? (await readSyslog(guest, syslogPath));
  if (!found) return { is: 'unknown', because: `neither the journal nor ${syslogPath} can be read` };
  const { own, before } = tellApart(found.lines, unit);
  const confUs = conf && conf.changedUs <= nowUs ? conf.changedUs : 0;
  const changedUs = Math.max(confUs, source.world === 'token' ? tokenChangedUs(tokenFiles, nowUs) : 0);
  // a line without a time cannot be told apart, and counts
  const from = own.findIndex(({ atUs = changedUs }) => atUs >= changedUs);
  const start = from < 0 ? own.length : from;
  const interpreted = (lines: readonly GriddLine[]) =>
    lines.map(line => ({ ...line, ...interpret(line.message, source) }));
  return {
    is: 'read',
    from: found.from,
    said: interpreted(own.slice(start)),
    earlier: interpreted(own.length === 0 ? before : own.slice(0, start)),
  };
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

/** The lines of the daemon that was started last, which may not have said anything yet, and of the one before it. */
function tellApart(
  lines: readonly GriddLine[],
  { mainPid, lastStartedUs = 0 }: GriddUnit,
): { readonly own: readonly GriddLine[]; readonly before: readonly GriddLine[] } {
  // by its number it is known also where the clock was set back since
  const isPresent = ({ atUs = lastStartedUs, pid }: GriddLine) =>
    atUs >= lastStartedUs || (mainPid !== undefined && pid === mainPid);
  const starts = lines.flatMap((line, index) => (startedPid(line.message) === undefined ? [] : [index]));
  const last = starts.at(-1);
  const first =
    last !== undefined && isPresent(lines[last]!)
      ? last
      : lines.findIndex((line, index) => index > (last ?? -1) && isPresent(line));
  const begin = first < 0 ? lines.length : first;
  const previous = starts.findLast(index => index < begin) ?? 0;
  return { own: ofOneDaemon(lines.slice(begin)), before: ofOneDaemon(lines.slice(previous, begin)) };
}

/** An earlier daemon may say its last words after the next one has begun. */
function ofOneDaemon(lines: readonly GriddLine[]): readonly GriddLine[] {
  const [first] = lines;
  const started = first && startedPid(first.message);
  if (!first || started === undefined) return lines;
  const own = first.pid ?? started;
  return lines.filter(({ pid }) => pid === undefined || pid === own);
}
