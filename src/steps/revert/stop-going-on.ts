import { type Change, due, settled, warned } from '../../change.ts';
import { defineStep } from '../step.ts';

/** First of all: a boot, or a power cut, between two deeds must not begin anew what is being put back. */
export const stopGoingOn = defineStep({
  id: 'stop-going-on',
  title: 'Let nothing go on by itself',
  reads: ['goesOn', 'ownUnits'],
  judge(_config, { goesOn: { resume, firstBoot, licenseTimer }, ownUnits }) {
    const changes: Change[] = [];
    if (resume || firstBoot)
      changes.push({ kind: 'end-resume', firstBoot, because: 'the next boot would go on with vgpu-guest apply' });
    for (const [unit, { text }] of Object.entries(ownUnits)) {
      if (text === undefined) continue;
      changes.push({ kind: 'remove-unit', unit, because: `${unit} is a unit of vgpu-guest` });
    }
    const [first, ...rest] = changes;
    const verdict = first ? due(first, ...rest) : settled('no unit of vgpu-guest is left that apply has made');
    return warned(verdict, licenseTimer ? [TIMER] : []);
  },
});

const TIMER =
  'vgpu-guest-license.timer still looks after the license: systemctl disable --now vgpu-guest-license.timer ends that';
