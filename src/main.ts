import { constants } from 'node:os';
import { isSea } from 'node:sea';
import { EXIT, exitCodeOfFault } from './cli/exit.ts';
import { runProgram } from './cli/program.ts';
import { AgentError, messageOf } from './errors.ts';
import { faultJson } from './report/fault-report.ts';
import { spellingFor } from './report/spelling.ts';
import { indent } from './report/text.ts';
import { harmlessJson } from './report/visible.ts';

/** A program that was told to end has 10 s for it. */
const LINGER_MS = 15_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

// the caller's may be anything: files of packages and kernel modules must be readable for all, and writable for nobody else
process.umask(0o022);
const stop = new AbortController();
const hurry = new AbortController();
let caught: (typeof SIGNALS)[number] | undefined;
for (const signal of SIGNALS) process.on(signal, () => onSignal(signal));
// a reader that went away (head, a closed pager) is no fault of the run
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

const spell = spellingFor(process.env);
let hasAnswered = false;

// not awaited at the top level: the released executable is CommonJS, which has no such thing
void main().then(code => {
  process.exitCode = code;
  // a program that hangs in the kernel cannot be ended, and must not keep this one from its end
  setTimeout(() => process.exit(code), LINGER_MS).unref();
});

async function main(): Promise<number> {
  try {
    return await runProgram(process.argv.slice(2), {
      out: text => print(spell(text)),
      data: print,
      json,
      err: process.stderr,
      spell,
      env: process.env,
      program: isSea() ? [process.execPath] : [process.execPath, process.argv[1] ?? ''],
      stop: stop.signal,
      hurry: hurry.signal,
    });
  } catch (error) {
    const { exitCode, message, remedy, stack } = explain(error);
    process.stderr.write(spell(`${stack ?? indent(message)}\n${remedy ? `→ ${indent(remedy)}\n` : ''}`));
    if (asksForJson(process.argv.slice(2)) && !hasAnswered) json(faultJson(exitCode, message, remedy));
    return exitCode;
  }
}

/** The first one lets a deed finish that would leave a mess; a second one does not, unless it is the hangup that follows a closed terminal. */
function onSignal(signal: (typeof SIGNALS)[number]): void {
  if (caught) {
    if (signal !== 'SIGHUP') hurry.abort(new Error(`stopped by ${caught} and ${signal}`));
    return;
  }
  caught = signal;
  stop.abort(new Error(`stopped by ${signal}`));
  const patience = `stopped by ${signal}: what must not be cut is let finish, for a minute at most; another signal ends it at once\n`;
  setTimeout(() => process.stderr.write(patience), PATIENCE_MS).unref();
}

/** Nobody wonders before. */
const PATIENCE_MS = 1_000;

interface Ending {
  readonly exitCode: number;
  readonly message: string;
  readonly remedy?: string | undefined;
  /** Where the message itself is not all that there is to say. */
  readonly stack?: string;
}

/** A foreseen fault in two lines; anything else is a defect and shows its stack. */
function explain(error: unknown): Ending {
  if (caught) {
    return {
      exitCode: 128 + constants.signals[caught],
      message: `stopped by ${caught}; what was begun can be run again`,
    };
  }
  if (error instanceof AgentError) {
    const { message, remedy } = error;
    return { exitCode: exitCodeOfFault(error.fault), message, remedy };
  }
  const defect = 'vgpu-guest: this is a defect of the program:';
  const stack = error instanceof Error ? error.stack : undefined;
  return {
    exitCode: EXIT.failed,
    message: `${defect} ${messageOf(error)}`,
    stack: `${defect}\n${stack ?? String(error)}`,
  };
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function json(answer: object): void {
  hasAnswered = true;
  print(harmlessJson(JSON.stringify(answer, null, 2)));
}

/** Also of a command line that cannot be understood. */
function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end < 0 ? argv.length : end).includes('--json');
}
