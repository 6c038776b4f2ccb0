import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Check } from '../../checks.ts';
import { boundDriver, furnish, MINUTE_MS, type Scenario, type Scene } from '../bed.ts';

/** A power cut: in the run before the reboot, or while the boot after it goes on; so long after it has begun. */
export interface Cut {
  readonly stage: 'apply' | 'resume';
  /** From 0, at once, to 1, when the stage would have ended. */
  readonly moment: number;
}

/** Moments that look random and come from a number, so that they can be repeated; the guest itself is less regular. */
export function chooseCuts(count: number, seed: number): readonly Cut[] {
  let state = seed;
  // mulberry32
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return Array.from({ length: count }, (_, index) => ({
    stage: index % 2 === 0 ? 'resume' : 'apply',
    moment: random(),
  }));
}

/** The power goes at these moments of the journey; after each of them the guest boots, and one more apply settles it. */
export function cutsScenario(name: string, cuts: readonly Cut[]): Scenario {
  return {
    name,
    furnishing: 'ready',
    checks: scene => {
      const lengthsMs: Record<Cut['stage'], number> = { apply: 0, resume: 0 };
      return [
        ['the run before the reboot is measured, without a cut', () => measure(scene, lengthsMs)],
        ...cuts.map(cut => check(scene, cut, lengthsMs)),
      ];
    },
  };
}

const REBOOT_DUE = 3;

/** What a boot takes that goes on to a license, of what the run before it has taken: about that, as guests go. */
const RESUME_SHARE = 1.35;

/** Walks to the reboot once, keeps the disks at the begin of each stage, and learns how long they take; the whole way is told elsewhere. */
async function measure(scene: Scene, lengthsMs: Record<Cut['stage'], number>): Promise<void> {
  const { vm } = scene;
  await furnish(scene);
  await vm.powerOff();
  await vm.keepDisks('apply');
  await vm.boot();
  const startedMs = performance.now();
  await vm.fail(['vgpu-guest', 'apply'], REBOOT_DUE, { deadlineMs: 10 * MINUTE_MS });
  lengthsMs.apply = performance.now() - startedMs;
  lengthsMs.resume = lengthsMs.apply * RESUME_SHARE;
  await vm.powerOff();
  await vm.keepDisks('resume');
}

function check(scene: Scene, { stage, moment }: Cut, lengthsMs: Readonly<Record<Cut['stage'], number>>): Check {
  const { vm } = scene;
  const percent = Math.round(moment * 100);
  return [
    `a power cut at ${percent} % of the ${stage === 'apply' ? 'run before the reboot' : 'boot after it'} does no lasting harm`,
    async () => {
      await vm.bringBackDisks(stage);
      const afterMs = moment * lengthsMs[stage];
      if (stage === 'apply') {
        await vm.boot();
        await vm.start(['vgpu-guest', 'apply']);
        await delay(afterMs);
      } else {
        await bootAndCut(scene, afterMs);
      }
      if (vm.isOn()) await vm.crash();
      await vm.boot();
      // what is enabled to go on by itself does so first; it may fail where the half-done journey cannot go on yet
      await vm.execute(['systemctl', 'is-system-running', '--wait'], { deadlineMs: 10 * MINUTE_MS });
      await settle(scene);
      await requireLicense(scene);
      await vm.powerOff();
    },
  ];
}

/** The boot itself may be what is cut. */
async function bootAndCut({ vm }: Scene, afterMs: number): Promise<void> {
  const startedMs = performance.now();
  const cut = delay(afterMs).then(() => vm.crash());
  await Promise.all([
    cut,
    vm.boot().catch(error => {
      if (performance.now() - startedMs < afterMs) throw error;
    }),
  ]);
}

async function settle({ vm }: Scene): Promise<void> {
  const deadlineMs = 10 * MINUTE_MS;
  const { code, stderr } = await vm.execute(['vgpu-guest', 'apply'], { deadlineMs });
  if (code !== REBOOT_DUE) return assert.equal(code, 0, stderr);
  await vm.reboot();
  await vm.waitForBoot(deadlineMs);
}

async function requireLicense({ vm }: Scene): Promise<void> {
  const report = JSON.parse(await vm.succeed(['vgpu-guest', 'apply', '--json'], { deadlineMs: 5 * MINUTE_MS }));
  assert.equal(report.outcome, 'settled');
  assert.equal(report.license.state, 'licensed');
  assert.equal(await boundDriver(vm), 'nvidia');
}
