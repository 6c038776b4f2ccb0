import { constants } from 'node:os';
import { EXIT, exitCodeOfFault } from './cli/exit.ts';
import { runProgram } from './cli/program.ts';
import { AgentError } from './errors.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const stop = new AbortController();
let caught: (typeof SIGNALS)[number] | undefined;
for (const signal of SIGNALS) {
  process.on(signal, () => {
    caught ??= signal;
    stop.abort(new Error(`stopped by ${signal}`));
  });
}
// a reader that went away (head, a closed pager) is no fault of the run
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

process.exitCode = await main();

async function main(): Promise<number> {
  try {
    return await runProgram(process.argv.slice(2), {
      out: text => void process.stdout.write(`${text}\n`),
      err: process.stderr,
      env: process.env,
      program: [process.execPath, process.argv[1] ?? ''],
      stop: stop.signal,
    });
  } catch (error) {
    if (caught) {
      process.stderr.write(`stopped by ${caught}; what was begun can be run again\n`);
      return 128 + constants.signals[caught];
    }
    return explain(error);
  }
}

/** A foreseen fault in two lines; anything else is a defect and shows its stack. */
function explain(error: unknown): number {
  if (!(error instanceof AgentError)) {
    process.stderr.write(
      `vgpu-guest: this is a defect of the program:\n${error instanceof Error ? error.stack : String(error)}\n`,
    );
    return EXIT.failed;
  }
  process.stderr.write(`${error.message}\n${error.remedy ? `→ ${error.remedy}\n` : ''}`);
  return exitCodeOfFault(error.fault);
}
