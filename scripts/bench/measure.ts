import { spawnSync } from 'node:child_process';

export interface Command {
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
}

interface Spent {
  readonly ms: number;
  /** Of the program and all that it has waited for. */
  readonly cpuMs: number;
  /** The most memory of the program, or of one of its children. */
  readonly peakKiB: number;
}

/** GNU time, since Node cannot ask for what a child has used. */
const TIME = '/usr/bin/time';

/** One after the other and round by round, so that a machine that is slow for a while is slow for all of them. Medians. */
export function compare<K extends string>(commands: Readonly<Record<K, Command>>, rounds: number): Record<K, Spent> {
  const names = Object.keys(commands) as K[];
  const spent = Object.fromEntries(names.map(name => [name, [] as Spent[]])) as Record<K, Spent[]>;
  for (const name of names) once(commands[name]); // files are read for the first time
  for (let round = 0; round < rounds; round++) for (const name of names) spent[name].push(once(commands[name]));
  return Object.fromEntries(names.map(name => [name, middle(spent[name])])) as Record<K, Spent>;
}

export function once({ argv, env }: Command): Spent {
  const startedMs = performance.now();
  const ran = spawnSync(TIME, ['-f', '%U %S %M', ...argv], {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ms = performance.now() - startedMs;
  if (ran.error) throw new Error(`${TIME} is needed (Debian package time)`, { cause: ran.error });
  const [user = 0, system = 0, peakKiB = 0] = (ran.stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  return { ms, cpuMs: (user + system) * 1000, peakKiB };
}

function middle(all: readonly Spent[]): Spent {
  return {
    ms: median(all.map(({ ms }) => ms)),
    cpuMs: median(all.map(({ cpuMs }) => cpuMs)),
    peakKiB: Math.max(...all.map(({ peakKiB }) => peakKiB)),
  };
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
