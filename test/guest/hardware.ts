import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { configurationSpace } from '../helpers/folder-guest.ts';

/** Where the guest finds its hardware folder. */
export const HARDWARE = '/hardware';

/** Lets the stand-in daemon play its license service by itself, for guests on which something else is tried. */
export const GRANTING_SERVICE = ['/var/lib/stubs/license-service', 'answer=grant\n'] as const;

/** Early in the boot the folder's parts are bound over what the shared kernel shows, before any other unit looks. */
const UNIT = `[Unit]
Description=Kernel and PCI bus of this guest
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/mount --bind ${HARDWARE}/osrelease /proc/sys/kernel/osrelease
ExecStart=/bin/mount --bind ${HARDWARE}/pci /sys/bus/pci/devices
ExecStart=/bin/mount --bind ${HARDWARE}/module /sys/module
ExecStart=/bin/mount --bind ${HARDWARE}/driver /proc/driver
ExecStart=/bin/sh ${HARDWARE}/load-nvidia
`;
/**
 * udev loads the module nvidia by its alias; here it is loaded as the stand-in driver does it, when this kernel has one. SUSE's
 * modprobe and udev load no module that SUSE does not support where modprobe.d says so: a file of /etc masks its namesake, the last
 * line counts.
 */
const LOAD_NVIDIA = `allowed=$(
  for file in /etc/modprobe.d/*.conf /usr/lib/modprobe.d/*.conf; do
    [ ! -e "$file" ] || echo "\${file##*/} $file"
  done | sort -s -k 1,1 | awk '!masked[$1]++ { print $2 }' | while read -r file; do
    sed -n 's/^[[:blank:]]*allow_unsupported_modules[[:blank:]]*//p' "$file"
  done | tail -n 1
)
[ "$allowed" != 0 ] || exit 0
version=$(modinfo -k "$(cat /proc/sys/kernel/osrelease)" -F version nvidia) || exit 0
. "/usr/src/nvidia-$version/load-module.sh"
load_nvidia '' "$version" proprietary || exit 0
`;
const UNITS = 'usr/lib/systemd/system';
const GPU = '0000:06:00.0';

/** The newest kernel that is installed in this root. */
export async function kernelOf(root: string): Promise<string> {
  const newest = (await readdir(join(root, 'usr/lib/modules'))).sort().at(-1);
  if (!newest) throw new Error(`no kernel is installed in ${root}`);
  return newest;
}

/** Lets the guest's systemd bind the hardware folder at each boot. */
export async function plugIn(root: string): Promise<void> {
  const wants = join(root, UNITS, 'sysinit.target.wants');
  await mkdir(wants, { recursive: true });
  await writeFile(join(root, UNITS, 'hardware.service'), UNIT);
  await symlink('../hardware.service', join(wants, 'hardware.service'));
}

/** The hardware before a boot: one vGPU of an A10, which a nouveau takes that no file of /etc/modprobe.d blacklists. */
export async function powerOn(folder: string, root: string): Promise<void> {
  const gpu = join(folder, 'pci', GPU);
  for (const part of ['pci', 'module', 'driver']) {
    await rm(join(folder, part), { recursive: true, force: true });
    await mkdir(join(folder, part));
  }
  await mkdir(gpu);
  await Promise.all([
    writeFile(join(folder, 'osrelease'), `${await kernelOf(root)}\n`),
    writeFile(join(folder, 'load-nvidia'), LOAD_NVIDIA),
    writeFile(join(gpu, 'vendor'), '0x10de\n'),
    writeFile(join(gpu, 'device'), '0x2236\n'),
    writeFile(join(gpu, 'class'), '0x030000\n'),
    // dracut puts the drivers of these into images that are for this guest alone
    writeFile(join(gpu, 'modalias'), 'pci:v000010DEd00002236sv000010DEsd0000147Ebc03sc00i00\n'),
    writeFile(join(gpu, 'config'), configurationSpace('vgpu')),
  ]);
  if (await isNouveauBlacklisted(root)) return;
  await mkdir(join(folder, 'module/nouveau'));
  await symlink('../../../../bus/pci/drivers/nouveau', join(gpu, 'driver'));
}

async function isNouveauBlacklisted(root: string): Promise<boolean> {
  const folder = join(root, 'etc/modprobe.d');
  const names = (await readdir(folder)).filter(name => name.endsWith('.conf'));
  const texts = await Promise.all(names.map(name => readFile(join(folder, name), 'utf8')));
  return texts.some(text => /^\s*blacklist\s+nouveau\s*$/m.test(text));
}
