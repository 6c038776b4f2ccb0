import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { manPage } from '../../scripts/release/man-page.ts';
import { commandTree } from '../../src/cli/program.ts';
import { wordsOf } from '../../src/cli/words.ts';
import { SHELLS } from '../../src/report/completion.ts';

const words = wordsOf(commandTree());
const folder = mkdtempSync(join(tmpdir(), 'vgpu-guest-completion-'));
const scriptOf = (shell: string) => {
  const path = join(folder, shell);
  writeFileSync(path, SHELLS[shell]?.(words) ?? '');
  return path;
};
const isThere = (program: string) => spawnSync(program, ['--version']).error === undefined;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A command line up to the cursor, and what is offered there. */
const CASES: readonly (readonly [string, readonly string[]])[] = [
  ['vgpu-guest sta', ['status']],
  ['vgpu-guest license w', ['wait', 'watch']],
  ['vgpu-guest license unit ', ['service', 'timer']],
  ['vgpu-guest token i', ['inspect']],
  ['vgpu-guest plan --fea', ['--feature']],
  ['vgpu-guest plan --feature v', ['vapps', 'vgpu', 'vws']],
  ['vgpu-guest apply --config status --reb', ['--reboot', '--reboot-exit-code']],
  [
    'vgpu-guest apply --only place-token re',
    ['rebuild-initrd', 'restart-display-manager', 'restart-gridd', 'return-to-screen'],
  ],
  ['vgpu-guest schema rep', ['report']],
  ['vgpu-guest rev', ['revert']],
  ['vgpu-guest revert --driver --p', ['--packages', '--plan']],
];

describe('bash', () => {
  test.each(CASES)('%s<TAB>', (line, offered) => {
    const list = line.split(' ');
    const code = `source ${scriptOf('bash')}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vgpu_guest; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const shown = execFileSync('bash', ['-c', code, 'bash', ...list], { encoding: 'utf8' });
    expect(shown.trim().split('\n').sort()).toEqual(offered);
  });

  test('an option that takes a value elsewhere takes none here', () => {
    const code = `source ${scriptOf('bash')}; COMP_WORDS=(vgpu-guest revert --driver ''); COMP_CWORD=3; _vgpu_guest; printf '%s\\n' "\${COMPREPLY[@]}"`;
    expect(execFileSync('bash', ['-c', code], { encoding: 'utf8' }).trim()).toBe('');
  });

  test('a value after = is completed too', () => {
    const code = `source ${scriptOf('bash')}; COMP_WORDS=(vgpu-guest plan --reboot = a); COMP_CWORD=4; _vgpu_guest; printf '%s\\n' "\${COMPREPLY[@]}"`;
    expect(execFileSync('bash', ['-c', code], { encoding: 'utf8' }).trim()).toBe('auto');
  });
});

describe.skipIf(!isThere('fish'))('fish', () => {
  test.each(CASES.filter(([line]) => !line.includes('--only')))('%s<TAB>', (line, offered) => {
    const shown = execFileSync('fish', ['--no-config', '-c', `source ${scriptOf('fish')}; complete -C '${line}'`], {
      encoding: 'utf8',
      env: { ...process.env, HOME: folder },
    });
    const names = shown
      .trim()
      .split('\n')
      .map(row => row.split('\t')[0]);
    expect(names.sort()).toEqual(offered);
  });
});

describe.skipIf(!isThere('zsh'))('zsh', () => {
  test.each(CASES)('%s<TAB>', (line, offered) => {
    const hits = join(folder, `hits-${line.replace(/\W/g, '-')}`);
    const argv = ['-f', '-c', ZSH_OFFERS, 'zsh', scriptOf('zsh'), line, hits];
    const shown = execFileSync('zsh', argv, { encoding: 'utf8', timeout: 60_000 });
    expect([...new Set(shown.trim().split(/\s+/))].sort()).toEqual(offered);
  });
});

/** Types the line into a zsh of its own, and prints what its completion system adds. */
const ZSH_OFFERS = `
zmodload zsh/zpty
: >"$3"
zpty -b inner "HITS=$3 zsh -f -i"
zpty -w inner "PS1=; autoload -Uz compinit && compinit -D -u; source $1"
zpty -w inner 'compadd() { builtin compadd -O _hits "$@"; print -r -- $_hits >>$HITS; builtin compadd "$@"; }'
zpty -w inner 'show() { zle complete-word; print >$HITS.done; }; zle -N show; bindkey "^I" show; print >$HITS.ready'
until [[ -e $3.ready ]]; do zpty -r -t inner row; sleep 0.05; done
zpty -w -n inner "$2"$'\\t'
until [[ -e $3.done ]]; do zpty -r -t inner row; sleep 0.05; done
zpty -d inner
cat "$3"
`;

describe('the man page', () => {
  const page = manPage(words, '1.2.3', '2026-11-21');

  test('names every command and every option that --help names', () => {
    const plain = page.replaceAll('\\-', '-');
    for (const { name, options, commands } of words.commands) {
      expect(plain).toContain(`vgpu-guest ${name}`);
      for (const option of [...options, ...commands.flatMap(inner => inner.options)])
        expect(plain).toContain(option.name);
    }
  });

  test.skipIf(!isThere('mandoc') && spawnSync('mandoc').error)('is one that mandoc has nothing to say about', () => {
    const path = join(folder, 'vgpu-guest.8');
    writeFileSync(path, page);
    expect(spawnSync('mandoc', ['-Tlint', path], { encoding: 'utf8' }).stdout).toBe('');
  });
});
