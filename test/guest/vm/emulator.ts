import { arch } from 'node:os';
import { join } from 'node:path';
import { type ImageList, openImage } from '../image.ts';

/** A newer QEMU than the guests' distribution has: it translates their code in three quarters of the time. */
const LIST: ImageList = {
  suite: 'trixie',
  packages: [arch() === 'arm64' ? 'qemu-system-arm' : 'qemu-system-x86'],
  unpacked: true,
};
const [MACHINE, LOADER, LIBRARIES] =
  arch() === 'arm64'
    ? ['aarch64', 'usr/lib/ld-linux-aarch64.so.1', 'usr/lib/aarch64-linux-gnu']
    : ['x86_64', 'usr/lib64/ld-linux-x86-64.so.2', 'usr/lib/x86_64-linux-gnu'];

/** How QEMU is called, with the libraries and the firmware that it was built with. */
export async function openEmulator(
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<readonly [string, ...string[]]> {
  const root = await openImage(LIST, log, signal);
  const firmware = ['qemu', 'seabios'].flatMap(name => ['-L', join(root, 'usr/share', name)]);
  const program = join(root, `usr/bin/qemu-system-${MACHINE}`);
  return [join(root, LOADER), '--library-path', join(root, LIBRARIES), program, ...firmware];
}
