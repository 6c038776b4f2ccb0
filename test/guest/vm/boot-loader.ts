import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

/** What a boot loader takes from a guest's /boot, byte for byte. */
export interface Bootable {
  readonly release: string;
  readonly kernel: string;
  readonly initrd: string;
}

const byVersion = new Intl.Collator('en', { numeric: true }).compare;

/**
 * Reads kernel and initrd from the guest's boot disk, as a boot loader does: the newest kernel unless another one is named.
 * Like GRUB it does not replay the file system's journal, so what a power cut left only there does not count.
 */
export async function loadFromBootDisk(disk: string, folder: string, wanted?: string): Promise<Bootable> {
  const { stdout } = await execa('debugfs', ['-R', 'ls -p /', disk]);
  // /inode/mode/uid/gid/name/size/
  const names = stdout.split('\n').flatMap(line => line.split('/')[5] ?? []);
  const kernels = names.filter(name => name.startsWith('vmlinuz-')).map(name => name.slice('vmlinuz-'.length));
  const release = wanted ?? kernels.sort(byVersion).at(-1);
  if (!release || !kernels.includes(release))
    throw new Error(`the boot disk has no kernel ${wanted ?? ''}: ${names.join(' ')}`);
  const image = [`initrd.img-${release}`, `initramfs-${release}.img`, `initrd-${release}`].find(name =>
    names.includes(name),
  );
  if (!image) throw new Error(`the boot disk has no initrd for the kernel ${release}: ${names.join(' ')}`);
  const [kernel, initrd] = [join(folder, 'vmlinuz'), join(folder, 'initrd')];
  await dump(disk, `vmlinuz-${release}`, kernel);
  await dump(disk, image, initrd);
  return { release, kernel, initrd };
}

/** Where the boot protocol of x86 (Documentation/arch/x86/boot.rst) has what counts here. */
const HEADER = { setupSectors: 0x1f1, magic: 0x202, version: 0x206, payloadOffset: 0x248, payloadLength: 0x24c };
const WITH_PAYLOAD = 0x208;
const SECTOR = 512;
const XZ = Buffer.from('fd377a585a00', 'hex');

/**
 * The kernel that lies packed in its own unpacker, which an emulated processor is busy with for some seconds; or as it is, where it is
 * packed in another way, and has to do that itself.
 */
export async function unpack(file: string, folder: string): Promise<string> {
  const image = await readFile(file);
  if (image.toString('latin1', HEADER.magic, HEADER.magic + 4) !== 'HdrS') return file;
  if (image.readUInt16LE(HEADER.version) < WITH_PAYLOAD) return file;
  const start = ((image[HEADER.setupSectors] ?? 0) + 1) * SECTOR + image.readUInt32LE(HEADER.payloadOffset);
  // its last four bytes are how long it will be
  const packed = image.subarray(start, start + image.readUInt32LE(HEADER.payloadLength) - 4);
  if (!packed.subarray(0, XZ.length).equals(XZ)) return file;
  const unpacked = join(folder, 'vmlinux');
  const { stdout } = await execa('xz', ['--decompress', '--stdout'], {
    input: packed,
    encoding: 'buffer',
    maxBuffer: LIMIT,
  });
  await writeFile(unpacked, stdout);
  return unpacked;
}

const LIMIT = 512 * 1024 * 1024;

async function dump(disk: string, name: string, to: string): Promise<void> {
  const { stderr } = await execa('debugfs', ['-R', `dump /${name} ${to}`, disk]);
  // its exit code is 0 whatever happened; the first line is its version
  const said = stderr.split('\n').slice(1).join('\n').trim();
  if (said) throw new Error(`/boot/${name} cannot be read from the boot disk: ${said}`);
}
