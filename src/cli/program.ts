import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_CONFIG_PATH } from '../config/default-path.ts';
import { AgentError } from '../errors.ts';
import type { Io } from './io.ts';
import { VERSION } from './version.ts';

type Action = (options: never, io: Io) => Promise<number>;
type Load = () => Promise<Action>;

/** Parses the command line and runs its command; returns the exit code. Wrong usage is fault `usage`. */
export async function runProgram(argv: readonly string[], io: Io): Promise<number> {
  let exitCode = 0;
  const run =
    (load: Load) =>
    async (...given: readonly unknown[]) => {
      const command = given.at(-1) as Command;
      const action = await load();
      const [argument] = command.args;
      const options = { ...command.optsWithGlobals<object>(), ...(argument === undefined ? {} : { argument }) };
      exitCode = await action(options as never, io);
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

/** The whole command line as a description that runs nothing. */
export function commandTree(): Command {
  return describeProgram(() => async () => {}, { out: () => {} });
}

type Run = (load: Load) => (...given: readonly unknown[]) => Promise<void>;

function describeProgram(run: Run, io: Pick<Io, 'out'>): Command {
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
    program.command('revert').description('put back what apply has changed; the driver and packages only if asked'),
  )
    .option('--plan', 'what would be put back, with file diffs; touches nothing')
    .option('--driver', 'take the NVIDIA driver away as well, by its own uninstaller')
    .option('--packages', 'remove the packages that came with it, where nothing else needs them')
    .option('--force', 'put back also what somebody else has changed since')
    .addOption(detailedExitcode())
    .addOption(rebootExitCode())
    .action(run(async () => (await import('./revert.ts')).revertCommand as Action));
  common(
    program.command('status').description('the guest at a glance: GPU, driver, service, license, what is pending'),
  ).action(run(async () => (await import('./status.ts')).statusCommand as Action));
  common(
    program.command('doctor').description('every known cause checked; each finding with evidence and remedy'),
  ).action(run(async () => (await import('./doctor.ts')).doctorCommand as Action));
  const license = program.command('license').description('the license of this guest').helpCommand(false);
  common(license.command('wait').description('wait for a license with a deadline; exit 5: none came'))
    .addOption(licenseTimeout())
    .action(run(async () => (await import('./license.ts')).licenseWaitCommand as Action));
  common(
    license
      .command('watch')
      .description(
        'one short look for a timer: heal nvidia-gridd only, write metrics; exit 5: the guest is not licensed',
      ),
  )
    .option(
      '--metrics <file>',
      "for node_exporter's textfile collector (default: vgpu-guest.prom in its folder, if there is one)",
    )
    .action(run(async () => (await import('./license.ts')).licenseWatchCommand as Action));
  common(
    license
      .command('unit')
      .description('print a systemd unit that runs license watch')
      .addArgument(chosen(new Argument('<which>', 'service or timer'), ['service', 'timer'])),
  ).action(run(async () => (await import('./license.ts')).licenseUnitCommand as Action));
  const token = program.command('token').description('client configuration tokens').helpCommand(false);
  common(
    token
      .command('inspect')
      .description('what a token says of itself, without what is secret; exit 4: it cannot be used')
      .argument('<file>', 'the token'),
  ).action(run(async () => (await import('./token.ts')).tokenInspectCommand as Action));
  common(
    token
      .command('rotate')
      .description('replace the token, and put the old one back if the new one brings no license')
      .argument('<file>', 'the new token, or its https:// URL'),
  )
    .addOption(licenseTimeout())
    .addOption(detailedExitcode())
    .action(run(async () => (await import('./token.ts')).tokenRotateCommand as Action));
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
    program
      .command('support-bundle')
      .description('write everything that support asks for into one file, secrets taken out'),
  )
    .option('--output <file>', 'where to (default: /var/tmp/vgpu-guest-support-TIME.tar.gz)')
    .action(run(async () => (await import('./support-bundle.ts')).supportBundleCommand as Action));
  common(
    program.command('reboot-required').description('exit 0: a reboot is what the guest needs next; 1: it is not'),
  ).action(run(async () => (await import('./status.ts')).rebootRequiredCommand as Action));
  common(
    program
      .command('prepare')
      .description('do on an image what needs neither GPU nor license, so that clones need no reboot'),
  )
    .addOption(driverOption())
    .addOption(detailedExitcode())
    .action(run(async () => (await import('./image.ts')).prepareCommand as Action));
  common(
    program
      .command('generalize')
      .description('make an image: no token, no lease, no state, no logs; the first boot of a clone runs apply'),
  ).action(run(async () => (await import('./image.ts')).generalizeCommand as Action));
  common(
    program
      .command('schema')
      .description('print the JSON Schema of what --json answers with')
      .argument('<kind>', 'plan, report, status, doctor and so on: the middle of the word under the key schema'),
  ).action(run(async () => (await import('./schema.ts')).schemaCommand as Action));
  common(
    program
      .command('completion')
      .description('print what a shell needs to complete commands and options')
      .addArgument(chosen(new Argument('<shell>', 'bash, zsh or fish'), ['bash', 'zsh', 'fish'])),
  ).action(run(async () => (await import('./completion.ts')).completionCommand as Action));
  program.addHelpText('after', afterwords());
  return program;
}

export const EXAMPLES = [
  'vgpu-guest apply --driver ./NVIDIA-Linux-x86_64-570.211.01-grid.run --token ./client_configuration_token.tok',
  'vgpu-guest plan --detailed-exitcode',
  'vgpu-guest status --json',
];

function afterwords(): string {
  const lines = EXAMPLES.map(example => `  ${example}`);
  return `\nExamples:\n${lines.join('\n')}\n
Exit codes: 0 settled, 1 failed, 2 changes (--detailed-exitcode), 3 reboot needed, 4 blocked, 5 unlicensed,
  64 usage, 75 try again, 77 not root, 78 configuration`;
}

/** Words to complete with; whether a word is right is decided where it is used, with a remedy. */
function chosen<T extends Option | Argument>(taken: T, choices: readonly string[]): T {
  taken.argChoices = [...choices];
  return taken;
}

/** Options of every command. */
function common(command: Command): Command {
  return command
    .version(VERSION, '--version', 'print the version')
    .helpOption('--help', 'print help')
    .option('--config <file>', `configuration file (default: ${DEFAULT_CONFIG_PATH}, which may be absent)`)
    .option('--root <dir>', 'work on the guest that lives in this folder', '/')
    .option('--json', 'answer with one JSON object (see vgpu-guest schema)')
    .option('--quiet', 'say only what went wrong')
    .option('--verbose', 'say everything')
    .option('--no-color', 'no colors');
}

/** Settings of the configuration file as flags. */
function settings(command: Command): Command {
  return command
    .addOption(driverOption())
    .option('--token <file>', 'client configuration token (license.token)')
    .option('--server <host[:port]>', 'legacy license server (license.server)')
    .addOption(
      chosen(new Option('--feature <name>', 'which license to ask for (license.feature)'), [
        'auto',
        'vgpu',
        'vws',
        'compute',
        'vapps',
      ]),
    )
    .addOption(licenseTimeout())
    .option('--run-timeout <duration>', 'how long the whole run may take (runTimeout)')
    .addOption(chosen(new Option('--reboot <when>', 'when to reboot by itself (reboot)'), ['never', 'auto']))
    .option('--only <step...>', 'these steps only')
    .option('--skip <step...>', 'all steps but these')
    .addOption(detailedExitcode())
    .addOption(rebootExitCode());
}

function rebootExitCode(): Option {
  return new Option('--reboot-exit-code <n>', 'exit code for: a reboot is needed (default: 3)').argParser(
    exitCodeArgument,
  );
}

function driverOption(): Option {
  return new Option('--driver <file>', "NVIDIA's .run package (driver.package)");
}

function licenseTimeout(): Option {
  return new Option('--license-timeout <duration>', 'how long to wait for the license (license.timeout)');
}

function detailedExitcode(): Option {
  return new Option('--detailed-exitcode', 'exit 2 where changes are due (plan) or were made (apply)');
}

function exitCodeArgument(text: string): number {
  const code = Number(text);
  if (!Number.isInteger(code) || code < 0 || code > 255)
    throw new InvalidArgumentError('it takes a number from 0 to 255.');
  return code;
}
