import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the container finds its hardware folder. */
export const HARDWARE_MOUNT = '/hardware';
export const GPU_ADDRESS = '0000:06:00.0';

/** Early in the boot the folder's parts are bound over what the shared kernel shows, before any other unit looks. */
const BIND_UNIT = `[Unit]
Description=Kernel and PCI bus of this guest
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/mount --bind ${HARDWARE_MOUNT}/osrelease /proc/sys/kernel/osrelease
ExecStart=/bin/mount --bind ${HARDWARE_MOUNT}/pci /sys/bus/pci/devices
ExecStart=/bin/mount --bind ${HARDWARE_MOUNT}/module /sys/module
ExecStart=/bin/mount --bind ${HARDWARE_MOUNT}/driver /proc/driver
`;
const UNITS = 'usr/lib/systemd/system';

/** The newest kernel that is installed in this root. */
export async function kernelOf(root: string): Promise<string> {
  const kernels = (await readdir(join(root, 'usr/lib/modules'))).sort();
  const newest = kernels.at(-1);
  if (!newest) throw new Error(`no kernel is installed in ${root}`);
  return newest;
}

/** Lets the guest's systemd bind the hardware folder at each boot. */
export async function plugIn(root: string): Promise<void> {
  const wants = join(root, UNITS, 'sysinit.target.wants');
  await mkdir(wants, { recursive: true });
  await writeFile(join(root, UNITS, 'hardware.service'), BIND_UNIT);
  await symlink('../hardware.service', join(wants, 'hardware.service'));
}

/**
 * What this guest's kernel does at boot: one NVIDIA VGA function 10de:2236 (A10) with the vGPU capability; a nouveau that no
 * file of /etc/modprobe.d blacklists takes it; else the module nvidia of this kernel does, when there is one.
 */
export async function powerOn(folder: string, root: string): Promise<void> {
  const kernel = await kernelOf(root);
  const gpu = join(folder, 'pci', GPU_ADDRESS);
  for (const part of ['pci', 'module', 'driver']) {
    await rm(join(folder, part), { recursive: true, force: true });
    await mkdir(join(folder, part), { recursive: true });
  }
  await mkdir(gpu);
  await Promise.all([
    writeFile(join(folder, 'osrelease'), `${kernel}\n`),
    writeFile(join(gpu, 'vendor'), '0x10de\n'),
    writeFile(join(gpu, 'device'), '0x2236\n'),
    writeFile(join(gpu, 'subsystem_vendor'), '0x10de\n'),
    writeFile(join(gpu, 'subsystem_device'), '0x14b9\n'),
    writeFile(join(gpu, 'class'), '0x030000\n'),
    writeFile(join(gpu, 'config'), vgpuConfigurationSpace()),
  ]);

  const nvidia = await nvidiaVersion(join(root, 'usr/lib/modules', kernel));
  const driver = !(await nouveauIsBlacklisted(root)) ? 'nouveau' : nvidia ? 'nvidia' : undefined;
  if (!driver) return;
  await mkdir(join(folder, 'module', driver));
  await symlink(`../../../bus/pci/drivers/${driver}`, join(gpu, 'driver'));
  if (driver === 'nvidia') await loadNvidia(folder, nvidia ?? '');
}

async function loadNvidia(folder: string, version: string): Promise<void> {
  await mkdir(join(folder, 'driver/nvidia'));
  await Promise.all([
    writeFile(join(folder, 'module/nvidia/version'), `${version}\n`),
    writeFile(
      join(folder, 'driver/nvidia/version'),
      `NVRM version: NVIDIA UNIX x86_64 Kernel Module  ${version}  Tue Jan  6 00:00:00 UTC 2026\n`,
    ),
  ]);
}

/** Typed from the PCI specification: vendor, device, a capability list with one vendor-specific entry that begins with VF. */
function vgpuConfigurationSpace(): Buffer {
  const space = Buffer.alloc(256);
  space.writeUInt16LE(0x10de, 0x00);
  space.writeUInt16LE(0x2236, 0x02);
  space.writeUInt16LE(0x0010, 0x06);
  space.writeUInt8(0x03, 0x0b);
  space.writeUInt8(0x40, 0x34);
  Buffer.from([0x09, 0x00, 0x08, 0x56, 0x46]).copy(space, 0x40);
  return space;
}

async function nouveauIsBlacklisted(root: string): Promise<boolean> {
  const folder = join(root, 'etc/modprobe.d');
  const names = await readdir(folder).catch(() => []);
  const texts = await Promise.all(names.filter(name => name.endsWith('.conf')).map(name => readFile(join(folder, name), 'utf8')));
  return texts.some(text => /^\s*blacklist\s+nouveau\s*$/m.test(text));
}

/** The version in the module's own information, undefined when this kernel has no such module. */
async function nvidiaVersion(modules: string): Promise<string | undefined> {
  const names = await readdir(modules, { recursive: true });
  const name = names.find(path => path.endsWith('/nvidia.ko'));
  if (!name) return undefined;
  return /(?:^|\0)version=([^\0]+)/.exec(await readFile(join(modules, name), 'latin1'))?.[1];
}
