/**
 * The journey in virtual machines: a Debian's own kernel, nouveau, systemd, dracut, apt, DKMS and a compiler are the real ones.
 * Not real: the silicon of the GPU (a kernel module puts its PCI function on a bus), NVIDIA's package and what it installs, the license
 * service, and the boot loader, which is this test bed's own; under Secure Boot firmware, shim and GRUB are Debian's.
 *
 *   node test/guest/vm/main.ts [SCENARIO…] [--cuts N] [--seed N]
 */
import { parseArgs } from 'node:util';
import type { Tally } from '../checks.ts';
import { requireMachine } from '../image.ts';
import { PACKAGE_PROGRAMS } from '../packages.ts';
import { chooseByName, playInLanes, runAsProgram } from '../tier.ts';
import { play, type Scenario } from './bed.ts';
import { type Furnishing, openDisks } from './disks.ts';
import { VM_PROGRAMS } from './qemu.ts';
import { cloudInit } from './scenarios/cloud-init.ts';
import { chooseCuts, cutsScenario } from './scenarios/cuts.ts';
import { eras } from './scenarios/eras.ts';
import { hardware } from './scenarios/hardware.ts';
import { journey } from './scenarios/journey.ts';
import { kernels } from './scenarios/kernels.ts';
import { secureBoot } from './scenarios/secure-boot.ts';
import { playTerminal } from './scenarios/terminal.ts';

const USUAL_CUTS = '3';

async function main(argv: readonly string[], signal: AbortSignal): Promise<Tally> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { cuts: { type: 'string', default: USUAL_CUTS }, seed: { type: 'string' } },
  });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const cuts = cutsScenario('cuts', chooseCuts(Number(values.cuts), seed));
  // the longest ones first
  const all: readonly Scenario[] = [eras, cuts, kernels, journey, secureBoot, cloudInit, hardware];
  const stories: readonly Story[] = [
    ...all.map(scenario => ({
      name: scenario.name,
      furnishing: scenario.furnishing,
      play: () => play(scenario, log, signal),
    })),
    { name: 'terminal', furnishing: 'ready', play: () => playTerminal(log, signal) },
  ];
  const chosen = chooseByName(stories, positionals);
  await requireMachine([...VM_PROGRAMS, ...PACKAGE_PROGRAMS, 'script']);
  if (chosen.some(({ name }) => name === cuts.name)) log(`power cuts: --cuts ${values.cuts} --seed ${seed}`);
  // before the lanes begin: two of them would build the same
  for (const furnishing of new Set(chosen.map(story => story.furnishing))) {
    await openDisks(furnishing, log, signal);
  }
  return playInLanes(chosen.map(story => story.play));
}

interface Story {
  readonly name: string;
  readonly furnishing: Furnishing;
  readonly play: () => Promise<Tally>;
}

function log(line: string): void {
  console.log(`    ${line}`);
}

await runAsProgram(main);
