import { due, settled } from '../../change.ts';
import { insertAtTop } from '../../formats/driver/modprobe-conf.ts';
import { notAGuestForUs } from '../gates.ts';
import { defineStep } from '../step.ts';

const HEADING = '# vgpu-guest: the NVIDIA driver needs the GPU for itself';

export const blacklistNouveau = defineStep({
  id: 'blacklist-nouveau',
  title: 'Keep nouveau away from the GPU',
  reads: ['system', 'gpus', 'smi', 'blacklist'],
  judge(_config, { blacklist: { own, rivals, holders }, ...facts }) {
    const refused = notAGuestForUs(facts);
    if (refused || !own) return refused ?? settled('this distribution has no place for a blacklist');
    const missing = rivals.filter(rival => !holders.has(rival));
    if (missing.length === 0) {
      const paths = new Set([...holders.values()].map(file => file.path));
      return settled(
        `${rivals.join(', ')} ${rivals.length > 1 ? 'are' : 'is'} blacklisted in ${[...paths].join(', ')}`,
      );
    }
    return due({
      kind: 'write',
      path: own.path,
      text: insertAtTop(own.text ?? '', [HEADING, ...missing.flatMap(linesFor)]),
      because: `nothing keeps ${missing.join(' and ')} from taking the GPU at boot`,
    });
  },
});

/** A blacklist stops the loading by alias; without modesetting a nouveau that is loaded all the same leaves the GPU alone. */
function linesFor(module: string): readonly string[] {
  return module === 'nouveau' ? ['blacklist nouveau', 'options nouveau modeset=0'] : [`blacklist ${module}`];
}
