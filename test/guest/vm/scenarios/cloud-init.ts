import { cloudInitChecks, seedCloudInit } from '../../callers/cloud-init.ts';
import type { Check } from '../../checks.ts';
import { bringProgram, MINUTE_MS, type Scenario, type Scene, SERVICE_NAME } from '../bed.ts';

/** The README's user data on a guest that cloud-init sees for the first time, over the reboot that the journey needs. */
export const cloudInit: Scenario = { name: 'cloud-init', furnishing: 'ready', checks };

const DISABLED = '/etc/cloud/cloud-init.disabled';
/** The first boot, the reboot, and the boot that goes on; clones and refusals are for guests that boot faster. */
const FIRST_INSTANCE = 3;

function checks(scene: Scene): readonly Check[] {
  const { vm, service } = scene;
  const story = cloudInitChecks(vm, {
    start: () => vm.reboot(),
    followReboot: () => vm.waitForReboot(),
    deadlineMs: 10 * MINUTE_MS,
  });
  return [
    [
      'the image has the program, and cloud-init has not seen it yet',
      async () => {
        await bringProgram(scene);
        await seedCloudInit(vm, service.token({ host: SERVICE_NAME }));
        await vm.succeed(['rm', DISABLED]);
      },
    ],
    ...story.slice(0, FIRST_INSTANCE),
  ];
}
