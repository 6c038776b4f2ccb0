import { once } from 'node:events';
import { constants } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { config, createLogger, format, type Logger, transports } from 'winston';
import { colorless, harmlessJson } from './visible.ts';

export interface LogOptions {
  /** The log file on this machine; undefined: none is written. */
  readonly file: string | undefined;
  /** How much of it the person at the terminal sees. */
  readonly terminal: 'quiet' | 'normal' | 'verbose';
  /** Turns an entry into the terminal's line. */
  readonly line: (level: string, message: string) => string;
}

const FILE_LIMIT_BYTES = 5 * 1024 * 1024;
const FILES_KEPT = 3;
const TERMINAL_LEVEL = { quiet: 'warn', normal: 'info', verbose: 'debug' } as const;

export interface Log {
  write(level: 'error' | 'warn' | 'info' | 'debug', message: string, details?: object): void;
  /** Everything is in the file when this returns. */
  close(): Promise<void>;
}

/** A terminal's colors have no place in a file; what is foreign is kept, as escapes. */
const asJson = format.printf(({ message, ...rest }) =>
  harmlessJson(JSON.stringify({ ...rest, message: colorless(String(message)) })),
);

/** JSON lines in the file, plain lines on stderr. */
export function openLog({ file, terminal, line: toLine }: LogOptions): Log {
  const logger = createLogger({
    levels: config.npm.levels,
    transports: [
      new transports.Console({
        level: TERMINAL_LEVEL[terminal],
        stderrLevels: Object.keys(config.npm.levels),
        format: format.printf(({ level, message }) => toLine(level, String(message))),
      }),
    ],
  });
  const written = file === undefined ? undefined : addFile(logger, file);
  let isTold = false;
  // the run goes on: it may be what makes room
  const tellOnce = (fault: string) => {
    if (!isTold) process.stderr.write(`${toLine('warn', `${file} ${fault}`)}\n`);
    isTold = true;
  };
  logger.on('error', (error: Error) => tellOnce(`is not written any more: ${error.message}`));
  return {
    write: (level, message, details = {}) => void logger.log(level, message, details),
    async close() {
      logger.end();
      const over = new AbortController();
      const limit = setTimeout(CLOSING_LIMIT_MS, 'late', { signal: over.signal }).catch(() => undefined);
      if ((await Promise.race([written, limit])) === 'late') tellOnce('was not written to its end');
      over.abort();
    },
  };
}

/** winston keeps a file's errors to itself: a disk that has become full in between must not keep the run from ending. */
const CLOSING_LIMIT_MS = 2_000;

/** winston opens it by its path, which whoever may write in /var/log can have made a link of by then. */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

/** Resolves when the file is complete on disk, or cannot become so. */
function addFile(logger: Logger, filename: string): Promise<unknown> {
  const file = new transports.File({
    filename,
    level: 'debug',
    maxsize: FILE_LIMIT_BYTES,
    maxFiles: FILES_KEPT,
    tailable: true,
    options: { flags: FLAGS, mode: 0o640 },
    format: format.combine(format.timestamp(), asJson),
  });
  logger.add(file);
  return once(file, 'finish').catch(() => undefined);
}
