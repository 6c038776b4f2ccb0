import { writeFileSync } from 'node:fs';
import { exitCodeOfFault } from '../../src/cli/exit.ts';
import { runProgram } from '../../src/cli/program.ts';
import { AgentError } from '../../src/errors.ts';

/**
 * The program with less patience than it has in life, so that what hangs can be tried: MEASURED PATIENCE ARGUMENT…. Writes to the file
 * MEASURED how much memory it has taken at most. Of its environment a run's time limit counts alone.
 */
const [measured = '', patience = '1', ...args] = process.argv.slice(2);
const { VGPU_GUEST_RUN_TIMEOUT } = process.env;
const never = new AbortController().signal;
const print = (text: string) => void process.stdout.write(`${text}\n`);
process.on('exit', () => writeFileSync(measured, String(process.resourceUsage().maxRSS * 1024)));

try {
  process.exitCode = await runProgram(args, {
    out: print,
    data: print,
    json: answer => print(JSON.stringify(answer)),
    err: process.stderr,
    spell: text => text,
    env: { VGPU_GUEST_RUN_TIMEOUT },
    program: [process.execPath],
    stop: never,
    hurry: never,
    patience: Number(patience),
  });
} catch (error) {
  if (!(error instanceof AgentError)) throw error;
  process.stderr.write(`${error.message}\n${error.remedy ? `→ ${error.remedy}\n` : ''}`);
  process.exitCode = exitCodeOfFault(error.fault);
}
