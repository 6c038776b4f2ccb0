import type { Facts } from '../facts/facts.ts';
import { blacklistNouveau } from './driver/blacklist-nouveau.ts';
import { installPrerequisites } from './driver/install-prerequisites.ts';
import { rebuildInitrd } from './driver/rebuild-initrd.ts';
import type { Step } from './step.ts';

/** What can be done, and proved, on a machine without a GPU: all that would need a reboot later. */
export const imageJourney: readonly Step[] = (
  [installPrerequisites, blacklistNouveau, rebuildInitrd] as readonly Step[]
).map(forImage);

/** Judges an image as the guest that its clones will be: one with a GPU, which nothing has taken yet. */
function forImage(step: Step): Step {
  return {
    ...step,
    judge: (config, facts, ahead) =>
      step.judge(config, facts.gpus?.length === 0 ? { ...facts, gpus: [COMING] } : facts, ahead),
  };
}

const COMING: Facts['gpus'][number] = { address: '0000:00:00.0', driver: undefined } as Facts['gpus'][number];
