import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder, writeFiles } from '../helpers/temporary.ts';

const FOLLOW = `
import { spawn } from 'node:child_process';
import { tailOf } from '${join(import.meta.dirname, '../../src/engine/tail.ts')}';
const [program, ...args] = tailOf(process.argv[1], '-n', '+1');
const tail = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
tail.stdout.once('data', () => {
  console.log(tail.pid);
  process.kill(process.pid, 'SIGKILL');
});
`;

test('what follows a log that does not grow ends with a run that is killed', async () => {
  const root = temporaryFolder();
  writeFiles(root, { log: 'a line\n' });
  const pid = await new Promise<number>(resolve => {
    execFile(process.execPath, ['--input-type=module', '--eval', FOLLOW, join(root, 'log')], (_error, stdout) =>
      resolve(Number(stdout)),
    );
  });
  expect(pid).toBeGreaterThan(1);
  await expect.poll(() => isRunning(pid)).toBe(false);
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
