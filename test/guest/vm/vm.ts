import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Argv } from '../../../src/change.ts';
import type { Outcome } from '../../../src/guest/guest.ts';
import { CACHE } from '../image.ts';
import { createVerbs, type RealGuest, tail, tellOf, within } from '../real-guest.ts';
import { type Agent, connectAgent } from './agent.ts';
import { type Bootable, loadFromBootDisk, unpack } from './boot-loader.ts';
import { type Answer, answerAtConsole } from './console.ts';
import type { Disks } from './disks.ts';
import { openFirmware } from './firmware.ts';
import { type End, type Qemu, startQemu, tailOfConsole } from './qemu.ts';

/** A guest in a virtual machine. */
export interface Vm extends RealGuest {
  /** Waits for the guest to be off, however long that takes, and says why it is. */
  waitForEnd(): Promise<End>;
  /** Waits until the guest reboots by itself, and boots it again. */
  waitForReboot(deadlineMs?: number): Promise<void>;
  /** Reboots into what asks at the console before any kernel, answers it, and boots again when it has had its answers. */
  rebootAndAnswer(answers: readonly Answer[]): Promise<void>;
  /** Starts a program and returns how it will end. */
  start(argv: Argv): Promise<{ ended(deadlineMs: number): Promise<Outcome> }>;
  isOn(): boolean;
  /** The guest shuts down and stays off. */
  powerOff(deadlineMs?: number): Promise<void>;
  /** Keeps the disks of a guest that is off under a name, or brings kept ones back. */
  keepDisks(mark: string): Promise<void>;
  bringBackDisks(mark: string): Promise<void>;
  /** The kernel that the boot loader takes from now on; the newest one unless it is named. */
  chooseKernel(release: string | undefined): void;
  /** Words on the kernel's command line from the next boot on. */
  appendToKernel(words: readonly string[]): void;
}

export interface VmOptions {
  readonly name: string;
  readonly disks: Disks;
  /** As the kernel module of the GPU reads them: domain:bus:device.function/vendor:device/class/vgpu|plain. */
  readonly gpus: readonly string[];
  readonly vga?: true;
  /** A firmware with Secure Boot, to which the bed's own kernel module is known, starts Debian's boot loaders. */
  readonly secureBoot?: true;
  /** Words on the kernel's command line; later ones win. */
  readonly append?: readonly string[];
  /** The guest's console is the terminal of the caller, and not a file. */
  readonly onTerminal?: true;
  readonly log: (line: string) => void;
  /** Ends whatever is being waited for. */
  readonly signal: AbortSignal;
}

/** One emulated processor takes its time; what hangs takes longer. */
const DEADLINE_MS = 180_000;
const BOOT_LIMIT_MS = 600_000;
const MEMORY_MIB = 1536;

/** A guest made from disks, not booted yet. */
export async function createVm(options: VmOptions): Promise<Vm> {
  await removeLeftovers();
  const home = await mkdtemp(join(CACHE, `vm-${process.pid}-`));
  const at = (name: string) => join(home, name);
  const [root, boot, consoleLog] = [at('root.qcow2'), at('boot.ext4'), at('console.log')];
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', options.disks.root, '-F', 'raw', root]);
  await execa('cp', ['--sparse=always', options.disks.boot, boot]);
  const { name, log, signal } = options;
  const firmware = options.secureBoot ? await openFirmware(log, signal) : undefined;
  await firmware?.makeVariables(at('variables'), options.disks.certificate);
  const tell = tellOf(options);
  const verbs = createVerbs({ name, deadlineMs: DEADLINE_MS, look, log, signal });
  let words: readonly string[] = options.append ?? [];
  let release: string | undefined;
  // the machine is on some time before its agent answers
  let machine: Qemu | undefined;
  let agent: Agent | undefined;

  async function prepare(taken: Bootable) {
    const append = commandLine(options.gpus, words);
    if (!firmware) return { kernel: await unpack(taken.kernel, home), start: { initrd: taken.initrd, append } };
    await firmware.fillSystemPartition(at('esp'), taken, append);
    return { kernel: taken.kernel, start: firmware.start(at('variables'), at('esp')) };
  }

  async function powerOn(taken: Bootable): Promise<Qemu> {
    await Promise.all(['agent', 'monitor', 'console'].map(socket => rm(at(socket), { force: true })));
    const hardware = {
      emulator: options.disks.emulator,
      folder: home,
      ...(await prepare(taken)),
      disks: [
        { path: root, format: 'qcow2' as const },
        { path: boot, format: 'raw' as const },
      ],
      memoryMiB: MEMORY_MIB,
      console: options.onTerminal ? ('terminal' as const) : { file: consoleLog },
      ...(options.vga ? { vga: true as const } : {}),
    };
    machine = await startQemu(hardware, signal);
    agent = undefined;
    return machine;
  }

  async function start(deadlineMs = BOOT_LIMIT_MS): Promise<void> {
    const startedMs = performance.now();
    const taken = await loadFromBootDisk(boot, home, release);
    const qemu = await powerOn(taken);
    try {
      const early = qemu.ended.then(end => {
        throw new Error(`the guest is off again (${end})`);
      });
      early.catch(() => undefined);
      const answering = await Promise.race([connectAgent(qemu.agentSocket, deadlineMs, signal), early]);
      agent = answering;
      void qemu.ended.then(() => answering.close());
      await verbs.waitForUnit('basic.target', deadlineMs);
    } catch (cause) {
      await qemu.cut();
      throw new Error(`the guest does not boot\n${await tailOfConsole(consoleLog)}`, { cause });
    }
    tell('boot', `${taken.release} has reached basic.target`, startedMs);
  }

  async function look(argv: Argv, deadlineMs: number, env: Readonly<Record<string, string>>): Promise<Outcome> {
    const outcome = await requireAgent().look(argv, deadlineMs, env);
    signal.throwIfAborted();
    return outcome;
  }

  function isOn(): boolean {
    return machine?.isOn() === true;
  }

  function requireMachineOn(): Qemu {
    if (!machine?.isOn()) throw new Error('the guest is off');
    return machine;
  }

  function requireAgent(): Agent {
    requireMachineOn();
    if (!agent) throw new Error('the guest does not answer yet');
    return agent;
  }

  async function waitForReset(deadlineMs: number): Promise<void> {
    const startedMs = performance.now();
    const end = await within(deadlineMs, 'the guest to reboot', requireMachineOn().ended, signal);
    if (end !== 'reset') throw new Error(`the guest did not reboot: ${end}\n${await tailOfConsole(consoleLog)}`);
    tell('reboot', 'the guest is down', startedMs);
  }

  async function waitForReboot(deadlineMs = BOOT_LIMIT_MS): Promise<void> {
    await waitForReset(deadlineMs);
    await start();
  }

  async function askForReboot(): Promise<void> {
    // the shutdown may be faster than the answer
    await look(['systemctl', 'reboot'], DEADLINE_MS, {}).catch(() => signal.throwIfAborted());
  }

  async function reboot(deadlineMs = BOOT_LIMIT_MS): Promise<void> {
    await askForReboot();
    await waitForReboot(deadlineMs);
  }

  async function rebootAndAnswer(answers: readonly Answer[]): Promise<void> {
    await askForReboot();
    await waitForReset(BOOT_LIMIT_MS);
    const startedMs = performance.now();
    const { consoleSocket } = await powerOn(await loadFromBootDisk(boot, home, release));
    await answerAtConsole(consoleSocket, answers, signal);
    tell('console', 'all is answered', startedMs);
    await waitForReboot();
  }

  async function powerOff(deadlineMs = BOOT_LIMIT_MS): Promise<void> {
    const startedMs = performance.now();
    const { ended } = requireMachineOn();
    await look(['systemctl', 'poweroff'], DEADLINE_MS, {}).catch(() => signal.throwIfAborted());
    const end = await within(deadlineMs, 'the guest to power off', ended, signal);
    if (end !== 'shutdown') throw new Error(`the guest did not power off: ${end}`);
    tell('systemctl poweroff', 'the guest is off', startedMs);
  }

  async function copyDisks(from: string, to: string): Promise<void> {
    if (isOn()) throw new Error('the disks of a guest that runs are not copied');
    const kept = [root, boot, ...(firmware ? [at('variables')] : [])];
    for (const disk of kept) await execa('cp', ['--sparse=always', `${disk}${from}`, `${disk}${to}`]);
  }

  async function crash(): Promise<void> {
    await requireMachineOn().cut();
    tell('crash', 'the power is off', performance.now());
  }

  async function write(to: string, content: string | Uint8Array, mode: number): Promise<void> {
    await verbs.succeed(['mkdir', '-p', to.slice(0, to.lastIndexOf('/')) || '/']);
    await requireAgent().write(to, Buffer.from(content));
    await verbs.succeed(['chmod', mode.toString(8), to]);
  }

  async function keepEvidence(folder: string, paths: readonly string[]): Promise<void> {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await copyFile(consoleLog, join(folder, 'console.log')).catch(() => undefined);
    if (!isOn()) return;
    const journal = await look(['journalctl', '--no-pager', '--output', 'short-precise'], DEADLINE_MS, {}).catch(
      String,
    );
    await writeFile(join(folder, 'journal.log'), typeof journal === 'string' ? journal : tail(journal));
    for (const path of paths) {
      const { stdout } = await look(['cat', path], DEADLINE_MS, {}).catch(() => ({ stdout: '' }));
      await writeFile(join(folder, path.replaceAll('/', '_').slice(1)), stdout);
    }
  }

  return {
    ...verbs,
    boot: start,
    start: argv => requireAgent().start(argv),
    copyIn: async (from, to, mode) => write(to, await readFile(from), mode),
    write,
    reboot,
    waitForReboot,
    rebootAndAnswer,
    waitForEnd: () => requireMachineOn().ended,
    crash,
    isOn,
    powerOff,
    keepDisks: mark => copyDisks('', `.${mark}`),
    bringBackDisks: mark => copyDisks(`.${mark}`, ''),
    chooseKernel: wanted => {
      release = wanted;
    },
    appendToKernel: given => {
      words = given;
    },
    keepEvidence,
    [Symbol.asyncDispose]: async () => {
      if (machine?.isOn()) await machine.cut();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** What the boot loader tells the kernel of a guest with these GPUs. */
function commandLine(gpus: readonly string[], more: readonly string[] = []): string {
  // no_timer_check: on a busy machine an emulated clock may stand still for longer than a kernel waits for it
  const usual = ['console=ttyS0', 'root=/dev/vda', 'rw', 'mitigations=off', 'no_timer_check'];
  return [...usual, `silicon.gpus=${gpus.join(',')}`, ...more].join(' ');
}

/** Guests of tests that were killed before they could tidy up. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(CACHE)) {
    const [, pid] = /^vm-(\d+)-/.exec(name) ?? [];
    if (pid && !(await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => ''))) {
      await rm(join(CACHE, name), { recursive: true, force: true });
    }
  }
}
