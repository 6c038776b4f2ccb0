/**
 * A Debian with the real X server and the real nvidia-xconfig, entered by a namespace of its own and never booted. Its PCI bus is a folder
 * that looks like sysfs, which the X server's own library reads: the server sees GPUs wherever a test puts them, and what it makes of a
 * BusID is its own doing. NVIDIA's X driver is not there; `vesa` stands for it where a driver must look for its device.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { execa } from 'execa';
import type { Argv } from '../../../src/change.ts';
import type { Outcome } from '../../../src/guest/guest.ts';
import { CACHE } from '../image.ts';

export const SCREEN_IMAGE = {
  suite: 'bookworm',
  components: ['contrib'],
  packages: ['xserver-xorg-core', 'xserver-xorg-video-dummy', 'xserver-xorg-video-vesa', 'nvidia-xconfig', 'procps'],
};

/** A function of the PCI bus. */
export interface PciFunction {
  readonly address: string;
  readonly vendor: number;
  readonly device: number;
  readonly class: number;
}

export interface Bench {
  put(path: string, text: string): Promise<void>;
  /** undefined: there is no such file, or it is the image's own. */
  read(path: string): Promise<string | undefined>;
  plugIn(functions: readonly PciFunction[]): Promise<void>;
  run(argv: Argv): Promise<Outcome>;
  /** Starts the X server, which ends by itself where it has no device, and is ended where it runs; its log. */
  startX(...options: readonly string[]): Promise<string>;
  [Symbol.asyncDispose](): Promise<void>;
}

const PROJECT = resolve(import.meta.dirname, '../../..');
/** Mounts the bench's own root, with this machine's Node and the built program in it, and becomes a program in there. */
const ENTER = `set -e
image=$1 home=$2 node=$3 program=$4; shift 4
root=$home/root
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$image,upperdir=$home/upper,workdir=$home/work" "$root"
mount -t proc proc "$root/proc"
mount --bind "$home/sys" "$root/sys"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero urandom random; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
mkdir -p "$root/usr/lib/vgpu-guest"
touch "$root/usr/lib/vgpu-guest/node" "$root/usr/lib/vgpu-guest/vgpu-guest.mjs"
mount --bind "$node" "$root/usr/lib/vgpu-guest/node"
mount --bind "$program" "$root/usr/lib/vgpu-guest/vgpu-guest.mjs"
exec chroot "$root" "$@"`;
const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  HOME: '/root',
};
const LIMIT_MS = 180_000;
/** Where the X server finds a device it goes on. */
const X_RUNS_S = '10';
const LOG = '/var/log/Xorg.test.log';

export async function openBench(image: string, signal: AbortSignal): Promise<Bench> {
  const home = await mkdtemp(join(CACHE, `screen-${process.pid}-`));
  const at = (path: string) => join(home, 'upper', path);
  for (const folder of ['root', 'upper', 'work', 'sys/bus/pci/devices'])
    await mkdir(join(home, folder), { recursive: true });

  async function put(path: string, text: string): Promise<void> {
    await mkdir(dirname(at(path)), { recursive: true });
    await writeFile(at(path), text);
  }

  async function plugIn(functions: readonly PciFunction[]): Promise<void> {
    const devices = join(home, 'sys/bus/pci/devices');
    await rm(devices, { recursive: true, force: true });
    for (const plugged of functions) {
      const folder = join(devices, plugged.address);
      await mkdir(folder, { recursive: true });
      for (const [name, content] of Object.entries(sysfsOf(plugged))) await writeFile(join(folder, name), content);
    }
  }

  async function run(argv: Argv): Promise<Outcome> {
    const program = join(PROJECT, 'dist/vgpu-guest.mjs');
    const enter = ['--mount', '--pid', '--net', '--fork', '--kill-child', 'sh', '-c', ENTER, 'sh'];
    const { exitCode, stdout, stderr } = await execa(
      'unshare',
      [...enter, image, home, process.execPath, program, ...argv],
      {
        reject: false,
        stdin: 'ignore',
        env: ENVIRONMENT,
        extendEnv: false,
        timeout: LIMIT_MS,
        cancelSignal: signal,
      },
    );
    signal.throwIfAborted();
    return { code: exitCode ?? 124, stdout, stderr };
  }

  async function startX(...options: readonly string[]): Promise<string> {
    // one that was ended leaves its lock
    for (const left of [LOG, '/tmp/.X1-lock']) await rm(at(left), { force: true });
    const { stderr } = await run([
      'timeout',
      '--signal=KILL',
      X_RUNS_S,
      '/usr/lib/xorg/Xorg',
      ':1',
      // as display managers give it the screen of the guest
      '-seat',
      'seat0',
      '-novtswitch',
      '-nolisten',
      'tcp',
      '-logfile',
      LOG,
      ...options,
    ]);
    const log = await readFile(at(LOG), 'utf8').catch(() => '');
    if (!log.includes('X.Org X Server')) throw new Error(`the X server does not start\n${stderr}`);
    return log;
  }

  return {
    put,
    read: path => readFile(at(path), 'utf8').catch(() => undefined),
    plugIn,
    run,
    startX,
    [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }),
  };
}

/** The program, as a guest has it. */
export const PROGRAM: Argv = ['/usr/lib/vgpu-guest/node', '/usr/lib/vgpu-guest/vgpu-guest.mjs'];

function sysfsOf({ vendor, device, class: kind }: PciFunction): Readonly<Record<string, string | Uint8Array>> {
  const config = Buffer.alloc(256);
  config.writeUInt16LE(vendor, 0);
  config.writeUInt16LE(device, 2);
  config.writeUIntLE(kind, 9, 3);
  const hex = (value: number, digits: number) => `0x${value.toString(16).padStart(digits, '0')}\n`;
  return {
    config,
    vendor: hex(vendor, 4),
    device: hex(device, 4),
    class: hex(kind, 6),
    irq: '0\n',
    boot_vga: '0\n',
    resource: '0x0000000000000000 0x0000000000000000 0x0000000000000000\n'.repeat(13),
  };
}
