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
  /** The kernel that it comes to run. */
  readonly kernel: string;
  readonly start: DirectStart | UefiStart;
  readonly disks: readonly { readonly path: string; readonly format: 'raw' | 'qcow2' }[];
  readonly memoryMiB: number;
  /** The console is written into this file, or it is the terminal of the caller. */
  readonly console: { readonly file: string } | 'terminal';
  /** An emulated VGA beside the GPU. */
  readonly vga?: true;
}

/** QEMU itself is the boot loader. */
interface DirectStart {
  readonly initrd: string;
  readonly append: string;
}

/** A firmware starts what it finds in a folder, which it is shown as a disk, and may ask somebody at the console. */
export interface UefiStart {
  readonly firmware: string;
  /** The firmware's and the guest's. */
  readonly variables: string;
  readonly systemPartition: string;
}

/** Why a machine is off: the guest asked for a reboot, or for power off, or it was cut. */
export type End = 'reset' | 'shutdown' | 'cut';

export interface Qemu {
  readonly agentSocket: string;
  /** What is typed and shown at the console of a machine with a firmware. */
  readonly consoleSocket: string;
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
 * without what a guest loads large modules for that it has no use of, and without a fifth level of page tables to walk.
 */
const TRANSLATED_CPU = arch() === 'arm64' ? 'max' : 'max,-erms,-fsrm,-svm,-la57';
/** Every device of the board's own that is left out is one that an emulated kernel need not probe. */
const BOARD = arch() === 'arm64' ? 'virt' : 'q35,sata=off,smbus=off';
/** A firmware resets the machine by its keyboard controller; a kernel needs none for that. */
const WITHOUT_FIRMWARE = arch() === 'arm64' ? BOARD : `${BOARD},i8042=off`;

/** KVM where it really runs a guest, else QEMU's own translation. */
let accelerator: Promise<readonly string[]> | undefined;

export async function startQemu(machine: Machine, signal: AbortSignal): Promise<Qemu> {
  accelerator ??= chooseAccelerator(machine);
  const [agentSocket, consoleSocket] = [join(machine.folder, 'agent'), join(machine.folder, 'console')];
  const monitor = join(machine.folder, 'monitor');
  const argv = [
    ...(await accelerator),
    ...hardware(machine, { agentSocket, consoleSocket, monitor }),
    ...boot(machine),
  ];
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
    consoleSocket,
    ended,
    isOn,
    cut: async () => {
      stop();
      await ended;
    },
  };
}

interface Sockets {
  readonly agentSocket: string;
  readonly consoleSocket: string;
  readonly monitor: string;
}

function hardware(machine: Machine, { agentSocket, consoleSocket, monitor }: Sockets): readonly string[] {
  const drives = machine.disks.flatMap(({ path, format }, index) => [
    // the host's cache is the disk: what the guest has flushed outlives its power cut, and this machine is not cut
    ...['-drive', `file=${path},format=${format},if=none,id=disk${index},cache=unsafe`],
    // the guest names them in the order of their devices
    ...['-device', `virtio-blk-pci,drive=disk${index}`],
  ]);
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-m', String(machine.memoryMiB), '-smp', '1'],
    ...drives,
    ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net'],
    ...['-device', 'virtio-rng-pci'],
    ...['-device', 'virtio-serial', '-chardev', `socket,id=agent,path=${agentSocket},server=on,wait=off`],
    ...['-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0'],
    ...['-chardev', `${consoleOf(machine, consoleSocket)},id=console`, '-serial', 'chardev:console'],
    ...['-qmp', `unix:${monitor},server=on,wait=off`],
    ...(machine.vga ? ['-device', 'VGA'] : []),
  ];
}

function boot({ kernel, start }: Machine): readonly string[] {
  if ('append' in start) {
    const { initrd, append } = start;
    return ['-machine', WITHOUT_FIRMWARE, '-kernel', kernel, '-initrd', initrd, '-append', append];
  }
  const { firmware, variables, systemPartition } = start;
  return [
    ...['-machine', BOARD],
    ...['-drive', `if=pflash,unit=0,format=raw,file=${firmware},readonly=on`],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${variables},cache=unsafe`],
    // what the firmware protects is changed by the firmware alone
    ...['-global', 'driver=cfi.pflash01,property=secure,value=on'],
    ...['-blockdev', `driver=vvfat,node-name=esp,dir=${systemPartition},read-only=on`],
    ...['-device', 'virtio-blk-pci,drive=esp,bootindex=0'],
  ];
}

function consoleOf({ console, start }: Machine, socket: string): string {
  if (console === 'terminal') return 'stdio,signal=off';
  if ('append' in start) return `file,path=${console.file},append=on`;
  return `socket,path=${socket},server=on,wait=off,logfile=${console.file},logappend=on`;
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
  const translated = ['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', TRANSLATED_CPU];
  const native = ['-accel', 'kvm', '-cpu', 'host'];
  return (await exists('/dev/kvm')) && (await boots([...emulator, '-machine', BOARD, ...native], kernel))
    ? native
    : translated;
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
