import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_CONFIG_PATH } from '../config/load.ts';
import { AgentError } from '../errors.ts';
import type { Io } from './io.ts';
import { VERSION } from './version.ts';

type Action = (options: never, io: Io) => Promise<number>;
type Load = () => Promise<Action>;

/** Parses the command line and runs its command; returns the exit code. Wrong usage is fault `usage`. */
export async function runProgram(argv: readonly string[], io: Io): Promise<number> {
  let exitCode = 0;
  const run = (load: Load) => async (_: unknown, command: Command) => {
    const action = await load();
    exitCode = await action(command.optsWithGlobals() as never, io);
  };
  const program = describeProgram(run, io);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0; // --help and --version
    throw new AgentError(error.message.replace(/^error: /, ''), {
      fault: 'usage',
      remedy: 'vgpu-guest --help lists commands and options',
    });
  }
}

type Run = (load: Load) => (options: unknown, command: Command) => Promise<void>;

function describeProgram(run: Run, io: Io): Command {
  const program = new Command('vgpu-guest')
    .description('Brings this guest with its NVIDIA vGPU from a bare image to licensed and proved.')
    .version(VERSION, '--version', 'print the version')
    .helpOption('--help', 'print help')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ writeOut: text => io.out(text.trimEnd()), writeErr: () => {}, outputError: () => {} });

  settings(
    common(program.command('plan').description('what would change, step by step, with file diffs; touches nothing')),
  ).action(run(async () => (await import('./plan.ts')).planCommand as Action));
  settings(common(program.command('apply').description('make it so; safe to run again at any time, by anyone')))
    .addOption(new Option('--resume').hideHelp())
    .action(run(async () => (await import('./apply.ts')).applyCommand as Action));
  common(
    program.command('status').description('the guest at a glance: GPU, driver, service, license, what is pending'),
  ).action(run(async () => (await import('./status.ts')).statusCommand as Action));
  const config = program.command('config').description('the configuration file').helpCommand(false);
  common(config.command('validate').description('check it, fault by fault')).action(
    run(async () => (await import('./config.ts')).configValidateCommand as Action),
  );
  common(config.command('schema').description('print its JSON Schema')).action(
    run(async () => (await import('./config.ts')).configSchemaCommand as Action),
  );
  common(config.command('show').description('print the configuration that counts')).action(
    run(async () => (await import('./config.ts')).configShowCommand as Action),
  );
  common(
    program.command('reboot-required').description('exit 0: a reboot is what the guest needs next; 1: it is not'),
  ).action(run(async () => (await import('./status.ts')).rebootRequiredCommand as Action));
  program.addHelpText('after', EXAMPLES);
  return program;
}

const EXAMPLES = `
Examples:
  vgpu-guest apply --driver ./NVIDIA-Linux-x86_64-570.211.01-grid.run --token ./client_configuration_token.tok
  vgpu-guest plan --detailed-exitcode
  vgpu-guest status --json

Exit codes: 0 settled, 1 failed, 2 changes (--detailed-exitcode), 3 reboot needed, 4 blocked, 5 unlicensed,
  64 usage, 75 try again, 77 not root, 78 configuration`;

/** Options of every command. */
function common(command: Command): Command {
  return command
    .version(VERSION, '--version', 'print the version')
    .helpOption('--help', 'print help')
    .option('--config <file>', `configuration file (default: ${DEFAULT_CONFIG_PATH}, which may be absent)`)
    .option('--root <dir>', 'work on the guest that lives in this folder', '/')
    .option('--json', 'answer with one JSON object')
    .option('--quiet', 'say only what went wrong')
    .option('--verbose', 'say everything')
    .option('--no-color', 'no colors');
}

/** Settings of the configuration file as flags. */
function settings(command: Command): Command {
  return command
    .option('--driver <file>', "NVIDIA's .run package (driver.package)")
    .option('--token <file>', 'client configuration token (license.token)')
    .option('--server <host[:port]>', 'legacy license server (license.server)')
    .option('--feature <name>', 'auto, vgpu, vws, compute or vapps (license.feature)')
    .option('--license-timeout <duration>', 'how long to wait for the license (license.timeout)')
    .option('--reboot <when>', 'never or auto (reboot)')
    .option('--only <step...>', 'these steps only')
    .option('--skip <step...>', 'all steps but these')
    .option('--detailed-exitcode', 'exit 2 where changes are due (plan) or were made (apply)')
    .option('--reboot-exit-code <n>', 'what apply exits with when a reboot is needed (default: 3)', exitCodeArgument);
}

function exitCodeArgument(text: string): number {
  const code = Number(text);
  if (!Number.isInteger(code) || code < 0 || code > 255)
    throw new InvalidArgumentError('it takes a number from 0 to 255.');
  return code;
}
