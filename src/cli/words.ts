import type { Argument, Command, Option } from 'commander';
import type { CommandWords, OptionWords } from '../report/completion.ts';
import { SCHEMA_KINDS } from '../report/schemas.ts';
import { journey } from '../steps/index.ts';

/** What commander knows of the command line, as data; the same that --help prints. */
export function wordsOf(command: Command): CommandWords {
  const [argument] = command.registeredArguments;
  const help = command.createHelp();
  return {
    name: command.name(),
    description: command.description(),
    ...(argument ? { argument: valueWords(argument) } : {}),
    options: help.visibleOptions(command).map(optionWords),
    commands: help.visibleCommands(command).map(wordsOf),
  };
}

function optionWords(option: Option): OptionWords {
  const placeholder = /[<[](.*?)(?:\.\.\.)?[>\]]$/.exec(option.flags)?.[1];
  const choices = placeholder === 'step' ? journey.map(({ id }) => id) : (option.argChoices ?? []);
  return {
    name: option.long ?? option.flags,
    description: option.description,
    ...(placeholder === undefined ? {} : { value: { placeholder, description: option.description, choices } }),
    takesMany: option.variadic,
  };
}

function valueWords(argument: Argument): NonNullable<CommandWords['argument']> {
  const placeholder = argument.name();
  const choices = placeholder === 'kind' ? SCHEMA_KINDS : (argument.argChoices ?? []);
  return { placeholder, description: argument.description, choices };
}
