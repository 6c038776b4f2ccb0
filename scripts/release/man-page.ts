import { EXIT_WORDS } from '../../src/cli/exit.ts';
import { EXAMPLES } from '../../src/cli/program.ts';
import { SETTINGS } from '../../src/cli/settings.ts';
import type { CommandWords, OptionWords, ValueWords } from '../../src/report/completion.ts';

const FILES: readonly (readonly [string, string])[] = [
  ['/etc/vgpu-guest/config.yaml', 'the configuration; it may be absent'],
  ['/var/lib/vgpu-guest', 'what revert puts back, what goes on after a reboot, the last report'],
  ['/run/vgpu-guest', 'the lock: one run at a time'],
  ['/var/log/vgpu-guest.log', 'the talk of every run as JSON lines'],
  ['/usr/share/vgpu-guest/schemas', 'JSON Schemas of the configuration and of every answer'],
];

/** For apropos(1): one short line. */
const TITLE = 'bring a guest with an NVIDIA vGPU to licensed and proved';

/** vgpu-guest(8), from the same description of the command line that --help prints. */
export function manPage(program: CommandWords, version: string, date: string): string {
  const shared = sharedOptions(program);
  const lines = [
    `.TH VGPU-GUEST 8 ${date} "vgpu-guest ${version}"`,
    '.SH NAME',
    `vgpu-guest \\- ${roff(TITLE)}`,
    '.SH SYNOPSIS',
    '.B vgpu-guest',
    '.I command',
    '.RI [ option ...]',
    '.SH DESCRIPTION',
    ...sentence(program.description),
    ...sentence('every step looks at the guest before and after it, so that a second run changes nothing'),
    '.SH COMMANDS',
    ...leaves(program).flatMap(leaf => commandLines(leaf, shared)),
    '.SH OPTIONS OF EVERY COMMAND',
    ...shared.flatMap(optionLines),
    '.SH EXIT STATUS',
    ...EXIT_WORDS.flatMap(([code, meaning]) => ['.TP', `.B ${code}`, ...sentence(meaning)]),
    '.SH ENVIRONMENT',
    ...SETTINGS.flatMap(({ variable, flag }) => ['.TP', `.B ${variable}`, `as ${bold(flag)}, which wins over it`]),
    '.TP',
    '.B VGPU_GUEST_CONFIG',
    `as ${bold('--config')}`,
    '.TP',
    '.B NO_COLOR',
    `as ${bold('--no-color')}`,
    '.SH FILES',
    ...FILES.flatMap(([path, meaning]) => ['.TP', `.I ${roff(path)}`, roff(meaning)]),
    '.SH EXAMPLES',
    '.nf',
    ...EXAMPLES.map(roff),
    '.fi',
    '.SH SEE ALSO',
    '.BR systemctl (1),',
    '.BR journalctl (1),',
    '.BR modprobe.d (5)',
  ];
  return `${lines.join('\n')}\n`;
}

interface Leaf {
  readonly path: readonly string[];
  readonly command: CommandWords;
}

function leaves(command: CommandWords, path: readonly string[] = []): readonly Leaf[] {
  if (command.commands.length === 0) return [{ path, command }];
  return command.commands.flatMap(inner => leaves(inner, [...path, inner.name]));
}

/** What every command takes is said once. */
function sharedOptions(program: CommandWords): readonly OptionWords[] {
  const [first, ...others] = leaves(program).map(({ command }) => command.options);
  return (first ?? []).filter(({ name }) => others.every(options => options.some(option => option.name === name)));
}

function commandLines({ path, command }: Leaf, shared: readonly OptionWords[]): readonly string[] {
  const argument = command.argument ? ` \\fI${roff(command.argument.placeholder)}\\fR` : '';
  const own = command.options.filter(({ name }) => !shared.some(option => option.name === name));
  return [
    '.TP',
    `\\fBvgpu\\-guest ${roff(path.join(' '))}\\fR${argument}`,
    ...sentence(command.description),
    ...(own.length === 0 ? [] : ['.RS', ...own.flatMap(optionLines), '.RE']),
  ];
}

function optionLines({ name, description, value }: OptionWords): readonly string[] {
  const taken = value ? ` \\fI${roff(value.placeholder)}\\fR` : '';
  return ['.TP', `${bold(name)}${taken}`, ...sentence(description + choices(value))];
}

function choices(value: ValueWords | undefined): string {
  return value && value.choices.length > 0 ? `: ${value.choices.join(', ')}` : '';
}

/** Short lines, as those who read and compare manual pages want them. */
function sentence(text: string): readonly string[] {
  const whole = `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;
  return whole.match(/.{1,60}(?:\s+|$)|\S+/g)?.map(line => roff(line.trim())) ?? [];
}

function bold(text: string): string {
  return `\\fB${roff(text)}\\fR`;
}

/** Text in which nothing is taken for a request or an escape; a hyphen that can be copied is a minus. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^[.']/, '\\&$&')
    .replace(
      /[^\x20-\x7e]/g,
      character => `\\[u${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`,
    );
}
