import assert from 'node:assert/strict';
import { configurationSpace } from '../../helpers/folder-guest.ts';
import type { Check } from '../checks.ts';
import { addressOfGpu, begin, cover, type LicenseBed, type Scene, TOKEN, talkOf, VWS } from './bed.ts';
import { apply, assertBlocked, assertFound, assertLicensed, assertUnlicensed } from './program.ts';

const REBOOT_NEEDED = 3;
const COMPUTE = 'NVIDIA Virtual Compute Server';

/** A GPU that is passed through: here FeatureType decides, and the first feature that was licensed stays until the next boot. */
export function featureChecks(bed: LicenseBed): readonly Check[] {
  const { guest, service } = bed;
  return [
    [
      'on pass-through somebody must say which license is meant',
      async () => {
        await passedThrough();
        assertBlocked(await apply(bed), /passed through .* nothing says which license/, /set license\.feature/);
        await assertFound(bed, 'error feature-type');
      },
    ],
    [
      'on pass-through the daemon refuses the feature of a vGPU, and the program says so at once',
      async () => {
        await passedThrough({ license: withFeature('vgpu') });
        const startedMs = performance.now();
        const answer = await apply(bed, '--license-timeout', '60s');
        assertUnlicensed(answer, /FeatureType in gridd\.conf does not fit/, /set license\.feature to vws or compute/);
        await assertFound(bed, 'error feature-type');
        assert.ok(performance.now() - startedMs < 30_000);
      },
    ],
    [
      'on pass-through the feature that is asked for is licensed; another one waits for the next boot',
      async () => {
        await passedThrough({ license: withFeature('vws') });
        assertLicensed(await apply(bed), VWS);
        await ask('compute');
        assert.equal((await apply(bed)).code, REBOOT_NEEDED);
        // the journey does not go on by itself in a boot whose GPU has to be plugged in first
        await guest.succeed(['rm', '/var/lib/vgpu-guest/resume.json']);
        assert.equal(service.leases().at(-1)?.product, VWS);
        assert.match(await talkOf(bed), new RegExp(`License acquired successfully.*${VWS}`));
        // the GPU is plugged in again after the boot, and no daemon may look before
        await guest.succeed(['systemctl', 'disable', '--quiet', 'nvidia-gridd']);
        await guest.reboot();
        await guest.waitForBoot();
        await passThrough();
        assertLicensed(await apply(bed), COMPUTE);
        assert.equal(service.leases().at(-1)?.product, COMPUTE);
      },
    ],
    [
      'on pass-through a license of another feature than the one that is asked for does not pass for it',
      async () => {
        await passedThrough({ license: withFeature('vws') });
        assertLicensed(await apply(bed), VWS);
        await ask('compute');
        const { code, talk } = await apply(bed);
        assert.equal(code, REBOOT_NEEDED, talk);
        await assertFound(bed, 'warning feature-needs-reboot');
        await guest.succeed(['rm', '/var/lib/vgpu-guest/resume.json']);
      },
    ],
  ];

  async function passedThrough(scene: Scene = {}): Promise<void> {
    await begin(bed, scene);
    await passThrough();
  }

  async function passThrough(): Promise<void> {
    const config = `/sys/bus/pci/devices/${await addressOfGpu(bed)}/config`;
    await cover(bed, config, configurationSpace('pass-through'));
  }

  async function ask(feature: string): Promise<void> {
    const config = `license:\n  timeout: ${bed.pace.timeoutMs}ms\n  ${withFeature(feature)}\n`;
    await guest.write('/etc/vgpu-guest/config.yaml', config, 0o644);
  }
}

function withFeature(feature: string): string {
  return `token: ${TOKEN}\n  feature: ${feature}`;
}
