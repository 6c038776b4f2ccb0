import { type Change, due, settled } from '../../change.ts';
import { LEFT_GRAPHICAL } from '../../facts/screen/screen.ts';
import { defineStep } from '../step.ts';

/** A run that was killed while the driver was installed cannot bring the screen back; after a power cut the boot does. */
export const returnToScreen = defineStep({
  id: 'return-to-screen',
  title: 'Bring the screen back',
  reads: ['screen'],
  judge(_config, { screen }) {
    if (!screen.left) return settled('the graphical target was not left, or has come back');
    const because = 'the graphical target was left for the installation of the driver, and nothing has brought it back';
    const forget: Change = { kind: 'remove', path: LEFT_GRAPHICAL, because };
    if (screen.graphical) return due(forget);
    const argv = ['systemctl', 'isolate', 'graphical.target'] as const;
    return due({ kind: 'run', argv, timeoutMs: TIMEOUT_MS, because }, forget);
  },
});

const TIMEOUT_MS = 120_000;
