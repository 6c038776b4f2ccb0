import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/cli/settings.ts';
import { apply, type Report, type Watcher } from '../../src/engine/apply.ts';
import { readMarker } from '../../src/engine/resume.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { journey } from '../../src/steps/index.ts';
import { PowerCut, withPowerCut } from '../helpers/cut.ts';
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
    if (!(error instanceof PowerCut)) throw error;
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
  return Object.fromEntries(Object.entries(tree).map(([path, what]) => [path, what.replace(token, 'TOKEN')]));
}

/** One more than the deeds of each run: the last cut comes after the last deed. */
const CUTS = { 1: 15, 2: 9 } as const;
/** All of them take a minute and a half; without the variable each family gets a third, and together they miss none. */
const EVERY_CUT = process.env.VGPU_GUEST_EVERY_CUT === '1';

describe.each([
  ['suse', 0],
  ['rhel', 1],
  ['debian', 2],
] as const)('the power goes on a guest of the %s family', (family, third) => {
  const uncut = finishWhole(family);
  const cuts = (run: 1 | 2) =>
    Array.from({ length: CUTS[run] }, (_, index) => [run, index + 1] as const).filter(
      ([, cut]) => EVERY_CUT || cut % 3 === third,
    );

  test.concurrent.each([...cuts(1), ...cuts(2)])(
    'in run %i before deed %i, and the next runs end in the same tree',
    async (cutRun, cutBefore) => {
      using folder = makeFolderGuest({ family });
      await finish(folder, cutRun, cutBefore);
      expect(treeOf(folder)).toEqual((await uncut).tree);
    },
  );

  test('no deed comes after the last cut', async () => {
    expect((await uncut).deeds).toEqual([CUTS[1] - 1, CUTS[2] - 1]);
  });
});

async function finishWhole(family: 'suse' | 'rhel' | 'debian') {
  using folder = makeFolderGuest({ family });
  const deeds = await finish(folder);
  return { tree: treeOf(folder), deeds };
}
