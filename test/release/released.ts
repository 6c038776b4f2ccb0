import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const RELEASE = resolve(import.meta.dirname, '../../dist/release');
/** The executable for the machine that runs the tests. */
export const EXECUTABLE = join(RELEASE, `vgpu-guest-linux-${process.arch}`);

/** The package whose name ends so. */
export function packageOf(ending: string): string {
  const name = readdirSync(RELEASE).find(file => file.endsWith(ending));
  if (name === undefined) throw new Error(`dist/release has no ${ending}: npm run build:release`);
  return join(RELEASE, name);
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** With nothing of this process's environment. */
export function run(argv: readonly [string, ...string[]], env: Readonly<Record<string, string>> = {}): Ran {
  const [program, ...args] = argv;
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error) throw error;
  return { code: status, stdout, stderr };
}

/** A line for sh, of which `$1` is the executable. */
export function shell(line: string, env: Readonly<Record<string, string>> = {}): Ran {
  return run(['/bin/sh', '-c', line, 'sh', EXECUTABLE], env);
}
