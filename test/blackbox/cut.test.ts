import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/cli/settings.ts';
import { apply, type Report, type Watcher } from '../../src/engine/apply.ts';
import { readMarker } from '../../src/engine/resume.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { journey } from '../../src/steps/index.ts';
import { isPowerCut, withPowerCut } from '../helpers/cut.ts';
import { type FolderGuest, makeFolderGuest } from '../helpers/folder-guest.ts';

const silent: Watcher = { stepBegins() {}, deedBegins() {}, stepEnds() {}, info() {}, warn() {}, progress() {} };
/** The next boot leaves going on to the test. */
const unitText = '[Unit]\nConditionPathExists=/never\n[Service]\nExecStart=/usr/bin/vgpu-guest apply --resume\n';
const NEVER = Number.POSITIVE_INFINITY;

/** One run of the journey in this process, so that hundreds of cuts fit into a test. */
async function run(folder: FolderGuest, cutBefore: number): Promise<{ report: Report | undefined; deeds: number }> {
  const whole = openGuest({ root: folder.root, env: {} });
  const { guest, done } = withPowerCut(whole, cutBefore);
  const { config, asked } = await readConfig(
    guest,
    { root: folder.root, color: false },
    {},
    (await readMarker(guest))?.settings,
  );
  const resume = { settings: asked, only: [], skip: [], unitText };
  try {
    const report = await apply({
      guest,
      config,
      steps: journey,
      watcher: silent,
      stop: new AbortController().signal,
      resume,
    });
    return { report, deeds: done() };
  } catch (error) {
    if (!isPowerCut(error)) throw error;
    return { report: undefined, deeds: done() };
  }
}

/** What an operator does who runs it again until it is settled; the run number `cutRun` loses its power before its deed `cutBefore`. */
async function finish(folder: FolderGuest, cutRun = 0, cutBefore = NEVER): Promise<readonly number[]> {
  const deedsOfRuns: number[] = [];
  for (let number = 1; number <= 6; number++) {
    const { report, deeds } = await run(folder, number === cutRun ? cutBefore : NEVER);
    deedsOfRuns.push(deeds);
    if (report === undefined) continue;
    if (report.outcome === 'settled' || report.outcome === 'changed') return deedsOfRuns;
    if (report.outcome !== 'reboot-needed') throw new Error(JSON.stringify(report, null, 2));
    await folder.reboot();
  }
  throw new Error('six runs did not settle the guest');
}

/** Every file of the guest by kind, mode and digest; each guest has a token of its own. */
function treeOf(folder: FolderGuest): Readonly<Record<string, string>> {
  const tree = folder.manifest();
  const token = tree[folder.tokenPath]?.split(' ').at(-1) ?? '';
  // it names that token, and packages as the cut left them; what a revert makes of it is tested with that
  const own = (path: string) => (path === '/var/lib/vgpu-guest/changes.json' ? /\w{16}$/ : token);
  return Object.fromEntries(Object.entries(tree).map(([path, what]) => [path, what.replace(own(path), 'OWN')]));
}

/** All of them take more than a minute; without the variable every second deed is tried, on one family after the other. */
const EVERY_CUT = process.env.VGPU_GUEST_EVERY_CUT === '1';
const FAMILIES = ['suse', 'rhel', 'debian'] as const;
const WHOLE = await Promise.all(FAMILIES.map(finishWhole));

describe.each(WHOLE)('the power goes on a guest of the $family family', ({ family, deeds, tree }) => {
  // the last cut comes after the last deed
  const cuts = deeds.flatMap((count, run) =>
    Array.from({ length: count + 1 }, (_, done) => [run + 1, done + 1] as const),
  );
  const tried = cuts.filter(([, cut]) => EVERY_CUT || cut % (2 * FAMILIES.length) === 2 * FAMILIES.indexOf(family));

  test.concurrent.each(tried)(
    'in run %i before deed %i, and the next runs end in the same tree',
    async (cutRun, cutBefore) => {
      using folder = makeFolderGuest({ family });
      await finish(folder, cutRun, cutBefore);
      expect(treeOf(folder)).toEqual(tree);
    },
  );

  test('in one run before the reboot or one after it', () => {
    expect(deeds).toHaveLength(2);
    expect(Math.min(...deeds)).toBeGreaterThan(5);
  });
});

async function finishWhole(family: (typeof FAMILIES)[number]) {
  using folder = makeFolderGuest({ family });
  const deeds = await finish(folder);
  return { family, deeds, tree: treeOf(folder) };
}
