import type { Facts, Look } from '../facts/facts.ts';
import type { Enactable } from './enact.ts';

/** After these deeds everything is looked at anew, but for what none of them can have changed. */
export function lookAgain(look: Look, done: readonly Enactable[]): Look {
  return look.again([
    ...(done.every(leavesModules) ? ABOUT_MODULES : []),
    ...(done.every(leavesImages) ? ABOUT_IMAGES : []),
  ]);
}

/** They take the longest to look at: package managers open their databases and solve, and DKMS compares the modules of every kernel. */
const ABOUT_MODULES = [
  'dkms',
  'dkmsStatus',
  'kernels',
  'prerequisites',
  'secureBoot',
  'installedDriver',
  'addedPackages',
] as const satisfies readonly (keyof Facts)[];
/** Every initrd is unpacked for it. */
const ABOUT_IMAGES = ['carried'] as const satisfies readonly (keyof Facts)[];

/** No kernel, no module, no package and no key is another one after it. */
function leavesModules(deed: Enactable): boolean {
  switch (deed.kind) {
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
    case 'set-ecc':
    case 'prove-cuda':
    case 'restore':
    case 'remove':
    case 'remove-folder':
      return true;
    default:
      return leavesImages(deed);
  }
}

/** No file of a boot, and none that goes into an initrd, is another one after it. */
function leavesImages({ kind }: Enactable): boolean {
  switch (kind) {
    case 'service':
    case 'await-license':
    case 'remove-unit':
    case 'end-resume':
    case 'mark-boot':
    case 'restore-ecc':
      return true;
    default:
      return false;
  }
}
