import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { freemem } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import type { Argv } from '../../src/change.ts';
import type { Outcome } from '../../src/guest/guest.ts';
import { makeGroup, removeGroup } from './control-group.ts';
import { CACHE } from './image.ts';
import { createVerbs, type RealGuest, tail, tellOf, within } from './real-guest.ts';

/** A guest in a container with its own systemd. */
export interface Container extends RealGuest {
  /** The guest's tree as this machine sees it. */
  readonly root: string;
  /** The folder that the guest sees as `seenAs`; it outlives reboots. */
  readonly shared: string;
  /** A program that goes on until it is released, which closes its standard input; returns once it has printed something. */
  hold(argv: Argv, deadlineMs?: number): Promise<{ release(): Promise<void> }>;
  /** The guest shuts down and stays off. */
  powerOff(deadlineMs?: number): Promise<void>;
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
const DEADLINE_MS = 120_000;
const POLL_MS = 100;
/** Where this much is free, guests are kept in memory: package managers wait for the disk after every file. */
const MEMORY_BYTES = 8 * 1024 ** 3;
/** systemd-nspawn(1), --keep-unit: a container that asks for a reboot ends with this code. */
const REBOOT_CODE = 133;
/** Enters control groups, and becomes the program behind them. */
const JOIN_AND_BECOME = 'while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift; exec "$@"';
const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  HOME: '/root',
};

/** A guest made from an image, not booted yet. */
export async function createContainer(options: ContainerOptions): Promise<Container> {
  await removeLeftovers();
  const home = await mkdtemp(join(CACHE, `guest-${process.pid}-`));
  if (freemem() > MEMORY_BYTES) await execa('mount', ['-t', 'tmpfs', '-o', 'mode=0700', 'tmpfs', home]);
  const at = (name: string) => join(home, name);
  const [root, shared, consoleLog] = [at('root'), at('shared'), at('console.log')];
  await Promise.all([root, shared, at('layer'), at('work')].map(folder => mkdir(folder)));
  await execa('mount', ['-t', 'overlay', 'overlay', '-o', overlayOf(options.image, at('layer'), at('work')), root]);
  let machine: Machine | undefined;
  const { name, log, signal } = options;
  const tell = tellOf(options);
  const verbs = createVerbs({ name, deadlineMs: DEADLINE_MS, look, log, signal });

  async function boot(deadlineMs = DEADLINE_MS): Promise<void> {
    const startedMs = performance.now();
    await options.powerOn(shared, root);
    machine = await switchOn(options, root, shared, consoleLog, deadlineMs);
    await verbs.waitForUnit('basic.target', deadlineMs);
    tell('boot', 'basic.target is reached', startedMs);
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
    await look(['systemctl', 'reboot'], deadlineMs, {}).catch(() => options.signal.throwIfAborted());
    const code = await within(deadlineMs, 'the guest to shut down', before.ended, options.signal);
    if (code !== REBOOT_CODE) throw new Error(`the guest ended with code ${code} instead of rebooting`);
    tell('systemctl reboot', 'the guest is down', startedMs);
    await boot(deadlineMs);
  }

  async function powerOff(deadlineMs = DEADLINE_MS): Promise<void> {
    const startedMs = performance.now();
    const before = requireRunning();
    // the shutdown may be faster than the answer
    await look(['systemctl', 'poweroff'], deadlineMs, {}).catch(() => options.signal.throwIfAborted());
    const code = await within(deadlineMs, 'the guest to shut down', before.ended, options.signal);
    if (code !== 0) throw new Error(`the guest ended with code ${code} instead of powering off`);
    tell('systemctl poweroff', 'the guest is off', startedMs);
  }

  async function crash(): Promise<void> {
    await requireRunning().switchOff();
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

  async function look(argv: Argv, deadlineMs: number, env: Readonly<Record<string, string>>): Promise<Outcome> {
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

  return {
    root,
    shared,
    boot,
    ...verbs,
    hold,
    copyIn: (from, to, mode) => put(to, mode, path => copyFile(from, path)),
    write: (to, content, mode) => put(to, mode, path => writeFile(path, content)),
    reboot,
    powerOff,
    crash,
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
  const groups = await makeGroup(name);
  const start = ['-c', JOIN_AND_BECOME, 'sh', ...groups, '--', 'setpriv', ...argv];
  // a process group of its own: Ctrl-C is for the test, which then ends the guest
  const nspawn = spawn('sh', start, { stdio: ['ignore', output, output], detached: true });
  closeSync(output);
  const isOn = () => nspawn.exitCode === null && nspawn.signalCode === null;
  const ended = once(nspawn, 'exit').then(([code]) => (code as number | null) ?? -1);
  try {
    const leader = await within(deadlineMs, 'the first process of the guest', leaderOf(nspawn, isOn, signal), signal);
    const switchOff = async () => {
      // everything in the guest dies with its first process, and systemd-nspawn ends after it
      if (isOn()) process.kill(leader, 'SIGKILL');
      await ended;
      await removeGroup(name);
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
  for (const folder of [root, home]) {
    if ((await textOf('/proc/self/mounts')).includes(` ${folder} `)) await execa('umount', [folder]);
  }
  await rm(home, { recursive: true, force: true });
}

function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
