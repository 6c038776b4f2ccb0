import { arch } from 'node:os';
import { join } from 'node:path';
import { type ImageList, openImage } from '../image.ts';
import { callUnpacked } from './unpacked.ts';

/** A newer QEMU than the guests' distribution has: it translates their code in three quarters of the time. */
const LIST: ImageList = {
  suite: 'trixie',
  packages: [arch() === 'arm64' ? 'qemu-system-arm' : 'qemu-system-x86'],
  unpacked: true,
};
const MACHINE = arch() === 'arm64' ? 'aarch64' : 'x86_64';

/** How QEMU is called, with the libraries and the firmware that it was built with. */
export async function openEmulator(
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<readonly [string, ...string[]]> {
  const root = await openImage(LIST, log, signal);
  const firmware = ['qemu', 'seabios'].flatMap(name => ['-L', join(root, 'usr/share', name)]);
  return callUnpacked(root, `usr/bin/qemu-system-${MACHINE}`, ...firmware);
}
