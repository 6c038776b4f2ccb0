import { returnToScreen } from '../screen/return-to-screen.ts';
import type { Step } from '../step.ts';
import type { RevertOptions } from './changed-files.ts';
import { forgetChanges } from './forget-changes.ts';
import { removeDriver } from './remove-driver.ts';
import { removePackages } from './remove-packages.ts';
import { restoreBlacklist } from './restore-blacklist.ts';
import { restoreEcc } from './restore-ecc.ts';
import { restoreFiles } from './restore-files.ts';
import { restoreInitrd } from './restore-initrd.ts';
import { restoreServices } from './restore-services.ts';
import { returnLicense } from './return-license.ts';
import { returnToNouveau } from './return-to-nouveau.ts';
import { stopGoingOn } from './stop-going-on.ts';

/** From what `apply` has made of a guest back to what it was; a cut anywhere leaves no guest between two drivers. */
export function revertJourney(options: RevertOptions): readonly Step[] {
  return [
    stopGoingOn,
    returnLicense(options),
    restoreEcc,
    restoreFiles(options),
    removeDriver(options),
    returnToScreen,
    restoreBlacklist(options),
    restoreInitrd(options),
    removePackages(options),
    restoreServices(options),
    forgetChanges(options),
    returnToNouveau,
  ] as readonly Step[];
}
