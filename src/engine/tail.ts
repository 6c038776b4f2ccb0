import type { Argv } from '../change.ts';

/**
 * Follows a file by its name: one that was rotated away has a successor, and one that was cut short begins anew. Its output is a socket,
 * whose closing tail notices at the file's next line only: it is told whom to end with. `from`: where it begins.
 */
export function tailOf(path: string, ...from: readonly [string, string]): Argv {
  return ['tail', `--pid=${process.pid}`, ...from, '-F', path];
}
