import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolderGuest } from '../../test/helpers/folder-guest.ts';

/** V8 lays its tables out by a random seed; with a fixed one the same sources give the same bytes, and what it compiles is still taken. */
export const STEADY = '--random-seed=1';
/** Memory that is used a second time leaves traces in the code that comes to lie there, and so nothing is to be collected. */
const WITHOUT_COLLECTING = '--initial-heap-size=512';
const WARM_UP = join(import.meta.dirname, 'warm-up.ts');

/** Writes what V8 compiles of the program on a guest that is settled, as most runs find it. */
export async function compileAhead(program: string, code: string): Promise<void> {
  using guest = makeFolderGuest({ prerequisites: 'installed', nouveau: 'not-bound', license: { delayS: 0.2 } });
  const run = (...words: readonly string[]) =>
    execFileSync(process.execPath, [STEADY, WITHOUT_COLLECTING, WARM_UP, program, code, ...words], {
      env: {},
      stdio: 'pipe',
    });
  run('apply', '--root', guest.root);
  await guest.reboot();
  run('apply', '--root', guest.root);
  // that was the journey, which a guest makes once
  rmSync(code);
  for (const command of ['apply', 'status']) run(command, '--root', guest.root);
  // code that was read, and not compiled, tells no more in which order that was done
  run('--version');
}
