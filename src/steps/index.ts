import { blacklistNouveau } from './driver/blacklist-nouveau.ts';
import { installDriver } from './driver/install-driver.ts';
import { installPrerequisites } from './driver/install-prerequisites.ts';
import { leaveNouveau } from './driver/leave-nouveau.ts';
import { rebuildInitrd } from './driver/rebuild-initrd.ts';
import { installCuda } from './gpu/install-cuda.ts';
import { setEcc } from './gpu/set-ecc.ts';
import { awaitLicense } from './license/await-license.ts';
import { configureGridd } from './license/configure-gridd.ts';
import { placeToken } from './license/place-token.ts';
import { restartGridd } from './license/restart-gridd.ts';
import { patchXorg } from './screen/patch-xorg.ts';
import { restartDisplayManager } from './screen/restart-display-manager.ts';
import { returnToScreen } from './screen/return-to-screen.ts';
import { shareScreen } from './screen/share-screen.ts';
import { watchScreen } from './screen/watch-screen.ts';
import type { Step } from './step.ts';

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
