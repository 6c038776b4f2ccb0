import type { Look } from '../facts/facts.ts';
import type { Enactable } from './enact.ts';

/** After these deeds everything is looked at anew, but for what none of them can have changed. */
export function lookAgain(look: Look, done: readonly Enactable[]): Look {
  return look.again(done.every(leavesModules) ? ABOUT_MODULES : []);
}

/** They take the longest to look at: DKMS compares the modules of every kernel, and package managers open their databases. */
const ABOUT_MODULES = ['dkms', 'dkmsStatus', 'kernels', 'prerequisites', 'secureBoot'] as const;

/** No kernel, no module, no package and no key is another one after it. */
function leavesModules({ kind }: Enactable): boolean {
  switch (kind) {
    case 'write':
    case 'copy-secret':
    case 'fetch-token':
    case 'fetch-package':
    case 'move':
    case 'set-mode':
    case 'rebuild-initrd':
    case 'end-install':
    case 'render-xorg':
    case 'add-unit':
    case 'service':
    case 'await-license':
    case 'set-ecc':
    case 'prove-cuda':
      return true;
    default:
      return false;
  }
}
