import { blocked, due, settled } from '../../change.ts';
import { defineStep } from '../step.ts';

/** Driver names in sysfs of what a blacklist and a reboot send away. */
const RIVALS: readonly string[] = ['nouveau', 'NovaCore', 'nova'];

export const leaveNouveau = defineStep({
  id: 'leave-nouveau',
  title: 'Free the GPU from nouveau',
  reads: ['gpus'],
  judge(_config, { gpus }) {
    const foreign = gpus.filter(gpu => gpu.driver !== undefined && gpu.driver !== 'nvidia');
    const stranger = foreign.find(gpu => !RIVALS.includes(gpu.driver ?? ''));
    if (stranger) {
      return blocked(
        `the GPU ${stranger.address} is bound to ${stranger.driver}, which is neither nouveau nor nvidia`,
        `find out who gave it away, and release it: echo ${stranger.address} > /sys/bus/pci/drivers/${stranger.driver}/unbind`,
      );
    }
    const [bound] = foreign;
    if (bound) return due({ kind: 'reboot', because: `the GPU ${bound.address} is bound to ${bound.driver}` });
    return settled('no GPU is bound to nouveau');
  },
});
