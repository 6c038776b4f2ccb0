/**
 * The journey on guests of the SUSE and Red Hat families with systemd in a container: zypper and dnf with their solvers, rpm with its
 * database, dracut with the family's configuration, dkms, systemd and its journal are the real ones, and so are the program as its own
 * package brings it, the compiler and the kernel's headers.
 *
 * Not real, besides what a container never has (see container-journey.ts): the distributions themselves. A Debian has their names, paths
 * and configuration; its kernel has their kernel's name, though its own modules still say inside which kernel they were built for; and
 * the packages of their repositories have their names and relations, with Debian's files in them and without signatures.
 */
import { join, resolve } from 'node:path';
import { bringProgram, NODE } from '../callers/bed.ts';
import { type Check, indent, runInOrder, type Tally } from '../checks.ts';
import { type Container, createContainer } from '../container.ts';
import { boots, EVIDENCE, furnish, journey } from '../container-journey.ts';
import { HARDWARE, powerOn } from '../hardware.ts';
import { requireMachine } from '../image.ts';
import { buildPackage, PACKAGE_PROGRAMS } from '../packages.ts';
import { chooseByName, playInLanes, runAsProgram } from '../tier.ts';
import { familyChecks, isBare, journeyTraits } from './family-checks.ts';
import type { Family } from './image/family.ts';
import { openFamilyImage } from './image/open-family-image.ts';
import { ROCKY } from './image/rocky.ts';
import { SLES } from './image/sles.ts';
import { installsPackage, RPM, removesPackage } from './package-checks.ts';
import { configureRefusals, refusals } from './refusals.ts';

const FAMILIES = [SLES, ROCKY].map(family => ({ name: family.id, family }));
const PROJECT = resolve(import.meta.dirname, '../../..');
const log = (line: string) => console.log(`    ${line}`);

interface Story {
  readonly name: string;
  /** How the program comes into the guest: by its rpm, or as it is built, with a Node. */
  readonly program: 'package' | 'build';
  readonly play: (guest: Container, version: string, keepEvidence: () => Promise<void>) => Promise<Tally>;
}

function storiesOf(family: Family): readonly Story[] {
  return [
    {
      name: family.id,
      program: 'package',
      play: (guest, version, keepEvidence) => {
        const checks = [
          isBare(guest, family),
          boots(guest),
          installsPackage(guest, family),
          ...journey(guest, journeyTraits(family), family.kernel.release, version),
          ...familyChecks(guest, family, version),
          removesPackage(guest, family),
        ];
        return runInOrder(family.id, checks, keepEvidence);
      },
    },
    {
      name: `${family.id}-refusals`,
      program: 'build',
      play: async (guest, _, keepEvidence) => {
        await configureRefusals(guest);
        await guest.boot();
        await guest.waitForBoot();
        return runEach(`${family.id}-refusals`, refusals(guest, family), keepEvidence);
      },
    },
  ];
}

/** Checks that do not build on one another. */
async function runEach(subject: string, checks: readonly Check[], onFailure: () => Promise<void>): Promise<Tally> {
  let [passed, failed] = [0, 0];
  for (const check of checks) {
    const tally = await runInOrder(subject, [check], onFailure);
    passed += tally.passed;
    failed += tally.failed;
  }
  return { passed, failed };
}

async function playStory({ name, program, play }: Story, image: string, signal: AbortSignal): Promise<Tally> {
  const binds = program === 'build' ? [NODE] : [{ from: await buildPackage('rpm', signal), to: RPM }];
  const options = { name: `vgpu-guest-${name}`, image, seenAs: HARDWARE, binds, powerOn, log, signal };
  await using guest = await createContainer(options);
  const version = await furnish(guest);
  if (program === 'build') await bringProgram(guest);
  const folder = join(PROJECT, '.cache/families', name);
  // awaited here: the guest goes when this function ends
  return await play(guest, version, async () => {
    await guest.keepEvidence(folder, EVIDENCE);
    console.log(indent(`console, journal and logs of the guest: ${folder}`));
  });
}

await runAsProgram(async (names, signal) => {
  await requireMachine(['mmdebstrap', 'systemd-nspawn', 'nsenter', 'setpriv', ...PACKAGE_PROGRAMS]);
  const stories: (() => Promise<Tally>)[] = [];
  for (const { family } of chooseByName(FAMILIES, names)) {
    // not side by side: both are made of the same Debian
    const image = await openFamilyImage(family, log, signal);
    stories.push(...storiesOf(family).map(story => () => playStory(story, image, signal)));
  }
  return playInLanes(stories);
});
