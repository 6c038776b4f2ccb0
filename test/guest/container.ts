import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import type { Argv } from '../../src/change.ts';
import type { Outcome } from '../../src/guest/guest.ts';
import { CACHE } from './image.ts';

/** A guest in a container with its own systemd, and the verbs of a test; each has a deadline and leaves a line in the log. */
export interface Container {
  /** The guest's tree as this machine sees it. */
  readonly root: string;
  /** The folder that the guest sees as `seenAs`; it outlives reboots. */
  readonly shared: string;
  /** Boots it and returns when systemd has reached basic.target. */
  boot(deadlineMs?: number): Promise<void>;
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
  /** A program that goes on until it is released, which closes its standard input; returns once it has printed something. */
  hold(argv: Argv, deadlineMs?: number): Promise<{ release(): Promise<void> }>;
  /** A file of this machine at a path of the guest, owned by root. */
  copyIn(from: string, to: string, mode: number): Promise<void>;
  /** A file with this content at a path of the guest, owned by root. */
  write(to: string, content: string | Uint8Array, mode: number): Promise<void>;
  /** The guest shuts down and boots again. */
  reboot(deadlineMs?: number): Promise<void>;
  /** Console, journal and these files of the guest, for whoever looks for the cause of a failure. */
  keepEvidence(folder: string, paths: readonly string[]): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

interface ExecuteOptions {
  readonly deadlineMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export interface ContainerOptions {
  readonly name: string;
  /** The root of an image; it stays as it is, changes go into a layer of their own. */
  readonly image: string;
  /** The path at which the guest sees the shared folder. */
  readonly seenAs: string;
  /** Files and folders of this machine that the guest may use, writable or not. */
  readonly binds: readonly { readonly from: string; readonly to: string; readonly writable?: true }[];
  /** What happens around the guest before each boot. */
  readonly powerOn: (shared: string, root: string) => Promise<void>;
  readonly log: (line: string) => void;
  /** Ends whatever is being waited for. */
  readonly signal: AbortSignal;
}

/** How long a verb may take unless a test says otherwise. */
const DEADLINE_MS = 30_000;
const POLL_MS = 100;
/** systemd-nspawn(1), --keep-unit: a container that asks for a reboot ends with this code. */
const REBOOT_CODE = 133;
const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  HOME: '/root',
};

/** A guest made from an image, not booted yet. */
export async function createContainer(options: ContainerOptions): Promise<Container> {
  await removeLeftovers();
  const home = await mkdtemp(join(CACHE, `guest-${process.pid}-`));
  const at = (name: string) => join(home, name);
  const [root, shared, consoleLog] = [at('root'), at('shared'), at('console.log')];
  await Promise.all([root, shared, at('layer'), at('work')].map(folder => mkdir(folder)));
  await execa('mount', ['-t', 'overlay', 'overlay', '-o', overlayOf(options.image, at('layer'), at('work')), root]);
  let machine: Machine | undefined;

  async function boot(deadlineMs = DEADLINE_MS): Promise<void> {
    const startedMs = performance.now();
    await options.powerOn(shared, root);
    machine = await switchOn(options, root, shared, consoleLog, deadlineMs);
    await waitForUnit('basic.target', deadlineMs);
    tell('boot', 'basic.target is reached', startedMs);
  }

  async function execute(argv: Argv, { deadlineMs = DEADLINE_MS, env = {} }: ExecuteOptions = {}): Promise<Outcome> {
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

  async function waitForBoot(deadlineMs = DEADLINE_MS): Promise<void> {
    const { stdout } = await execute(['systemctl', 'is-system-running', '--wait'], { deadlineMs });
    if (stdout.trim() === 'running') return;
    const { stdout: failed } = await look(['systemctl', 'status', '--failed', '--no-pager', '--full'], DEADLINE_MS);
    throw new Error(`the guest is ${stdout.trim()}\n${failed}`);
  }

  async function waitForUnit(unit: string, deadlineMs = DEADLINE_MS): Promise<void> {
    const startedMs = performance.now();
    await until(`${unit} to be active`, deadlineMs, async () => {
      const { stdout } = await look(['systemctl', 'is-active', unit], DEADLINE_MS);
      if (stdout.trim() === 'failed') throw new Error(`${unit} has failed\n${await statusOf(unit)}`);
      return stdout.trim() === 'active' || undefined;
    });
    tell(`wait for ${unit}`, 'active', startedMs);
  }

  async function waitUntilSucceeds(argv: Argv, deadlineMs = DEADLINE_MS): Promise<string> {
    const startedMs = performance.now();
    const output = await until(`${argv.join(' ')} to succeed`, deadlineMs, async () => {
      const { code, stdout } = await look(argv, deadlineMs);
      return code === 0 ? stdout : undefined;
    });
    tell(`wait until ${argv.join(' ')}`, 'succeeds', startedMs);
    return output;
  }

  async function hold(argv: Argv, deadlineMs = DEADLINE_MS): Promise<{ release(): Promise<void> }> {
    const startedMs = performance.now();
    const program = inside(argv, {}, { stdin: 'pipe' });
    const tooEarly = program.then(({ stderr }) => {
      throw new Error(`${argv.join(' ')} has ended before it printed anything\n${stderr}`);
    });
    const ready = Promise.race([once(program.stdout, 'data'), tooEarly]);
    await within(deadlineMs, `${argv[0]} to print something`, ready, options.signal);
    // it is expected to end later
    tooEarly.catch(() => undefined);
    tell(argv.join(' '), 'is ready', startedMs);
    return {
      async release() {
        program.stdin?.end();
        await within(deadlineMs, `${argv[0]} to end`, program, options.signal);
      },
    };
  }

  async function put(to: string, mode: number, fill: (path: string) => Promise<void>): Promise<void> {
    const path = join(root, to);
    await mkdir(dirname(path), { recursive: true });
    await fill(path);
    await chmod(path, mode);
  }

  async function reboot(deadlineMs = DEADLINE_MS): Promise<void> {
    const startedMs = performance.now();
    const before = requireRunning();
    // the shutdown may be faster than the answer
    await look(['systemctl', 'reboot'], deadlineMs).catch(() => options.signal.throwIfAborted());
    const code = await within(deadlineMs, 'the guest to shut down', before.ended, options.signal);
    if (code !== REBOOT_CODE) throw new Error(`the guest ended with code ${code} instead of rebooting`);
    tell('systemctl reboot', 'the guest is down', startedMs);
    await boot(deadlineMs);
  }

  async function keepEvidence(folder: string, paths: readonly string[]): Promise<void> {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await copyFile(consoleLog, join(folder, 'console.log')).catch(() => undefined);
    const journal = ['--directory', join(root, 'var/log/journal'), '--no-pager', '--output', 'short-precise'];
    const { stdout, stderr } = await execa('journalctl', journal, { reject: false, timeout: DEADLINE_MS });
    await writeFile(join(folder, 'journal.log'), `${stdout}\n${stderr}\n`);
    for (const path of paths) {
      await copyFile(join(root, path), join(folder, path.replaceAll('/', '_').slice(1))).catch(() => undefined);
    }
  }

  async function remove(): Promise<void> {
    await machine?.switchOff();
    await removeGuest(home);
    // nspawn leaves it where /run is not a tmpfs; one that is in use is not empty
    await rmdir(join('/run/systemd/nspawn/propagate', options.name)).catch(() => undefined);
  }

  function requireRunning(): Machine {
    if (!machine?.isOn()) throw new Error('the guest does not run');
    return machine;
  }

  async function look(argv: Argv, deadlineMs: number, env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    const ended = await inside(argv, env, { stdin: 'ignore', timeout: deadlineMs });
    options.signal.throwIfAborted();
    const outcome = { code: ended.exitCode ?? -1, stdout: ended.stdout, stderr: ended.stderr };
    if (ended.timedOut) throw new Error(`${argv.join(' ')} did not end within ${deadlineMs} ms\n${tail(outcome)}`);
    return outcome;
  }

  function inside(
    argv: Argv,
    env: Readonly<Record<string, string>>,
    how: { stdin: 'ignore' | 'pipe'; timeout?: number },
  ) {
    const variables = Object.entries({ ...ENVIRONMENT, ...env }).map(([key, value]) => `${key}=${value}`);
    const namespaces = ['--target', String(requireRunning().leader), '--mount', '--uts', '--ipc', '--pid'];
    return execa('nsenter', [...namespaces, '--', 'env', '-i', ...variables, ...argv], {
      ...how,
      reject: false,
      stripFinalNewline: false,
      cancelSignal: options.signal,
    });
  }

  /** Asks again and again, as long as the guest runs. */
  async function until<T>(what: string, deadlineMs: number, ask: () => Promise<T | undefined>): Promise<T> {
    const endMs = performance.now() + deadlineMs;
    for (;;) {
      requireRunning();
      const answer = await ask();
      if (answer !== undefined) return answer;
      if (performance.now() > endMs) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
      await delay(POLL_MS, undefined, { signal: options.signal });
    }
  }

  async function statusOf(unit: string): Promise<string> {
    return (await look(['systemctl', 'status', '--no-pager', '--full', unit], DEADLINE_MS)).stdout;
  }

  function tell(what: string, result: string, startedMs: number): void {
    options.log(`${options.name}: ${what}: ${result} (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
  }

  return {
    root,
    shared,
    boot,
    execute,
    succeed: async (argv, given) => (await expectCode(argv, 0, given)).stdout,
    fail: expectCode,
    waitForBoot,
    waitForUnit,
    waitUntilSucceeds,
    hold,
    copyIn: (from, to, mode) => put(to, mode, path => copyFile(from, path)),
    write: (to, content, mode) => put(to, mode, path => writeFile(path, content)),
    reboot,
    keepEvidence,
    [Symbol.asyncDispose]: remove,
  };
}

/** A running systemd-nspawn. */
interface Machine {
  /** The guest's first process, by this machine's numbers. */
  readonly leader: number;
  /** The code with which it ended. */
  readonly ended: Promise<number>;
  isOn(): boolean;
  switchOff(): Promise<void>;
}

async function switchOn(
  { name, seenAs, binds, signal }: ContainerOptions,
  root: string,
  shared: string,
  consoleLog: string,
  deadlineMs: number,
): Promise<Machine> {
  const argv = [
    // a killed test leaves no guest behind: at this signal systemd-nspawn shuts the guest down
    ...['--pdeathsig', 'TERM', 'systemd-nspawn', '--quiet', '--boot', `--directory=${root}`, `--machine=${name}`],
    // works with and without a systemd on this machine
    ...['--register=no', '--keep-unit', '--resolv-conf=copy-host', '--console=pipe', `--bind=${shared}:${seenAs}`],
    ...binds.map(({ from, to, writable }) => `${writable ? '--bind' : '--bind-ro'}=${from}:${to}`),
  ];
  const output = openSync(consoleLog, 'a');
  // a group of its own: Ctrl-C is for the test, which then ends the guest
  const nspawn = spawn('setpriv', argv, { stdio: ['ignore', output, output], detached: true });
  closeSync(output);
  const isOn = () => nspawn.exitCode === null && nspawn.signalCode === null;
  const ended = once(nspawn, 'exit').then(([code]) => (code as number | null) ?? -1);
  try {
    const leader = await within(deadlineMs, 'the first process of the guest', leaderOf(nspawn, isOn, signal), signal);
    const switchOff = async () => {
      // everything in the guest dies with its first process, and systemd-nspawn ends after it
      if (isOn()) process.kill(leader, 'SIGKILL');
      await ended;
    };
    return { leader, ended, isOn, switchOff };
  } catch (cause) {
    nspawn.kill('SIGKILL');
    await ended;
    throw new Error(`the guest does not boot\n${await readFile(consoleLog, 'utf8')}`, { cause });
  }
}

/** The child of systemd-nspawn that is process 1 in a namespace of its own. */
async function leaderOf(nspawn: ChildProcess, isOn: () => boolean, signal: AbortSignal): Promise<number> {
  const children = `/proc/${nspawn.pid}/task/${nspawn.pid}/children`;
  while (isOn()) {
    for (const pid of (await textOf(children)).split(' ').filter(Boolean)) {
      const [, numbers] = /^NSpid:\s*(.+)$/m.exec(await textOf(`/proc/${pid}/status`)) ?? [];
      // before that it is nspawn's own process that still prepares the tree
      if (numbers?.split(/\s+/).at(-1) === '1' && (await textOf(`/proc/${pid}/comm`)).trim() === 'systemd')
        return Number(pid);
    }
    await delay(POLL_MS, undefined, { signal });
  }
  throw new Error('systemd-nspawn has ended');
}

async function within<T>(deadlineMs: number, what: string, wanted: Promise<T>, signal: AbortSignal): Promise<T> {
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

function overlayOf(lower: string, upper: string, work: string): string {
  return `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
}

/** Guests of tests that were killed before they could tidy up. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(CACHE)) {
    const [, pid] = /^guest-(\d+)-/.exec(name) ?? [];
    if (pid && !(await textOf(`/proc/${pid}/comm`))) await removeGuest(join(CACHE, name));
  }
}

async function removeGuest(home: string): Promise<void> {
  const root = join(home, 'root');
  // rm must never go through a mount that is still there, so a failing umount ends it
  if ((await textOf('/proc/self/mounts')).includes(` ${root} `)) await execa('umount', [root]);
  await rm(home, { recursive: true, force: true });
}

function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

function tail({ stdout, stderr, code }: Outcome): string {
  const lines = `${stdout}\n${stderr}`.trimEnd().split('\n').slice(-60);
  return [`exit code ${code}`, ...lines].join('\n');
}
