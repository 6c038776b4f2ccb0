import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Argv } from '../../../src/change.ts';
import type { Outcome } from '../../../src/guest/guest.ts';
import { until, within } from '../real-guest.ts';

/** qemu-guest-agent inside of the guest, at the other end of a virtio port: its own protocol, one JSON object a line. */
export interface Agent {
  /** Runs a program and returns how it ended. */
  look(argv: Argv, deadlineMs: number, env: Readonly<Record<string, string>>): Promise<Outcome>;
  /** Starts a program and returns how it will end. */
  start(argv: Argv, env?: Readonly<Record<string, string>>): Promise<{ ended(deadlineMs: number): Promise<Outcome> }>;
  write(path: string, content: Uint8Array): Promise<void>;
  close(): void;
}

const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  HOME: '/root',
};
/** An answer that takes longer than this will not come: the guest is busy, but not that busy. */
const ANSWER_LIMIT_MS = 240_000;
const ASK_AGAIN_MS = 1_000;
const CHUNK_BYTES = 512 * 1024;
/** The agent puts it before the answer to guest-sync-delimited, so that a reader can drop what came before. */
const DELIMITER = 0xff;

interface ExecStatus {
  readonly exited: boolean;
  readonly exitcode?: number;
  readonly signal?: number;
  readonly 'out-data'?: string;
  readonly 'err-data'?: string;
}

/** Waits for the guest's agent to answer at a socket of this machine. */
export async function connectAgent(path: string, deadlineMs: number, signal: AbortSignal): Promise<Agent> {
  const socket = await opened(path);
  const line = createLine(socket);
  const ask = async <T>(execute: string, args: object): Promise<T> => {
    const answer = await within(
      ANSWER_LIMIT_MS,
      `the answer to ${execute}`,
      line.ask({ execute, arguments: args }),
      signal,
    );
    if (answer.error) throw new Error(`${execute}: ${answer.error.desc}`);
    return answer.return as T;
  };
  try {
    await within(deadlineMs, 'the agent of the guest to answer', line.synchronize(signal), signal);
  } catch (error) {
    socket.destroy();
    throw error;
  }

  async function start(argv: Argv, env: Readonly<Record<string, string>> = {}) {
    const [program, ...args] = argv;
    const variables = Object.entries({ ...ENVIRONMENT, ...env }).map(([key, value]) => `${key}=${value}`);
    const request = { path: program, arg: args, env: variables, 'capture-output': true };
    const { pid } = await ask<{ pid: number }>('guest-exec', request);
    const ended = (deadlineMs: number) =>
      until(`${argv.join(' ')} to end`, deadlineMs, signal, async () => {
        const status = await ask<ExecStatus>('guest-exec-status', { pid });
        return status.exited ? outcomeOf(status) : undefined;
      });
    return { ended };
  }

  async function write(path: string, content: Uint8Array): Promise<void> {
    const handle = await ask<number>('guest-file-open', { path, mode: 'w' });
    for (let at = 0; at < content.length; at += CHUNK_BYTES) {
      const chunk = Buffer.from(content.subarray(at, at + CHUNK_BYTES)).toString('base64');
      await ask('guest-file-write', { handle, 'buf-b64': chunk });
    }
    await ask('guest-file-close', { handle });
  }

  return {
    look: async (argv, limitMs, env) => {
      // the agent has no word for a program that is not there but this error
      const started = await start(argv, env).catch(error => {
        if (/No such file or directory/.test(String(error))) return undefined;
        throw error;
      });
      return started ? started.ended(limitMs) : { code: 127, stdout: '', stderr: `${argv[0]}: not found` };
    },
    start,
    write,
    close: () => socket.destroy(),
  };
}

function outcomeOf(status: ExecStatus): Outcome {
  const text = (data: string | undefined) => Buffer.from(data ?? '', 'base64').toString();
  return { code: status.exitcode ?? -1, stdout: text(status['out-data']), stderr: text(status['err-data']) };
}

interface Answer {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

/** Questions and answers in order, over one socket. */
function createLine(socket: Socket) {
  let received = Buffer.alloc(0);
  let waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = [];
  const end = (error: Error) => {
    for (const { reject } of waiting) reject(error);
    waiting = [];
  };
  socket.on('close', () => end(new Error('the guest is off')));
  socket.on('data', chunk => {
    received = Buffer.concat([received, chunk]);
    for (let at = received.indexOf('\n'); at >= 0; at = received.indexOf('\n')) {
      const line = received.subarray(0, at);
      received = received.subarray(at + 1);
      const text = line.subarray(line.lastIndexOf(DELIMITER) + 1).toString();
      if (text.trim()) waiting.shift()?.resolve(JSON.parse(text) as Answer);
    }
  });

  const ask = (request: object) =>
    new Promise<Answer>((resolve, reject) => {
      if (socket.destroyed) return reject(new Error('the guest is off'));
      waiting.push({ resolve, reject });
      socket.write(`${JSON.stringify(request)}\n`);
    });

  /** The agent drops what it is told before it runs, so it is asked until it gives the number of a question back. */
  async function synchronize(signal: AbortSignal): Promise<void> {
    for (let id = 1; ; id++) {
      waiting = [];
      const pause = delay(ASK_AGAIN_MS, undefined, { signal });
      const answer = await Promise.race([ask({ execute: 'guest-sync-delimited', arguments: { id } }), pause]);
      if (answer?.return === id) return;
      await pause;
    }
  }

  return { ask, synchronize };
}

function opened(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.once('error', reject);
    // later errors end in 'close'
    socket.on('error', () => undefined);
  });
}
