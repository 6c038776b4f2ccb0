import { setTimeout } from 'node:timers/promises';
import type { Argv } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import { messageOf } from '../../errors.ts';
import { collect, lookAt } from '../../facts/facts.ts';
import { GRIDD_UNIT, type GriddUnit } from '../../facts/license/gridd.ts';
import { licenseSourceOf } from '../../facts/license/servers.ts';
import {
  type GriddLine,
  type GriddTalk,
  interpret,
  type LicenseSource,
  readJournalLine,
  readSyslogLine,
  startedPid,
} from '../../formats/license/license-log.ts';
import type { Guest, GuestView } from '../../guest/guest.ts';
import { tailOf } from '../tail.ts';
import type { Tell } from '../tell.ts';

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
  readonly source: LicenseSource;
  /** Where the system logger writes, for a guest without a journal. */
  readonly syslogPath: string;
  /** What the daemon said before counts as well, but is no news that a person must be told. */
  readonly newsFromUs: number;
  readonly tell: Tell;
  /** A success, the daemon's end, or a failure after which nothing better will come. */
  readonly onNews: () => void;
}

/** Between a follower that has ended by itself and its successor. */
const FOLLOW_AGAIN_MS = 2_000;

/** Follows what nvidia-gridd says from its present start on, and passes it on in other words. */
export function listenToGridd(guest: Guest, listening: Listening): Listener {
  const { unit, source, newsFromUs, tell, onNews } = listening;
  const stopping = new AbortController();
  const { signal } = stopping;
  let talk = SILENCE;

  const following = follow().catch(error => {
    if (!signal.aborted) tell.warn(`what nvidia-gridd says cannot be followed: ${messageOf(error)}`);
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
    const { argv, read, past } = await chooseSource(guest, listening);
    const daemon = presentDaemon(unit);
    const said = daemon.sinceStart(past);
    for (const line of said) hear(line, (unit.lastStartedUs ?? 0) >= newsFromUs);
    let cursor: string | undefined;
    for (let round = 0; !signal.aborted; round++) {
      for await (const raw of guest.follow(argv(round, cursor), signal)) {
        const line = read(raw);
        cursor = line?.cursor ?? cursor;
        if (line && daemon.isOurs(line)) hear(line, line.atUs === undefined || line.atUs >= newsFromUs);
      }
      // journalctl ends with the journal that it reads
      await setTimeout(FOLLOW_AGAIN_MS, undefined, { signal });
    }
  }

  function hear({ message }: GriddLine, isNews: boolean): void {
    const heard: Heard = { message, ...interpret(message, source) };
    const { kind, meaning, hard } = heard;
    talk = after(talk, heard);
    if (kind === 'success' || hard || hasEnded(message)) onNews();
    if (!isNews) return;
    if (kind === 'noise') {
      tell.progress(`nvidia-gridd: ${message}`);
      return;
    }
    const text = `nvidia-gridd: ${message} (${meaning})`;
    if (kind === 'failure') tell.warn(text);
    else tell.info(text);
  }
}

/** Where the license is to come from, as token and gridd.conf stand now. */
export async function lookForSource(guest: GuestView, config: Config): Promise<LicenseSource> {
  return licenseSourceOf(config, await collect(lookAt(guest, config), ['tokenFiles', 'token', 'gridd']));
}

/** What a daemon said that was started at `sinceUs` and has ended: its newest failure that has a remedy, else its newest failure. */
export async function lastFailure(
  guest: GuestView,
  source: LicenseSource,
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
  /** Of the first follower, and of each that takes the place of one that has ended. */
  readonly argv: (round: number, cursor: string | undefined) => Argv;
  readonly read: (raw: string) => GriddLine | undefined;
  /** What is not followed any more, but looked at first. */
  readonly past: readonly GriddLine[];
}

/** How far back a log file is read: it may be huge, and hold years. */
const SYSLOG_PAST_BYTES = 1024 * 1024;

/** The journal; where it keeps nothing of this boot, the file of the system logger. */
async function chooseSource(guest: Guest, { syslogPath }: Listening): Promise<Source> {
  const journal = await guest.query(['journalctl', '--quiet', '--boot', '--lines', '1', '--output', 'json']);
  if (journal.stdout.startsWith('{')) {
    // not by a time: a clock that was set back would hide what was said since
    const ours = ['SYSLOG_IDENTIFIER=nvidia-gridd', '+', `_SYSTEMD_UNIT=${GRIDD_UNIT}`];
    const start = (round: number, cursor: string | undefined) =>
      cursor === undefined ? ['--lines', round === 0 ? 'all' : '0'] : [`--after-cursor=${cursor}`];
    const argv: Source['argv'] = (...from) => [
      'journalctl',
      '--follow',
      '--output',
      'json',
      '--boot',
      ...start(...from),
      ...ours,
    ];
    return { argv, read: readJournalLine, past: [] };
  }
  const end = await guest.readEnd(syslogPath, SYSLOG_PAST_BYTES);
  const past = (end?.text.split('\n') ?? []).slice(end?.isCut ? 1 : 0);
  const argv: Source['argv'] = round =>
    round === 0 ? tailOf(syslogPath, '-c', `+${(end?.endsAtByte ?? 0) + 1}`) : tailOf(syslogPath, '-n', '0');
  return { argv, read: readSyslogLine, past: past.flatMap(raw => readSyslogLine(raw) ?? []) };
}

interface PresentDaemon {
  /** Asked once for each line, in their order. */
  readonly isOurs: (line: GriddLine) => boolean;
  /** Its lines among those of a file, from its first one on; what is added to the file later is its own unless another one starts. */
  readonly sinceStart: (past: readonly GriddLine[]) => readonly GriddLine[];
}

/**
 * Tells the lines of the present daemon from those of earlier ones: by its number, and by what was said between its first line and the
 * first line of the next. Of a daemon that has ended systemd has forgotten the number: the one that was started last is meant. A daemon
 * that starts later becomes the present one.
 */
function presentDaemon({ mainPid, lastStartedUs }: GriddUnit): PresentDaemon {
  let pid = mainPid;
  let speaker: 'earlier' | 'unknown' | 'present' = 'unknown';

  return {
    isOurs,
    sinceStart(past) {
      const said = past.filter(isOurs);
      if (speaker === 'unknown') speaker = 'present';
      return said.slice(
        Math.max(
          0,
          said.findLastIndex(line => starterOf(line) !== undefined),
        ),
      );
    },
  };

  function isOurs(line: GriddLine): boolean {
    const starter = starterOf(line);
    if (starter !== undefined) {
      const isPresent = starter === mainPid || (isLate(line) ?? (mainPid === undefined || speaker === 'present'));
      speaker = isPresent ? 'present' : 'earlier';
      if (isPresent) pid = starter;
      return isPresent;
    }
    if (line.pid !== undefined && pid !== undefined) return line.pid === pid;
    return isLate(line) ?? speaker === 'present';
  }

  /** undefined: nobody knows when it was said. */
  function isLate({ atUs }: GriddLine): boolean | undefined {
    return atUs === undefined || lastStartedUs === undefined ? undefined : atUs >= lastStartedUs;
  }
}

function starterOf({ message, pid }: GriddLine): number | undefined {
  const started = startedPid(message);
  return started === undefined ? undefined : (pid ?? started);
}

function hasEnded(message: string): boolean {
  return /^Shutdown \(\d+\)/.test(message);
}
