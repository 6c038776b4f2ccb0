/**
 * What the program makes of X's configuration, held against the X server itself and against NVIDIA's nvidia-xconfig: over the files that
 * people use (VGPU_GUEST_XORG_CORPUS names their folder), over shapes of our own, and on a bus where GPUs come and go. The bench says
 * what is real there and what is not. `npm run test:screen -- NAME…` plays one part: shapes, corpus, made,
 * guest, booted.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { xorgText } from '../../helpers/xorg-text.ts';
import { runInOrder, type Tally } from '../checks.ts';
import { openImage, requireMachine } from '../image.ts';
import { NotRun } from '../not-run.ts';
import { chooseByName, playInLanes, runAsProgram } from '../tier.ts';
import { openBench, SCREEN_IMAGE } from './bench.ts';
import { playBooted } from './booted.ts';
import { type BenchCheck, fileChecks } from './file-checks.ts';
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
interface Story {
  readonly name: string;
  readonly play: (signal: AbortSignal) => Promise<Tally>;
}

const STORIES: readonly Story[] = [
  // the longest one first
  { name: 'booted', play: signal => playBooted(log, signal) },
  onBench('shapes', async () => fileChecks([...(await filesOf(SHAPES)), ...(await filesOf(RECORDED))])),
  onBench('corpus', async () => fileChecks(await corpus())),
  onBench('made', async () => fileChecks(madeFiles())),
  onBench('guest', async () => guestChecks(await filesOf(SHAPES))),
];

/** A story on a bench of its own, each of whose files is on its own. */
function onBench(name: string, checks: () => Promise<readonly BenchCheck[]>): Story {
  const play = async (signal: AbortSignal) => {
    const all = await checks();
    await using bench = await openBench(await openImage(SCREEN_IMAGE, log, signal), signal);
    let [passed, failed] = [0, 0];
    for (const [title, prove] of all) {
      const tally = await runInOrder(name, [[title, () => prove(bench)]], async () => undefined);
      passed += tally.passed;
      failed += tally.failed;
    }
    return { passed, failed };
  };
  return { name, play };
}

await runAsProgram(async (names, signal) => {
  const chosen = chooseByName(STORIES, names);
  await requireMachine(['mmdebstrap', 'unshare', 'chroot', 'systemd-nspawn', 'nsenter', 'setpriv']);
  // before the lanes begin: two of them would build the same
  if (chosen.some(({ name }) => name !== 'booted')) await openImage(SCREEN_IMAGE, log, signal);
  return playInLanes(
    chosen.map(
      ({ play }) =>
        () =>
          play(signal),
    ),
  );
});
