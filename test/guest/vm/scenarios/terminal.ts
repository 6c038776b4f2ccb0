import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Check, runInOrder, type Tally } from '../../checks.ts';
import { CACHE } from '../../image.ts';
import { until, within } from '../../real-guest.ts';

const SHELL = resolve(import.meta.dirname, '../shell.ts');
const MINUTE_MS = 60_000;
const PROMPT = 'root@guest:~#';
/** What the terminal shows when all is laid out. */
const WELCOMED = 'ends the guest';

/** `npm run guest` as a person has it: on a terminal of its own, which script(1) makes. */
export async function playTerminal(log: (line: string) => void, signal: AbortSignal): Promise<Tally> {
  const terminal = openTerminal(signal);
  const homes = new Set(await vmFolders());
  const own = async () => (await vmFolders()).filter(name => !homes.has(name) && !isOurs(name));
  let folder: string | undefined;
  const checks: readonly Check[] = [
    [
      'npm run guest ends in a prompt that greets',
      async () => {
        const welcomed = terminal.shows(WELCOMED, 6 * MINUTE_MS);
        await until('the folder of the guest', MINUTE_MS, signal, async () => {
          [folder] = await own();
          return folder;
        });
        await welcomed;
        await terminal.shows(PROMPT, 4 * MINUTE_MS);
        assert.ok((await runningIn(folder)).length > 0, 'no process works in the folder of the guest');
      },
    ],
    [
      'what is typed there is answered by the guest',
      async () => {
        terminal.type('vgpu-guest status; echo "ended with $?"\n');
        const told = await terminal.shows(/ended with \d+/, 3 * MINUTE_MS);
        assert.match(told, /license +\S+/);
        assert.match(told, /ended with 0/);
      },
    ],
    [
      'poweroff ends it, and nothing of it is left',
      async () => {
        terminal.type('poweroff\n');
        assert.equal(await terminal.ended(3 * MINUTE_MS), 0);
        assert.deepEqual(await runningIn(folder), []);
        assert.ok(!(await vmFolders()).includes(folder ?? ''), 'the folder of the guest is left');
      },
    ],
  ];
  try {
    // awaited here: the terminal goes when this function ends
    return await runInOrder('terminal', checks, async () => log(terminal.end()));
  } finally {
    await terminal.close();
  }
}

/** A program on a pseudo terminal. */
interface Terminal {
  /** What was shown since this was asked last, up to the wanted text, once that is in it. */
  shows(wanted: string | RegExp, deadlineMs: number): Promise<string>;
  type(text: string): void;
  ended(deadlineMs: number): Promise<number | null>;
  /** The last that was shown. */
  end(): string;
  close(): Promise<void>;
}

function openTerminal(signal: AbortSignal): Terminal {
  const command = `exec '${process.execPath}' '${SHELL}' ready`;
  const argv = ['--quiet', '--return', '--flush', '--command', command, '/dev/null'];
  const child: ChildProcessWithoutNullStreams = spawn('setpriv', ['--pdeathsig', 'TERM', 'script', ...argv], {
    env: { ...process.env, TERM: 'vt220' },
  });
  // a person's terminal is there for as long as the person
  child.stdin.on('error', () => undefined);
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  let shown = '';
  let seen = 0;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', data => {
      shown += data;
    });
  }
  return {
    async shows(wanted, deadlineMs) {
      const text = await until(`the terminal to show ${wanted}`, deadlineMs, signal, async () => {
        const since = shown.slice(seen);
        const found = upTo(wanted, since);
        if (found !== undefined) return found;
        if (child.exitCode !== null) throw new Error(`the terminal is closed\n${shown.slice(-2_000)}`);
        return undefined;
      });
      seen += text.length;
      return text;
    },
    type: text => void child.stdin.write(text),
    ended: deadlineMs => within(deadlineMs, 'the terminal to be closed', exited, signal),
    end: () => shown.slice(-4_000),
    async close() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** The text up to the end of what is wanted: what is behind it may be wanted next. */
function upTo(wanted: string | RegExp, text: string): string | undefined {
  if (typeof wanted === 'string') {
    const at = text.indexOf(wanted);
    return at === -1 ? undefined : text.slice(0, at + wanted.length);
  }
  const match = wanted.exec(text);
  return match === null ? undefined : text.slice(0, match.index + match[0].length);
}

/** Folders of virtual machines that are there, of whatever test. */
async function vmFolders(): Promise<readonly string[]> {
  return (await readdir(CACHE)).filter(name => /^vm-\d+-/.test(name));
}

function isOurs(name: string): boolean {
  return name.startsWith(`vm-${process.pid}-`);
}

/** Processes whose command line names the folder. */
async function runningIn(folder: string | undefined): Promise<readonly string[]> {
  if (folder === undefined) throw new Error('the guest has no folder');
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map(pid => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter(line => line.includes(join(CACHE, folder)));
}
