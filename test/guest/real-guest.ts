import { setTimeout as delay } from 'node:timers/promises';
import type { Argv } from '../../src/change.ts';
import type { Outcome } from '../../src/guest/guest.ts';

/** A booted guest and the verbs of a test; each has a deadline and leaves a line in the log. */
export interface RealGuest extends Verbs {
  /** A file of this machine at a path of the guest, owned by root. */
  copyIn(from: string, to: string, mode: number): Promise<void>;
  /** A file with this content at a path of the guest, owned by root. */
  write(to: string, content: string | Uint8Array, mode: number): Promise<void>;
  /** The guest shuts down and boots again. */
  reboot(deadlineMs?: number): Promise<void>;
  /** The power goes: nothing of the guest runs on. It is off afterwards. */
  crash(): Promise<void>;
  /** Boots a guest that is off, and returns when systemd has reached basic.target. */
  boot(deadlineMs?: number): Promise<void>;
  /** Console, journal and these files of the guest, for whoever looks for the cause of a failure. */
  keepEvidence(folder: string, paths: readonly string[]): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a test does inside of a guest. */
export interface Verbs {
  /** Runs a program inside and says how it ended. */
  execute(argv: Argv, options?: ExecuteOptions): Promise<Outcome>;
  /** The same, which must end with code 0; its standard output. */
  succeed(argv: Argv, options?: ExecuteOptions): Promise<string>;
  /** The same, which must end with this code. */
  fail(argv: Argv, code: number, options?: ExecuteOptions): Promise<Outcome>;
  /** Waits until everything that belongs to the boot has started; fails when a unit has failed. */
  waitForBoot(deadlineMs?: number): Promise<void>;
  /** Waits until a unit is active; fails at once when the unit has failed. */
  waitForUnit(unit: string, deadlineMs?: number): Promise<void>;
  /** Its standard output, once the program has ended with code 0. */
  waitUntilSucceeds(argv: Argv, deadlineMs?: number): Promise<string>;
}

interface ExecuteOptions {
  readonly deadlineMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** How a kind of guest is reached. */
export interface Reach {
  readonly name: string;
  /** How long a verb may take unless a test says otherwise. */
  readonly deadlineMs: number;
  /** Runs a program inside; throws when it does not end in time, when the guest is off, or when `signal` ends everything. */
  readonly look: (argv: Argv, deadlineMs: number, env: Readonly<Record<string, string>>) => Promise<Outcome>;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

/** A log line: who, what, how it ended, and how long it took. */
export type TellVerb = (what: string, result: string, startedMs: number) => void;

const POLL_MS = 50;
/** Asking costs the guest time as well. */
const MOST_POLL_MS = 1_000;

export function tellOf({ name, log }: Pick<Reach, 'name' | 'log'>): TellVerb {
  return (what, result, startedMs) =>
    log(`${name}: ${what}: ${result} (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
}

/** The verbs of any guest in which programs can be run. */
export function createVerbs(reach: Reach): Verbs {
  const { deadlineMs: usualMs, look, signal } = reach;
  const tell = tellOf(reach);

  async function execute(argv: Argv, { deadlineMs = usualMs, env = {} }: ExecuteOptions = {}): Promise<Outcome> {
    const startedMs = performance.now();
    const outcome = await look(argv, deadlineMs, env);
    tell(argv.join(' '), `exit code ${outcome.code}`, startedMs);
    return outcome;
  }

  async function expectCode(argv: Argv, code: number, given?: ExecuteOptions): Promise<Outcome> {
    const outcome = await execute(argv, given);
    if (outcome.code !== code) throw new Error(`${argv.join(' ')} must end with exit code ${code}\n${tail(outcome)}`);
    return outcome;
  }

  async function waitForBoot(deadlineMs = usualMs): Promise<void> {
    const { stdout } = await execute(['systemctl', 'is-system-running', '--wait'], { deadlineMs });
    if (stdout.trim() === 'running') return;
    const { stdout: failed } = await look(['systemctl', 'status', '--failed', '--no-pager', '--full'], usualMs, {});
    throw new Error(`the guest is ${stdout.trim()}\n${failed}`);
  }

  async function waitForUnit(unit: string, deadlineMs = usualMs): Promise<void> {
    const startedMs = performance.now();
    await until(`${unit} to be active`, deadlineMs, signal, async () => {
      const { stdout } = await look(['systemctl', 'is-active', unit], usualMs, {});
      if (stdout.trim() !== 'failed') return stdout.trim() === 'active' || undefined;
      const { stdout: status } = await look(['systemctl', 'status', '--no-pager', '--full', unit], usualMs, {});
      throw new Error(`${unit} has failed\n${status}`);
    });
    tell(`wait for ${unit}`, 'active', startedMs);
  }

  async function waitUntilSucceeds(argv: Argv, deadlineMs = usualMs): Promise<string> {
    const startedMs = performance.now();
    const output = await until(`${argv.join(' ')} to succeed`, deadlineMs, signal, async () => {
      const { code, stdout } = await look(argv, deadlineMs, {});
      return code === 0 ? stdout : undefined;
    });
    tell(`wait until ${argv.join(' ')}`, 'succeeds', startedMs);
    return output;
  }

  return {
    execute,
    succeed: async (argv, given) => (await expectCode(argv, 0, given)).stdout,
    fail: expectCode,
    waitForBoot,
    waitForUnit,
    waitUntilSucceeds,
  };
}

/** Asks again and again until there is an answer. */
export async function until<T>(
  what: string,
  deadlineMs: number,
  signal: AbortSignal,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  for (let pauseMs = POLL_MS; ; pauseMs = Math.min(pauseMs * 1.2, MOST_POLL_MS)) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > endMs) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await delay(pauseMs, undefined, { signal });
  }
}

/** What is wanted, or an error that says for what was waited in vain. */
export async function within<T>(deadlineMs: number, what: string, wanted: Promise<T>, signal: AbortSignal): Promise<T> {
  const enough = new AbortController();
  const late = delay(deadlineMs, undefined, { signal: AbortSignal.any([signal, enough.signal]) }).then(() => {
    throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
  });
  try {
    return await Promise.race([wanted, late]);
  } finally {
    enough.abort();
  }
}

/** The end of what a program has printed. */
export function tail({ stdout, stderr, code }: Outcome): string {
  const lines = `${stdout}\n${stderr}`.trimEnd().split('\n').slice(-60);
  return [`exit code ${code}`, ...lines].join('\n');
}
