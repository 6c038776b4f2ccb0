import type { Argv } from '../change.ts';
import { messageOf } from '../errors.ts';
import { GRIDD_UNIT, type GriddUnit } from '../facts/gridd.ts';
import {
  type GriddLine,
  type GriddTalk,
  interpret,
  readJournalLine,
  readSyslogLine,
  startedPid,
} from '../formats/license-log.ts';
import type { Guest, GuestView } from '../guest/guest.ts';
import type { Tell } from './tell.ts';

/** A line of the daemon and what it means. */
interface Heard extends GriddTalk {
  readonly message: string;
}

/** What the present daemon has said so far, as far as it still stands. */
export interface Talk {
  /** How often it said that it has a license. */
  readonly successes: number;
  /** The newest line that is no mere noise. */
  readonly last: Heard | undefined;
  /** The failure that says most: the newest with a remedy, else the newest. A success takes it back. */
  readonly failure: Heard | undefined;
}

export interface Listener {
  talk(): Talk;
  /** Ends the program that is being read; afterwards nothing is left behind. */
  stop(): Promise<void>;
}

export interface Listening {
  readonly unit: GriddUnit;
  /** Where the license is to come from. */
  readonly source: 'token' | 'server';
  /** Where the system logger writes, for a guest without a journal. */
  readonly syslogPath: string;
  readonly tell: Tell;
  /** A success, or a failure after which nothing better will come. */
  readonly onNews: () => void;
}

/** Follows what nvidia-gridd says from its present start on, and passes it on in other words. */
export function listenToGridd(guest: Guest, { unit, source, syslogPath, tell, onNews }: Listening): Listener {
  const stopping = new AbortController();
  let talk = SILENCE;

  const following = follow().catch(error => {
    if (!stopping.signal.aborted) tell.warn(`what nvidia-gridd says cannot be followed: ${messageOf(error)}`);
  });
  return {
    talk: () => talk,
    async stop() {
      // before the reading is awaited: it goes on until the program that is read has ended
      stopping.abort();
      await following;
    },
  };

  async function follow(): Promise<void> {
    const { argv, read, isOurs } = await chooseSource(guest, unit, syslogPath);
    if (stopping.signal.aborted) return;
    for await (const raw of guest.follow(argv, stopping.signal)) {
      const line = read(raw);
      if (line && isOurs(line)) hear({ message: line.message, ...interpret(line.message, source) });
    }
  }

  function hear(heard: Heard): void {
    const { kind, message, meaning, hard } = heard;
    talk = after(talk, heard);
    if (kind === 'noise') {
      tell.progress(`nvidia-gridd: ${message}`);
      return;
    }
    const text = `nvidia-gridd: ${message} (${meaning})`;
    if (kind === 'failure') tell.warn(text);
    else tell.info(text);
    if (kind === 'success' || hard) onNews();
  }
}

/** What a daemon said that was started at `sinceUs` and has ended: its newest failure that has a remedy, else its newest failure. */
export async function lastFailure(
  guest: GuestView,
  source: Listening['source'],
  sinceUs: number,
): Promise<Heard | undefined> {
  const { stdout } = await guest.query([
    'journalctl',
    '--quiet',
    '--boot',
    '--lines',
    '20',
    '--output',
    'json',
    'SYSLOG_IDENTIFIER=nvidia-gridd',
  ]);
  const heard = stdout.split('\n').flatMap(raw => {
    const line = readJournalLine(raw);
    const isOurs = line?.atUs !== undefined && line.atUs >= sinceUs;
    return isOurs ? [{ message: line.message, ...interpret(line.message, source) }] : [];
  });
  return heard.reduce((talk, line) => after(talk, line), SILENCE).failure;
}

const SILENCE: Talk = { successes: 0, last: undefined, failure: undefined };

function after(talk: Talk, heard: Heard): Talk {
  switch (heard.kind) {
    case 'noise':
      return talk;
    case 'started':
      return { ...talk, last: heard, failure: undefined };
    case 'success':
      return { successes: talk.successes + 1, last: heard, failure: undefined };
    case 'progress':
      return { ...talk, last: heard };
    case 'failure':
      return { ...talk, last: heard, failure: talk.failure?.remedy && !heard.remedy ? talk.failure : heard };
  }
}

interface Source {
  readonly argv: Argv;
  readonly read: (raw: string) => GriddLine | undefined;
  /** Whether a line is the present daemon's. */
  readonly isOurs: (line: GriddLine) => boolean;
}

/** How far back a log file is read: it may be huge, and the daemon began lately. */
const SYSLOG_LINES = '10000';

/** The journal; where it keeps nothing of this boot, the file of the system logger. */
async function chooseSource(guest: Guest, unit: GriddUnit, syslogPath: string): Promise<Source> {
  const { mainPid, lastStartedUs } = unit;
  const journal = await guest.query(['journalctl', '--quiet', '--boot', '--lines', '1', '--output', 'json']);
  if (journal.stdout.startsWith('{')) {
    const since = lastStartedUs === undefined ? ['--boot'] : ['--since', `@${Math.floor(lastStartedUs / 1e6)}`];
    const ours = ['SYSLOG_IDENTIFIER=nvidia-gridd', '+', `_SYSTEMD_UNIT=${GRIDD_UNIT}`];
    const argv: Argv = ['journalctl', '--follow', '--output', 'json', '--lines', 'all', ...since, ...ours];
    const isOurs = presentDaemon({ pid: mainPid, sinceUs: lastStartedUs });
    return { argv, read: readJournalLine, isOurs };
  }
  const pid = mainPid ?? (await newestPid(guest, syslogPath));
  const argv: Argv = ['tail', '-n', SYSLOG_LINES, '-F', syslogPath];
  return { argv, read: readSyslogLine, isOurs: presentDaemon({ pid, sinceUs: undefined }) };
}

/** Of a daemon that has ended, systemd no longer knows the number. */
async function newestPid(guest: Guest, syslogPath: string): Promise<number | undefined> {
  const { stdout } = await guest.query(['tail', '-n', SYSLOG_LINES, syslogPath]);
  const starts = stdout.split('\n').flatMap(line => readSyslogLine(line) ?? []);
  return starts.map(starterOf).findLast(pid => pid !== undefined);
}

function starterOf({ message, pid }: GriddLine): number | undefined {
  const started = startedPid(message);
  return started === undefined ? undefined : (pid ?? started);
}

/**
 * Tells the lines of the present daemon from those of earlier ones: by their time where they have one, else from its first
 * line on. A daemon that starts later becomes the present one.
 */
function presentDaemon(present: { readonly pid: number | undefined; readonly sinceUs: number | undefined }) {
  let { pid } = present;
  let hasBegun = present.sinceUs !== undefined;
  return (line: GriddLine): boolean => {
    if (line.atUs !== undefined && line.atUs < (present.sinceUs ?? 0)) return false;
    const starter = starterOf(line);
    if (starter === undefined) return hasBegun && (line.pid === undefined || pid === undefined || line.pid === pid);
    if (!hasBegun && pid !== undefined && pid !== starter) return false;
    hasBegun = true;
    pid = starter;
    return true;
  };
}
