import { awaitLicense } from './await-license.ts';
import { blacklistNouveau } from './blacklist-nouveau.ts';
import { configureGridd } from './configure-gridd.ts';
import { installCuda } from './install-cuda.ts';
import { installDriver } from './install-driver.ts';
import { installPrerequisites } from './install-prerequisites.ts';
import { leaveNouveau } from './leave-nouveau.ts';
import { patchXorg } from './patch-xorg.ts';
import { placeToken } from './place-token.ts';
import { rebuildInitrd } from './rebuild-initrd.ts';
import { restartDisplayManager } from './restart-display-manager.ts';
import { restartGridd } from './restart-gridd.ts';
import { returnToScreen } from './return-to-screen.ts';
import { setEcc } from './set-ecc.ts';
import { shareScreen } from './share-screen.ts';
import type { Step } from './step.ts';
import { watchScreen } from './watch-screen.ts';

/** From a bare guest to a licensed one, in this order. */
export const journey: readonly Step[] = [
  installPrerequisites,
  blacklistNouveau,
  rebuildInitrd,
  leaveNouveau,
  installDriver,
  configureGridd,
  placeToken,
  restartGridd,
  awaitLicense,
  patchXorg,
  watchScreen,
  restartDisplayManager,
  returnToScreen,
  shareScreen,
  setEcc,
  installCuda,
] as readonly Step[];
