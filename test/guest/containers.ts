/**
 * All tiers of guests in containers, as many beside each other as this machine has processors. Each is a program of its own and can be
 * played alone; what they print comes line by line, named by their guests.
 */
import { join } from 'node:path';
import { execa } from 'execa';
import type { Tally } from './checks.ts';
import { requireMachine } from './image.ts';
import { NotRun } from './not-run.ts';
import { GIVEN, openPackages, PACKAGE_PROGRAMS } from './packages.ts';
import { chooseByName, playInLanes, runAsProgram } from './tier.ts';

interface Tier {
  readonly name: string;
  readonly entry: string;
  /** Its guests get the program as a package. */
  readonly packaged?: true;
}

/** The longest ones first. */
const TIERS: readonly Tier[] = [
  { name: 'journey', entry: 'container-journey.ts' },
  { name: 'families', entry: 'families/journey.ts', packaged: true },
  { name: 'licensing', entry: 'license/container.ts' },
  { name: 'callers', entry: 'callers/journey.ts', packaged: true },
  { name: 'clones', entry: 'clones/journey.ts', packaged: true },
];
const LAST_LINE = /^(\d+) passed, (\d+) failed$/;

await runAsProgram(async (names, signal) => {
  const tiers = chooseByName(TIERS, names);
  await requireMachine(PACKAGE_PROGRAMS);
  // once for all of them, while those that need none have begun
  const packages = tiers.some(({ packaged }) => packaged) ? openPackages(signal) : undefined;
  packages?.catch(() => undefined);
  return playInLanes(
    tiers.map(tier => async () => play(tier, tier.packaged && packages ? { [GIVEN]: await packages } : {}, signal)),
  );
});

/** The last line of a tier counts its checks. */
async function play({ name, entry }: Tier, env: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Tally> {
  const startedMs = performance.now();
  const tier = execa(process.execPath, [join(import.meta.dirname, entry)], {
    all: true,
    env,
    buffer: false,
    cancelSignal: signal,
    // its guests are to be taken down by itself
    forceKillAfterDelay: 60_000,
    reject: false,
  });
  let tally: Tally | undefined;
  for await (const line of tier.iterable({ from: 'all' })) {
    const [, passed, failed] = LAST_LINE.exec(line) ?? [];
    if (passed === undefined) console.log(line);
    else tally = { passed: Number(passed), failed: Number(failed) };
  }
  const { exitCode } = await tier;
  if (!tally || (exitCode === 0) !== (tally.failed === 0)) throw new NotRun(`${name} has ended with ${exitCode}`);
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  console.log(`==  ${name}: ${tally.passed} passed, ${tally.failed} failed (${seconds} s)`);
  return tally;
}
