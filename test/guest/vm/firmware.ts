import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { arch } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { type ImageList, openImage } from '../image.ts';
import { NotRun } from '../not-run.ts';
import type { Bootable } from './boot-loader.ts';
import type { UefiStart } from './qemu.ts';
import { callUnpacked } from './unpacked.ts';

/** A machine with Secure Boot: Microsoft's key lets shim start, Debian's key in it GRUB and the kernel, and its list the modules. */
export interface Firmware {
  /** Its variables before the first boot, in which shim's list has one certificate (DER). */
  makeVariables(file: string, certificate: string): Promise<void>;
  /** What is started next: shim, GRUB, and what that is to start. */
  fillSystemPartition(folder: string, next: Bootable, append: string): Promise<void>;
  start(variables: string, systemPartition: string): UefiStart;
}

const LIST: ImageList = {
  suite: 'trixie',
  packages: ['ovmf', 'shim-signed', 'grub-efi-amd64-signed', 'python3-virt-firmware'],
  unpacked: true,
};
/** In whose name shim's own tools enter keys. */
const SHIM = '605dab50-e046-4300-abb6-3dd810dd8b23';
/** Where the firmware looks on a disk that it does not know, and shim beside itself. */
const LOADERS = {
  'EFI/BOOT/BOOTX64.EFI': 'usr/lib/shim/shimx64.efi.signed',
  'EFI/BOOT/mmx64.efi': 'usr/lib/shim/mmx64.efi.signed',
  'EFI/BOOT/grubx64.efi': 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed',
};
/** Where Debian's signed GRUB looks. */
const GRUB_CONFIGURATION = 'EFI/debian/grub.cfg';

export async function openFirmware(log: (line: string) => void, signal: AbortSignal): Promise<Firmware> {
  if (arch() !== 'x64') throw new NotRun('Secure Boot is played on x86-64 alone');
  const root = await openImage(LIST, log, signal);
  const at = (name: string) => join(root, name);

  async function makeVariables(file: string, certificate: string): Promise<void> {
    const pem = `${file}.pem`;
    await execa('openssl', ['x509', '-inform', 'DER', '-in', certificate, '-out', pem]);
    const [program, ...argv] = callUnpacked(root, 'usr/bin/python3', at('usr/bin/virt-fw-vars'));
    const template = at('usr/share/OVMF/OVMF_VARS_4M.ms.fd');
    await execa(program, [...argv, '--input', template, '--output', file, '--add-mok', SHIM, pem], {
      env: { PYTHONHOME: at('usr'), PYTHONPATH: at('usr/lib/python3/dist-packages'), PYTHONDONTWRITEBYTECODE: '1' },
      cancelSignal: signal,
    });
  }

  async function fillSystemPartition(folder: string, next: Bootable, append: string): Promise<void> {
    await rm(folder, { recursive: true, force: true });
    for (const path of ['EFI/BOOT', 'EFI/debian']) await mkdir(join(folder, path), { recursive: true });
    for (const [to, from] of Object.entries(LOADERS)) await copyFile(at(from), join(folder, to));
    await copyFile(next.kernel, join(folder, 'vmlinuz'));
    await copyFile(next.initrd, join(folder, 'initrd'));
    await writeFile(join(folder, GRUB_CONFIGURATION), `linux /vmlinuz ${append}\ninitrd /initrd\nboot\n`);
  }

  return {
    makeVariables,
    fillSystemPartition,
    start: (variables, systemPartition) => ({
      firmware: at('usr/share/OVMF/OVMF_CODE_4M.ms.fd'),
      variables,
      systemPartition,
    }),
  };
}
