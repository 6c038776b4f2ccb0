/**
 * What the program makes of X's configuration, held against the X server itself and against NVIDIA's nvidia-xconfig: over the files that
 * people use (VGPU_GUEST_XORG_CORPUS names their folder), over shapes of our own, and on a bus where GPUs come and go. The bench says
 * what is real there and what is not. `npm run test:screen -- NAME…` plays one part: shapes, corpus, made,
 * guest.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { xorgText } from '../../helpers/xorg-text.ts';
import { runInOrder } from '../checks.ts';
import { openImage, requireMachine } from '../image.ts';
import { NotRun } from '../not-run.ts';
import { chooseByName, playInLanes, runAsProgram } from '../tier.ts';
import { openBench, SCREEN_IMAGE } from './bench.ts';
import { fileChecks } from './file-checks.ts';
import { guestChecks } from './guest-checks.ts';

const PROJECT = resolve(import.meta.dirname, '../../..');
const SHAPES = join(PROJECT, 'test/fixtures/xorg/shapes');
const RECORDED = join(PROJECT, 'test/fixtures/xorg');
const log = (line: string) => console.log(`    ${line}`);

async function filesOf(folder: string): Promise<readonly (readonly [name: string, text: string])[]> {
  const names = (await readdir(folder)).filter(name => name.endsWith('.conf')).sort();
  return Promise.all(names.map(async name => [name, await readFile(join(folder, name), 'utf8')] as const));
}

async function corpus(): Promise<readonly (readonly [string, string])[]> {
  const folder = process.env.VGPU_GUEST_XORG_CORPUS;
  if (!folder) throw new NotRun('VGPU_GUEST_XORG_CORPUS names no folder of xorg.conf files from the field');
  const files = await filesOf(folder);
  if (files.length === 0) throw new NotRun(`${folder} has no xorg.conf files`);
  return files;
}

/** In every spelling that the scanner allows; which ones is decided by a number, so that they can be had again. */
function madeFiles(): readonly (readonly [string, string])[] {
  return fc.sample(xorgText, { numRuns: 40, seed: SEED }).map((text, index) => [`file ${index} of seed ${SEED}`, text]);
}

const SEED = 20_261_121;
const STORIES = [
  { name: 'shapes', checks: async () => fileChecks([...(await filesOf(SHAPES)), ...(await filesOf(RECORDED))]) },
  { name: 'corpus', checks: async () => fileChecks(await corpus()) },
  { name: 'made', checks: async () => fileChecks(madeFiles()) },
  { name: 'guest', checks: async () => guestChecks(await filesOf(SHAPES)) },
] as const;

await runAsProgram(async (names, signal) => {
  await requireMachine(['mmdebstrap', 'unshare', 'chroot']);
  const image = await openImage(SCREEN_IMAGE, log, signal);
  const stories = chooseByName(STORIES, names).map(({ name, checks }) => async () => {
    const all = await checks();
    await using bench = await openBench(image, signal);
    let [passed, failed] = [0, 0];
    // each file on its own
    for (const [title, prove] of all) {
      const tally = await runInOrder(name, [[title, () => prove(bench)]], async () => undefined);
      passed += tally.passed;
      failed += tally.failed;
    }
    return { passed, failed };
  });
  return playInLanes(stories);
});
