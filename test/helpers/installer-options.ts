import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** An option of nvidia-installer as one of its versions has it. */
export interface InstallerOption {
  readonly name: string;
  readonly letter: string | undefined;
  /** boolean: there is a `--no-` form; string and integer take a value. */
  readonly kind: 'plain' | 'boolean' | 'string' | 'integer';
  /** common: in the short help too; uninstall: the uninstaller's too; hidden: accepted, and in no help. */
  readonly shown: 'common' | 'uninstall' | 'shown' | 'hidden';
}

const TABLE = join(import.meta.dirname, '../stubs/driver/installer/options.txt');
const NONE = '-';

/** The options that this version knows, in the order of its help. */
export function installerOptions(version: string): readonly InstallerOption[] {
  const rows = readFileSync(TABLE, 'utf8')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'));
  return rows.flatMap(row => {
    const [name, letter, kind, shown, since, until] = row.split(/ +/) as [string, string, never, never, string, string];
    const known =
      (since === NONE || isAtLeast(version, since)) && (until.trim() === NONE || !isAtLeast(version, until.trim()));
    return known ? [{ name, letter: letter === NONE ? undefined : letter, kind, shown }] : [];
  });
}

/** `545.23.06` is at least `545.23.06`; compared number by number. */
export function isAtLeast(version: string, least: string): boolean {
  const [have, want] = [version, least].map(text => text.split('.').map(Number));
  for (let at = 0; at < 3; at++) {
    const difference = (have?.[at] ?? 0) - (want?.[at] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** The help as the installer and the wrapper print it: the option two blanks in, what it does six. */
export function helpLines(options: readonly InstallerOption[]): readonly string[] {
  return options
    .filter(({ shown }) => shown !== 'hidden')
    .flatMap(option => [`  ${forms(option)}`, `      See the README for '--${option.name}'.`, '']);
}

/** `-Z, --disable-nouveau, --no-disable-nouveau`, `-M KERNEL-MODULE-TYPE, --kernel-module-type=KERNEL-MODULE-TYPE` */
function forms({ name, letter, kind }: InstallerOption): string {
  const value = kind === 'string' || kind === 'integer' ? name.toUpperCase() : undefined;
  return [
    ...(letter ? [value ? `-${letter} ${value}` : `-${letter}`] : []),
    value ? `--${name}=${value}` : `--${name}`,
    ...(kind === 'boolean' ? [`--no-${name}`] : []),
  ].join(', ');
}
