/** The command line as data: commander's own description of it, for whoever tells shells and readers about it. */
export interface CommandWords {
  readonly name: string;
  readonly description: string;
  readonly argument?: ValueWords;
  readonly options: readonly OptionWords[];
  readonly commands: readonly CommandWords[];
}

export interface OptionWords {
  readonly name: string;
  readonly description: string;
  /** undefined: it takes no value. */
  readonly value?: ValueWords;
  readonly takesMany: boolean;
}

export interface ValueWords {
  /** As the help has it: `file`, `host[:port]`. */
  readonly placeholder: string;
  readonly description: string;
  readonly choices: readonly string[];
}

type ShellWriter = (program: CommandWords) => string;

/** A shell's own script, to be put where that shell looks for completions. */
export const SHELLS: Readonly<Record<string, ShellWriter>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

interface Place {
  /** Names of the commands on the way here, without the program's own. */
  readonly path: readonly string[];
  readonly command: CommandWords;
}

function places(command: CommandWords, path: readonly string[] = []): readonly Place[] {
  return [{ path, command }, ...command.commands.flatMap(inner => places(inner, [...path, inner.name]))];
}

/** The options that take a value, each once: a name means the same wherever it takes one. */
function valued(program: CommandWords): readonly (OptionWords & { readonly value: ValueWords })[] {
  const all = places(program).flatMap(({ command }) => command.options);
  const found = all.flatMap(option => (option.value === undefined ? [] : [{ ...option, value: option.value }]));
  return [...new Map(found.map(option => [option.name, option])).values()];
}

function kindOf({ placeholder, choices }: ValueWords): 'choice' | 'file' | 'folder' | 'free' {
  if (choices.length > 0) return 'choice';
  return placeholder === 'file' ? 'file' : placeholder === 'dir' ? 'folder' : 'free';
}

function bashCompletion(program: CommandWords): string {
  const answer = (value: ValueWords): string => {
    switch (kindOf(value)) {
      case 'choice':
        return `answer=${quoted(value.choices.join(' '))}`;
      case 'file':
        return 'files=-f';
      case 'folder':
        return 'files=-d';
      case 'free':
        return 'return';
    }
  };
  const cases = (rows: readonly string[]) => rows.map(row => `    ${row}`).join('\n');
  const options = valued(program);
  const bare = places(program).flatMap(({ path, command }) =>
    command.options
      .filter(({ name, value }) => value === undefined && options.some(option => option.name === name))
      .map(({ name }) => `'${path.join(' ')} ${name}'`),
  );
  const walk = places(program).filter(({ path }) => path.length > 0);
  const offers = places(program).map(({ path, command }) => {
    const flags = command.options.map(({ name }) => name).join(' ');
    const words =
      command.commands.length > 0
        ? `answer=${quoted(command.commands.map(({ name }) => name).join(' '))}`
        : command.argument
          ? answer(command.argument)
          : 'return';
    return `'${path.join(' ')}') if [[ $current == -* ]]; then answer=${quoted(flags)}; else ${words}; fi ;;`;
  });
  return `# bash completion of vgpu-guest
_vgpu_guest() {
  local current=\${COMP_WORDS[COMP_CWORD]} path='' option='' answer='' files='' word i
  COMPREPLY=()
  [[ $current != '=' ]] || current=''
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
    =) continue ;;
    ${options.map(({ name }) => name).join(' | ')}) option=$word; continue ;;
    -*) option=''; continue ;;
    esac
    case $option in
    '') ;;
    ${options
      .filter(({ takesMany }) => takesMany)
      .map(({ name }) => name)
      .join(' | ')}) continue ;;
    *) option=''; continue ;;
    esac
    case "$path $word" in
    ${walk.map(({ path }) => `'${path.length === 1 ? ` ${path[0]}` : path.join(' ')}'`).join(' | ')}) path="\${path:+$path }$word" ;;
    esac
  done
  [[ $current != -* ]] || option=''
  case "$path $option" in ${bare.join(' | ') || "''"}) option='' ;; esac
  case $option in
    '')
  case $path in
${cases(offers)}
  esac ;;
${cases(options.map(({ name, value }) => `${name}) ${answer(value)} ;;`))}
  esac
  if [[ $files ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$files" -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$answer" -- "$current")
  fi
}
complete -F _vgpu_guest vgpu-guest
`;
}

function zshCompletion(program: CommandWords): string {
  const action = (value: ValueWords): string => {
    const label = zshText(value.placeholder);
    switch (kindOf(value)) {
      case 'choice':
        return `${label}:(${value.choices.join(' ')})`;
      case 'file':
        return `${label}:_files`;
      case 'folder':
        return `${label}:_files -/`;
      case 'free':
        return `${label}: `;
    }
  };
  const specs = ({ options, argument }: CommandWords): readonly string[] => [
    ...options.map(({ name, description, value, takesMany }) => {
      const taken = value === undefined ? '' : `${takesMany ? ':*-*' : ''}:${action(value)}`;
      return `'${takesMany ? '*' : ''}${name}[${zshText(description)}]${taken}'`;
    }),
    ...(argument ? [`'1:${action(argument)}'`] : []),
  ];
  const functionOf = (path: readonly string[]) =>
    ['_vgpu_guest', ...path.map(name => name.replaceAll('-', '_'))].join('_');
  const functions = places(program).map(({ path, command }) => {
    const rows = specs(command).map(spec => `    ${spec}`);
    if (command.commands.length === 0) return `${functionOf(path)}() {\n  _arguments \\\n${rows.join(' \\\n')}\n}`;
    const names = command.commands.map(({ name, description }) => `    '${name}:${zshText(description)}'`);
    return `${functionOf(path)}() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  local -a commands=(
${names.join('\n')}
  )
  _arguments -C \\
${rows.join(' \\\n')} \\
    '1:command:->command' \\
    '*::rest:->rest'
  case $state in
    command) _describe command commands ;;
    rest)
      case $words[1] in
${command.commands.map(({ name }) => `        ${name}) ${functionOf([...path, name])} ;;`).join('\n')}
      esac ;;
  esac
}`;
  });
  return `#compdef vgpu-guest
# zsh completion of vgpu-guest
${functions.reverse().join('\n')}
if [[ \${funcstack[1]} == _vgpu-guest ]]; then _vgpu_guest "$@"; else compdef _vgpu_guest vgpu-guest; fi
`;
}

/** Inside single quotes, where brackets and colons mean something to _arguments. */
function zshText(text: string): string {
  return text.replace(/[[\]:\\]/g, '\\$&').replaceAll("'", "'\\''");
}

function fishCompletion(program: CommandWords): string {
  const all = places(program);
  const names = [...new Set(all.flatMap(({ path }) => path))];
  const lines = all.flatMap(({ path, command }) => {
    const here = `complete -c vgpu-guest -n '__vgpu_guest_at ${path.join(' ')}'`;
    return [
      ...command.commands.map(({ name, description }) => `${here} -a ${name} -d ${quoted(description)}`),
      ...command.options.map(
        ({ name, description, value }) =>
          `${here} -l ${name.slice(2)} -d ${quoted(description)}${fishValue(value, '-x')}`,
      ),
      ...(command.argument ? [`${here}${fishValue(command.argument, '')}`] : []),
    ];
  });
  return `# fish completion of vgpu-guest
function __vgpu_guest_at
    set -l path
    set -l before
    for word in (commandline -opc)[2..-1]
        if not contains -- "$before" ${valued(program)
          .map(({ name }) => name)
          .join(' ')}
            contains -- $word ${names.join(' ')}; and set -a path $word
        end
        set before $word
    end
    test "$path" = "$argv"
end
complete -c vgpu-guest -f
${lines.join('\n')}
`;
}

function fishValue(value: ValueWords | undefined, required: string): string {
  if (value === undefined) return '';
  switch (kindOf(value)) {
    case 'choice':
      return ` ${required} -a ${quoted(value.choices.join(' '))}`;
    case 'file':
      return required ? ' -r -F' : ' -F';
    case 'folder':
      return ` ${required} -a '(__fish_complete_directories)'`;
    case 'free':
      return ` ${required}`;
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
