import { arch } from 'node:os';
import { join } from 'node:path';

const [LOADER, LIBRARIES] =
  arch() === 'arm64'
    ? ['usr/lib/ld-linux-aarch64.so.1', 'usr/lib/aarch64-linux-gnu']
    : ['usr/lib64/ld-linux-x86-64.so.2', 'usr/lib/x86_64-linux-gnu'];

/** How a program of an image that is only unpacked is called from outside of it, with the libraries that it was built with. */
export function callUnpacked(root: string, program: string, ...args: readonly string[]): [string, ...string[]] {
  return [join(root, LOADER), '--library-path', join(root, LIBRARIES), join(root, program), ...args];
}
