import { due, settled } from '../../change.ts';
import { notChangeable } from '../gates.ts';
import { defineStep } from '../step.ts';

const UNIT = 'vgpu-guest-screen.service';

/** The address of a GPU may be another one after every boot (Hyper-V, Azure), and X starts before anybody can look. */
export const watchScreen = defineStep({
  id: 'watch-screen',
  title: 'Look at the BusID at every boot',
  reads: ['ownUnits', 'system'],
  judge({ xorg }, facts) {
    const { text, enabled } = facts.ownUnits[UNIT];
    const isWanted = xorg.atBoot && xorg.manage !== 'never';
    if (!isWanted) {
      if (text === undefined) return settled('the BusID is looked at by apply alone (xorg.atBoot)');
      return due({ kind: 'remove-unit', unit: UNIT, because: 'the BusID is not to be looked at when the guest boots' });
    }
    if (text !== undefined && enabled) return settled('the BusID is looked at when the guest boots, before X starts');
    const because = 'xorg.atBoot is true, and nothing looks at the BusID when the guest boots';
    return notChangeable(facts) ?? due({ kind: 'add-unit', unit: UNIT, because });
  },
});
