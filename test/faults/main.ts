import { parseArgs } from 'node:util';
import { generator } from '../helpers/generator.ts';
import { inParallel } from './in-parallel.ts';
import { FAMILIES, journeysOf } from './journeys.ts';
import { playFault, playUndisturbed, type Undisturbed } from './judge.ts';
import { buildShim, type Fault, faultsAt, nameOf, type Site } from './shim.ts';

/**
 * Every system call by which the built program changes a guest goes wrong, one by one: the process is killed there, or the call fails. What
 * is left must be whole, what is said must help, and the next run must end as if nothing had happened.
 */
const { values } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    count: { type: 'string', default: '80' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    verbose: { type: 'boolean', default: false },
  },
});
/** A log gets a line for every line of a child: the first ones stand for all. */
const MOST_OF_ONE = 3;

interface Case {
  readonly whole: Undisturbed;
  readonly site: Site;
  readonly fault: Fault;
}

const startedMs = performance.now();
using shim = buildShim();
using stack = new DisposableStack();
const journeys = (await Promise.all(FAMILIES.map(journeysOf))).flat().map(journey => stack.use(journey));
const wholes = await inParallel(journeys, journey => playUndisturbed(journey, shim));
const cases = wholes.flatMap(whole =>
  whole.sites
    .filter(({ nth }) => nth <= MOST_OF_ONE)
    .flatMap(site => faultsAt(site).map(fault => ({ whole, site, fault }))),
);
const tried = choose(cases);
console.log(
  `${journeys.length} journeys, ${wholes.reduce((sum, { sites }) => sum + sites.length, 0)} calls that change something, ` +
    `${cases.length} faults; ${values.all ? 'all of them' : `${tried.length} of them, seed ${values.seed}`}`,
);

let recovered = 0;
let missed = 0;
await inParallel(tried, async one => {
  const { complaints, happened, ran } = await playFault(one.whole, one.site, one.fault, shim);
  if (!happened) missed++;
  if (complaints.length === 0) recovered++;
  if (complaints.length > 0 || values.verbose) {
    console.log(`${complaints.length > 0 ? 'NOT OK' : 'ok'}  ${titleOf(one)}`);
    for (const complaint of complaints) console.log(complaint.replace(/^/gm, '    '));
    console.log(`${ran.stdout}${ran.stderr}`.trimEnd().replace(/^/gm, '    | '));
  }
});

const seconds = Math.round((performance.now() - startedMs) / 1000);
const notReached = missed > 0 ? `, ${missed} not reached` : '';
console.log(`${tried.length} faults tried, ${recovered} recovered${notReached} (${seconds} s)`);
// a fault that is not reached proves nothing; logs are written in as many pieces as they come
process.exitCode = recovered === tried.length && missed <= tried.length / 20 ? 0 : 1;

function titleOf({ whole, site, fault }: Case): string {
  return `${whole.journey.name}: ${nameOf(fault)} at ${site.op} ${site.path} (${site.nth})`;
}

function choose(all: readonly Case[]): readonly Case[] {
  const wanted = all.filter(one => titleOf(one).includes(values.only));
  if (values.all || values.only !== '') return wanted;
  return generator(Number(values.seed)).shuffle(wanted).slice(0, Number(values.count));
}
