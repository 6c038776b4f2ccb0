import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import type { Argv } from '../change.ts';
import type { Guest, GuestView, Outcome } from './guest.ts';
import { boundedLines } from './lines.ts';
import { locate } from './paths.ts';
import { isGroupRunning } from './process-group.ts';

/** Where programs are, in the order of a root login; nothing of the caller's PATH. */
const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
/** What children may know of the caller: how to reach the network. */
const PASSED_ON = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];

const LOOK_TIMEOUT_MS = 15_000;
/** A look's answer; what prints more is not answering the question. */
const LOOK_LIMIT = 16 * 1024 * 1024;
/** Between asking a process group to end and ending it: a look has nothing to put in order. */
const LOOK_GRACE_MS = 1_000;
const GRACE_MS = 10_000;
/** How long a stop waits for a deed that must not be cut; with what follows it stays below systemd's 90 s for a stop. */
const FINISH_MS = 60_000;
/** What SIGKILL does not end in this time hangs in the kernel, as nvidia-smi can, or has left its group: it is waited for no longer. */
const LOST_MS = 1_000;
/** Between two looks at whether anything is left of a process group. */
const GROUP_PAUSE_MS = 50;
/** How much of a deed's output is kept for the error text. */
const KEPT_LINES = 400;
/** How much of it is told: a program that never stops talking must fill neither memory nor the log. */
const MOST_TOLD_LINES = 50_000;
/** execa passes every number on; its types know the first ones only. */
type Descriptor = 3;

/** `stop`: everything comes to an end, in order; `hurry`: at once. */
export interface Stops {
  readonly stop: AbortSignal;
  readonly hurry: AbortSignal;
  /** A part of every time limit, for those who cannot wait for all of it: tests of programs that hang. */
  readonly patience: number;
}

interface Programs extends Pick<GuestView, 'query'>, Pick<Guest, 'run' | 'follow'> {
  /** flock(1) on a descriptor of this process. */
  flock(descriptor: number): Promise<Outcome>;
  /** What deeds that outlive a killed run are given to hold; undefined: nothing. */
  handOn(descriptor: number | undefined): void;
}

/** Runs the programs of the guest under `root`. */
export function openPrograms(root: string, env: NodeJS.ProcessEnv, { stop, hurry, patience }: Stops): Programs {
  const base = {
    extendEnv: false,
    env: childEnv(root, env),
    cwd: root,
    reject: false,
    killDescendants: true,
    forceKillAfterDelay: false,
    verbose: 'none',
  } as const;
  const finishing = later(stop, FINISH_MS * patience);
  let handedOn: number | undefined;
  // one that is named by its path is the guest's own, too
  const inside = (program: string) => (program.startsWith('/') ? locate(root, program) : program);

  async function look(
    [program, ...args]: Argv,
    timeoutMs: number,
    extra: readonly Descriptor[] = [],
  ): Promise<Outcome> {
    stop.throwIfAborted();
    if (args.some(hasNul)) return UNABLE;
    const time = AbortSignal.timeout(Math.ceil(timeoutMs * patience));
    const over = new AbortController();
    const subprocess = execa(inside(program), args, {
      ...base,
      stdio: ['ignore', 'pipe', 'pipe', ...extra],
      buffer: false,
    });
    const [stdout, stderr] = [subprocess.stdout, subprocess.stderr].map(stream => textOf(stream, () => over.abort()));
    const ask = AbortSignal.any([stop, time, over.signal]);
    const ended = await endOf(subprocess, { ask, kill: hurry, graceMs: LOOK_GRACE_MS });
    stop.throwIfAborted();
    if (ended === undefined) return { code: TIMED_OUT, stdout: '', stderr: `timed out, and ${LOST}` };
    const said = { stdout: (await stdout) ?? '', stderr: (await stderr) ?? '' };
    if (over.signal.aborted)
      return { code: codeOf(ended) || 1, stdout: '', stderr: `printed more than ${LOOK_LIMIT} bytes` };
    if (time.aborted) return { code: TIMED_OUT, ...said, stderr: said.stderr || 'timed out' };
    return { code: codeOf(ended), ...said };
  }

  return {
    handOn(descriptor) {
      handedOn = descriptor;
    },

    flock: descriptor => look(['flock', '--exclusive', '--nonblock', '3'], LOOK_TIMEOUT_MS, [descriptor as Descriptor]),

    query: (argv, timeoutMs = LOOK_TIMEOUT_MS) => look(argv, timeoutMs),

    async run([program, ...args], options = {}): Promise<Outcome> {
      const { timeoutMs, onLine, onEnd, env: extra, evenWhenStopped, finishes, outlives } = options;
      if (!evenWhenStopped) stop.throwIfAborted();
      if (args.some(hasNul)) return UNABLE;
      const shared = outlives && handedOn !== undefined ? [handedOn as Descriptor] : [];
      const subprocess = execa(inside(program), args, {
        ...base,
        env: { ...base.env, ...extra },
        stdio: ['ignore', 'pipe', 'pipe', ...shared],
        buffer: false,
      });
      const time = timeoutMs === undefined ? NEVER : AbortSignal.timeout(Math.ceil(timeoutMs * patience));
      const ask = AbortSignal.any([time, evenWhenStopped ? NEVER : finishes ? finishing : stop]);
      const kill = evenWhenStopped ? NEVER : hurry;
      const told = atMost(MOST_TOLD_LINES, onLine);
      const [stdout, stderr] = [keepLines(subprocess.stdout, told), keepLines(subprocess.stderr, told)];
      const ended = await endOf(subprocess, { ask, kill, graceMs: GRACE_MS * patience });
      const code = time.aborted ? TIMED_OUT : ended ? codeOf(ended) : KILLED;
      onEnd?.(code);
      if (!evenWhenStopped) stop.throwIfAborted();
      const said = { stdout: (await stdout).join('\n'), stderr: (await stderr).join('\n') };
      return { code, ...said, ...(ended ? {} : { stderr: `${said.stderr}\n${program}: ${LOST}`.trim() }) };
    },

    async *follow([program, ...args], signal) {
      stop.throwIfAborted();
      const follower = execa(inside(program), args, { ...base, stdin: 'ignore', stderr: 'ignore', buffer: false });
      const left = new AbortController();
      const ask = AbortSignal.any([signal, stop, left.signal]);
      // beside the reading, which waits for lines for as long as it does not end
      const ended = endOf(follower, { ask, kill: hurry, graceMs: LOOK_GRACE_MS });
      try {
        yield* boundedLines(follower.stdout);
      } catch (error) {
        // when it cannot be ended it is let go of
        if (!ask.aborted) throw error;
      } finally {
        left.abort();
        await ended;
      }
    },
  };
}

const LOST = 'it cannot be ended, not even by SIGKILL: it hangs in the kernel, or has left its process group';
const NEVER = new AbortController().signal;

/** Words come from files and programs of the guest, which can hold what no program can be given. */
const hasNul = (word: string) => word.includes('\0');
const UNABLE: Outcome = { code: 126, stdout: '', stderr: 'an argument has a NUL byte in it' };

/** Aborts so long after the other one. */
function later(first: AbortSignal, ms: number): AbortSignal {
  const second = new AbortController();
  const begin = () => setTimeout(() => second.abort(), ms).unref();
  if (first.aborted) begin();
  else first.addEventListener('abort', begin, { once: true });
  return second.signal;
}

interface Ends {
  /** Its group is asked to end, and is ended when the grace is over. */
  readonly ask: AbortSignal;
  /** It is ended at once. */
  readonly kill: AbortSignal;
  readonly graceMs: number;
}

type Subprocess<R> = PromiseLike<R> & {
  readonly nodeChildProcess: ChildProcess;
  kill(signal: NodeJS.Signals): boolean;
};

/** How it ended; undefined: it does not end, and goes on without anybody waiting for it. */
async function endOf<R>(subprocess: Subprocess<R>, { ask, kill, graceMs }: Ends): Promise<R | undefined> {
  const lost = Promise.withResolvers<undefined>();
  const timers: NodeJS.Timeout[] = [];
  let isAsked = false;
  let isLost = false;
  const end = () => {
    isAsked = true;
    subprocess.kill('SIGKILL');
    timers.push(setTimeout(giveUp, LOST_MS));
  };
  const giveUp = () => {
    isLost = true;
    lost.resolve(undefined);
  };
  const askToEnd = () => {
    isAsked = true;
    subprocess.kill('SIGTERM');
    timers.push(setTimeout(end, graceMs));
  };
  const listeners = [[kill, end] as const, [ask, askToEnd] as const];
  for (const [signal, deed] of listeners) {
    if (signal.aborted) deed();
    else signal.addEventListener('abort', deed, { once: true });
  }
  try {
    const ended = await Promise.race([subprocess, lost.promise]);
    if (ended === undefined) letGo(subprocess);
    // it may have ended before what it has started, which need not listen
    const { pid } = subprocess.nodeChildProcess;
    while (pid && isAsked && !isLost && (await isGroupRunning(pid))) await delay(GROUP_PAUSE_MS);
    return ended;
  } finally {
    for (const timer of timers) clearTimeout(timer);
    for (const [signal, deed] of listeners) signal.removeEventListener('abort', deed);
  }
}

/** So that this process can end before it. */
function letGo({ nodeChildProcess: child }: Subprocess<unknown>): void {
  for (const stream of [child.stdout, child.stderr]) stream?.destroy();
  child.unref();
}

/** As far as it can be an answer; `onFlood` when it is longer. Without its last line end, as a shell would take it. */
async function textOf(stream: Readable, onFlood: () => void): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size <= LOOK_LIMIT) chunks.push(chunk);
      else onFlood();
    }
  } catch {
    // let go of: what has come is what there is
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

async function keepLines(stream: Readable, onLine: (line: string) => void): Promise<readonly string[]> {
  const kept: string[] = [];
  try {
    for await (const line of boundedLines(stream)) {
      kept.push(line);
      if (kept.length > KEPT_LINES) kept.shift();
      onLine(line);
    }
  } catch {
    // let go of: what has come is what there is
  }
  return kept;
}

function atMost(limit: number, onLine: (line: string) => void = () => {}): (line: string) => void {
  let count = 0;
  return line => {
    if (++count <= limit) onLine(line);
    else if (count === limit + 1) onLine(`it says more than ${limit} lines; the others are not told`);
  };
}

function childEnv(root: string, env: NodeJS.ProcessEnv): Record<string, string> {
  const passed = PASSED_ON.flatMap(name => (env[name] ? [[name, env[name]] as const] : []));
  return {
    ...Object.fromEntries(passed),
    LC_ALL: 'C',
    LANG: 'C',
    TERM: 'dumb',
    HOME: '/root',
    PATH: FOLDERS.map(folder => (root === '/' ? folder : root + folder)).join(':'),
    ...(root === '/' ? {} : { GUEST_ROOT: root }),
  };
}

interface Ending {
  readonly exitCode?: number | undefined;
  readonly code?: string | undefined;
  readonly signal?: NodeJS.Signals | undefined;
}

const TIMED_OUT = 124;
const KILLED = 137;

/** As a shell would say it: 127 for an absent program, 124 for one that ran out of time, 128+n for a signal. */
function codeOf(result: Ending): number {
  if (result.exitCode !== undefined) return result.exitCode;
  if (result.code === 'ENOENT') return 127;
  if (result.code === 'EACCES' || result.code === 'ENOEXEC') return 126;
  return 128 + constants.signals[result.signal ?? 'SIGTERM'];
}
