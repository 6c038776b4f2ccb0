import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { arch } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../real-guest.ts';

/** A virtual machine to be started. */
export interface Machine {
  /** How QEMU is called. */
  readonly emulator: readonly string[];
  /** Where its sockets lie. */
  readonly folder: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly append: string;
  readonly disks: readonly { readonly path: string; readonly format: 'raw' | 'qcow2' }[];
  readonly memoryMiB: number;
  /** The console is written into this file, or it is the terminal of the caller. */
  readonly console: { readonly file: string } | 'terminal';
  /** An emulated VGA beside the GPU. */
  readonly vga?: true;
}

/** Why a machine is off: the guest asked for a reboot, or for power off, or it was cut. */
export type End = 'reset' | 'shutdown' | 'cut';

export interface Qemu {
  readonly agentSocket: string;
  readonly ended: Promise<End>;
  isOn(): boolean;
  /** The power goes. */
  cut(): Promise<void>;
}

/** What the virtual machines and their disks are made with. */
export const VM_PROGRAMS = [
  ...['mmdebstrap', 'systemd-nspawn', 'setpriv', 'qemu-img', 'mke2fs', 'debugfs', 'dpkg-deb'],
  ...['strip', 'make', 'gcc', 'openssl', 'xz'],
];

const SOCKET_LIMIT_MS = 60_000;
/** A kernel that KVM runs has said its name long before. */
const KVM_LIMIT_MS = 10_000;

/**
 * Without the long string instructions, which the kernel copies memory with where it sees them, and which QEMU translates byte by byte;
 * and without what a guest loads large modules for that it has no use of.
 */
const TRANSLATED_CPU = arch() === 'arm64' ? 'max' : 'max,-erms,-fsrm,-svm';
/** Every device of the board's own that is left out is one that an emulated kernel need not probe. */
const BOARD = arch() === 'arm64' ? 'virt' : 'q35,sata=off,smbus=off,i8042=off';

/** KVM where it really runs a guest, else QEMU's own translation. */
let accelerator: Promise<readonly string[]> | undefined;

export async function startQemu(machine: Machine, signal: AbortSignal): Promise<Qemu> {
  accelerator ??= chooseAccelerator(machine);
  const [agentSocket, monitor] = [join(machine.folder, 'agent'), join(machine.folder, 'monitor')];
  const argv = [...(await accelerator), ...hardware(machine, agentSocket, monitor)];
  const onTerminal = machine.console === 'terminal';
  // a group of its own: Ctrl-C is for the test, which then ends the guest
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...machine.emulator, ...argv], {
    stdio: onTerminal ? 'inherit' : ['ignore', 'ignore', 'pipe'],
    detached: !onTerminal,
  });
  let complaint = '';
  child.stderr?.on('data', data => {
    complaint += data;
  });
  const isOn = () => child.exitCode === null && child.signalCode === null;
  const exited = once(child, 'exit');
  let reason: End = 'cut';
  const stop = () => child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  const ended = exited.then(() => {
    signal.removeEventListener('abort', stop);
    return reason;
  });
  try {
    await until('QEMU to open its monitor', SOCKET_LIMIT_MS, signal, async () => {
      if (!isOn()) throw new Error(`QEMU has ended: ${complaint}`);
      return (await exists(monitor)) && (await exists(agentSocket)) ? true : undefined;
    });
    await watchMonitor(monitor, why => {
      reason = why;
    });
  } catch (error) {
    stop();
    throw error;
  }
  return {
    agentSocket,
    ended,
    isOn,
    cut: async () => {
      stop();
      await ended;
    },
  };
}

function hardware(machine: Machine, agentSocket: string, monitor: string): readonly string[] {
  const drives = machine.disks.flatMap(({ path, format }) => [
    '-drive',
    // the host's cache is the disk: what the guest has flushed outlives its power cut, and this machine is not cut
    `file=${path},format=${format},if=virtio,cache=unsafe`,
  ]);
  const output = machine.console === 'terminal' ? 'stdio,signal=off' : `file,path=${machine.console.file},append=on`;
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-m', String(machine.memoryMiB), '-smp', '1'],
    ...['-kernel', machine.kernel, '-initrd', machine.initrd, '-append', machine.append],
    ...drives,
    ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net'],
    ...['-device', 'virtio-rng-pci'],
    ...['-device', 'virtio-serial', '-chardev', `socket,id=agent,path=${agentSocket},server=on,wait=off`],
    ...['-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0'],
    ...['-chardev', `${output},id=console`, '-serial', 'chardev:console'],
    ...['-qmp', `unix:${monitor},server=on,wait=off`],
    ...(machine.vga ? ['-device', 'VGA'] : []),
  ];
}

/** Speaks QMP just enough to hear why the guest is off. */
async function watchMonitor(path: string, tell: (why: End) => void): Promise<void> {
  const socket = connect(path);
  await once(socket, 'connect');
  // QEMU's end resets it
  socket.on('error', () => undefined);
  socket.write('{"execute":"qmp_capabilities"}\n');
  let text = '';
  socket.on('data', data => {
    text += data;
    const [, reason] = /"SHUTDOWN".*?"reason": "([a-z-]+)"/.exec(text) ?? [];
    if (reason) tell(reason === 'guest-reset' ? 'reset' : 'shutdown');
  });
}

async function chooseAccelerator({ emulator, kernel }: Machine): Promise<readonly string[]> {
  const translated = ['-machine', BOARD, '-accel', 'tcg,thread=multi,tb-size=512', '-cpu', TRANSLATED_CPU];
  const native = ['-machine', BOARD, '-accel', 'kvm', '-cpu', 'host'];
  return (await exists('/dev/kvm')) && (await boots([...emulator, ...native], kernel)) ? native : translated;
}

async function boots([program = '', ...argv]: readonly string[], kernel: string): Promise<boolean> {
  const rest = ['-nodefaults', '-display', 'none', '-serial', 'stdio', '-m', '256', '-no-reboot', '-kernel', kernel];
  const child = spawn(program, [...argv, ...rest, '-append', 'console=ttyS0 panic=-1'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    return await Promise.race([spoken(child), delay(KVM_LIMIT_MS, false)]);
  } finally {
    child.kill('SIGKILL');
  }
}

async function spoken({ stdout }: ChildProcess): Promise<boolean> {
  let text = '';
  for await (const chunk of stdout ?? []) {
    text += chunk;
    if (text.includes('Linux version')) return true;
  }
  return false;
}

/** The last lines of a console. */
export async function tailOfConsole(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').slice(-40).join('\n');
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
