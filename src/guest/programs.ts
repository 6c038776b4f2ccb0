import { constants } from 'node:os';
import { execa } from 'execa';
import type { Guest, GuestView, Outcome } from './guest.ts';
import { boundedLines } from './lines.ts';
import { locate } from './paths.ts';

/** Where programs are, in the order of a root login; nothing of the caller's PATH. */
const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
/** What children may know of the caller: how to reach the network. */
const PASSED_ON = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];

const LOOK_TIMEOUT_MS = 15_000;
/** A look's answer; what prints more is not answering the question. */
const LOOK_LIMIT = 16 * 1024 * 1024;
/** Between asking a process group to end and ending it. */
const GRACE_MS = 10_000;
/** execa passes every number on; its types know the first ones only. */
type Descriptor = 3;
/** How much of a deed's output is kept for the error text. */
const KEPT_LINES = 400;

interface Programs extends Pick<GuestView, 'query'>, Pick<Guest, 'run' | 'follow'> {
  /** flock(1) on a descriptor of this process. */
  flock(descriptor: number): Promise<Outcome>;
  /** What deeds that outlive a killed run are given to hold; undefined: nothing. */
  handOn(descriptor: number | undefined): void;
}

/** Runs the programs of the guest under `root`; `stop` ends every one of them. */
export function openPrograms(root: string, env: NodeJS.ProcessEnv, stop: AbortSignal): Programs {
  const base = {
    extendEnv: false,
    env: childEnv(root, env),
    cwd: root,
    reject: false,
    cancelSignal: stop,
    killDescendants: true,
    forceKillAfterDelay: GRACE_MS,
    verbose: 'none',
  } as const;

  // one that is named by its path is the guest's own, too
  const inside = (program: string) => (program.startsWith('/') ? locate(root, program) : program);

  let handedOn: number | undefined;
  return {
    handOn(descriptor) {
      handedOn = descriptor;
    },

    async flock(descriptor) {
      const argv = ['--exclusive', '--nonblock', '3'];
      const result = await execa('flock', argv, {
        ...base,
        stdio: ['ignore', 'pipe', 'pipe', descriptor as Descriptor],
        timeout: LOOK_TIMEOUT_MS,
      });
      stop.throwIfAborted();
      return { code: codeOf(result), stdout: String(result.stdout ?? ''), stderr: String(result.stderr ?? '') };
    },

    async query([program, ...args], timeoutMs = LOOK_TIMEOUT_MS) {
      const result = await execa(inside(program), args, {
        ...base,
        stdin: 'ignore',
        timeout: timeoutMs,
        maxBuffer: LOOK_LIMIT,
      });
      stop.throwIfAborted();
      return {
        code: codeOf(result),
        stdout: result.stdout,
        stderr: result.stderr || (result.timedOut ? 'timed out' : ''),
      };
    },

    async run([program, ...args], { timeoutMs, onLine, env: extra, evenWhenStopped, outlives } = {}): Promise<Outcome> {
      const kept = { stdout: [] as string[], stderr: [] as string[] };
      const keep = (stream: 'stdout' | 'stderr') =>
        function* (line: string) {
          kept[stream].push(line);
          if (kept[stream].length > KEPT_LINES) kept[stream].shift();
          onLine?.(line);
          yield line;
        };
      const result = await execa(inside(program), args, {
        ...base,
        env: { ...base.env, ...extra },
        ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
        stdio: [
          'ignore',
          keep('stdout'),
          keep('stderr'),
          ...(outlives && handedOn !== undefined ? [handedOn as Descriptor] : []),
        ],
        buffer: false,
        ...(evenWhenStopped ? { cancelSignal: new AbortController().signal } : {}),
      });
      if (!evenWhenStopped) stop.throwIfAborted();
      return { code: codeOf(result), stdout: kept.stdout.join('\n'), stderr: kept.stderr.join('\n') };
    },

    async *follow([program, ...args], signal) {
      const follower = execa(inside(program), args, {
        ...base,
        stdin: 'ignore',
        cancelSignal: AbortSignal.any([signal, stop]),
        forceKillAfterDelay: 1_000,
        stderr: 'ignore',
        buffer: false,
      });
      try {
        yield* boundedLines(follower.stdout);
      } finally {
        follower.kill();
        await follower;
      }
    },
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
  readonly timedOut: boolean;
  readonly exitCode?: number | undefined;
  readonly code?: string | undefined;
  readonly signal?: NodeJS.Signals | undefined;
}

/** As a shell would say it: 127 for an absent program, 124 for one that ran out of time, 128+n for a signal. */
function codeOf(result: Ending): number {
  if (result.timedOut) return 124;
  if (result.exitCode !== undefined) return result.exitCode;
  if (result.code === 'ENOENT') return 127;
  if (result.code === 'EACCES' || result.code === 'ENOEXEC') return 126;
  return 128 + constants.signals[result.signal ?? 'SIGTERM'];
}
