import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/cli/settings.ts';
import { apply, type Report, type Run, type Watcher } from '../../src/engine/apply.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { journey } from '../../src/steps/index.ts';
import { revertJourney } from '../../src/steps/revert/revert-journey.ts';
import { isPowerCut, withPowerCut } from '../helpers/cut.ts';
import { type FolderGuest, makeFolderGuest } from '../helpers/folder-guest.ts';
import { settleBare, treeOf } from '../helpers/revert.ts';

const silent: Watcher = { stepBegins() {}, deedBegins() {}, stepEnds() {}, info() {}, warn() {}, progress() {} };
const NEVER = Number.POSITIVE_INFINITY;
const resume = { settings: {}, only: [], skip: [], unitText: '[Unit]\n' };
const FORTH = { steps: journey, resume } as const;
const BACK = { steps: revertJourney({ driver: true, packages: true, force: false }), reverts: true } as const;
const EVERY_CUT = process.env.VGPU_GUEST_EVERY_CUT === '1';

/** In this process, so that many of them fit into a test; undefined: the power went. */
async function run(
  folder: FolderGuest,
  what: Pick<Run, 'steps' | 'resume' | 'reverts'>,
  cutBefore = NEVER,
): Promise<{ report: Report | undefined; deeds: number }> {
  const { guest, done } = withPowerCut(openGuest({ root: folder.root, env: {} }), cutBefore);
  const { config } = await readConfig(guest, { root: folder.root, color: false }, {});
  try {
    const stop = new AbortController().signal;
    return { report: await apply({ guest, config, watcher: silent, stop, ...what }), deeds: done() };
  } catch (error) {
    if (!isPowerCut(error)) throw error;
    return { report: undefined, deeds: done() };
  }
}

const XORG = '# of our own\nSection "Device"\n  Identifier "gpu"\n  Driver "nvidia"\nEndSection\n';

/** Bare but for what a run has to change, to take out of the way and to keep. */
async function bareGuest(family: 'suse' | 'rhel' | 'debian') {
  const folder = makeFolderGuest({ family, nouveau: 'not-bound' });
  folder.write('/etc/X11/xorg.conf', XORG, 0o640);
  folder.write('/etc/nvidia/ClientConfigToken/notes.txt', 'not a token\n', 0o600);
  await settleBare(folder);
  return { folder, bare: treeOf(folder) };
}

const isBack = (report: Report | undefined) => ['settled', 'changed', 'reboot-needed'].includes(report?.outcome ?? '');

describe.each(['suse', 'rhel', 'debian'] as const)('a guest of the %s family', family => {
  test('whose power goes again and again while it is reverted ends as it was before', async () => {
    const { folder, bare } = await bareGuest(family);
    using _ = folder;
    expect((await run(folder, FORTH)).report).toMatchObject({ outcome: 'changed', license: { state: 'licensed' } });
    let cuts = 0;
    // each run gets one deed farther than the one before, so that none of them has to be done in one go
    for (let cutBefore = 2; ; cutBefore++) {
      const { report } = await run(folder, BACK, cutBefore);
      if (report === undefined) cuts++;
      else if (isBack(report)) break;
      else throw new Error(JSON.stringify(report, null, 2));
    }
    expect(cuts).toBeGreaterThan(5);
    expect(treeOf(folder)).toEqual(bare);
  });

  test('whose power goes again and again on its way to the license can still be reverted', async () => {
    const { folder, bare } = await bareGuest(family);
    using _ = folder;
    for (let cutBefore = 2; ; cutBefore += 2) {
      const { report } = await run(folder, FORTH, cutBefore);
      if (report?.license.state === 'licensed') break;
    }
    expect((await run(folder, BACK)).report).toSatisfy(isBack);
    expect(treeOf(folder)).toEqual(bare);
  });
});

/** How many deeds there are on the way to the license, and on the way back. */
async function deedsOf(family: 'suse' | 'debian') {
  const { folder } = await bareGuest(family);
  using _ = folder;
  const { deeds: forth } = await run(folder, FORTH);
  const { deeds: back } = await run(folder, BACK);
  return { forth, back };
}

/** Before each of so many deeds; the last cut comes after the last deed. */
const cutsOf = (deeds: number) => Array.from({ length: deeds + 1 }, (_, done) => done + 1);

const DEEDS = EVERY_CUT
  ? { back: (await deedsOf('debian')).back, forth: (await deedsOf('suse')).forth }
  : { back: 0, forth: 0 };

describe.runIf(EVERY_CUT)('the power goes once', () => {
  test('on a way that has deeds', () => {
    expect(Math.min(DEEDS.back, DEEDS.forth)).toBeGreaterThan(5);
  });

  test.concurrent.each(cutsOf(DEEDS.back))(
    'before deed %i of a revert, and the next one ends in the same tree',
    async cutBefore => {
      const { folder, bare } = await bareGuest('debian');
      using _ = folder;
      await run(folder, FORTH);
      const { report } = await run(folder, BACK, cutBefore);
      expect(report === undefined).toBe(cutBefore <= DEEDS.back);
      expect((await run(folder, BACK)).report).toSatisfy(isBack);
      expect(treeOf(folder)).toEqual(bare);
    },
  );

  test.concurrent.each(cutsOf(DEEDS.forth))(
    'before deed %i of apply, and a revert ends in the tree before it',
    async cutBefore => {
      const { folder, bare } = await bareGuest('suse');
      using _ = folder;
      const { report } = await run(folder, FORTH, cutBefore);
      expect(report === undefined).toBe(cutBefore <= DEEDS.forth);
      expect((await run(folder, BACK)).report).toSatisfy(isBack);
      expect(treeOf(folder)).toEqual(bare);
    },
  );
});
