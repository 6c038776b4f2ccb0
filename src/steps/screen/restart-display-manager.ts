import { due, settled } from '../../change.ts';
import { DISPLAY_MANAGER } from '../../facts/screen/screen.ts';
import { defineStep } from '../step.ts';
import { patchXorg } from './patch-xorg.ts';

/** X reads its configuration when it starts. A restart ends every session on the screen, so that only a person may ask for it. */
export const restartDisplayManager = defineStep({
  id: 'restart-display-manager',
  title: 'Let the X server read its configuration',
  reads: ['screen', 'graphics', 'xorg'],
  judge({ xorg: { restartDisplayManager: wanted } }, { screen, graphics, xorg }, ahead) {
    const since = graphics.xSinceUs;
    if (screen.displayManager !== 'active') return settled('no display manager runs');
    const isOld = since !== undefined && xorg.changedUs !== undefined && since < xorg.changedUs;
    if (!wanted)
      return settled(
        isOld
          ? 'X runs with an older configuration, and the display manager is left alone (xorg.restartDisplayManager)'
          : 'the display manager is left alone (xorg.restartDisplayManager)',
      );
    const restart = (because: string) => due({ kind: 'service', unit: DISPLAY_MANAGER, action: 'restart', because });
    if (ahead.has(patchXorg.id)) return restart('the configuration of X is about to change');
    if (isOld) return restart('the configuration of X is newer than the running X server');
    return settled(since === undefined ? 'no X server runs' : 'X runs with its present configuration');
  },
});
