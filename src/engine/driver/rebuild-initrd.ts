import { posix } from 'node:path';
import type { Argv, Deed, InitrdBuilder } from '../../change.ts';
import { AgentError } from '../../errors.ts';
import { isListed, KEPT_SUFFIX, listerOf } from '../../facts/driver/carried.ts';
import { DRACUT_DROP_IN } from '../../facts/driver/initrds.ts';
import { exitCodeWords } from '../../formats/signals.ts';
import type { Guest } from '../../guest/guest.ts';
import { failedCommand } from '../failed-command.ts';
import type { Tell } from '../tell.ts';

type RebuildInitrd = Extract<Deed, { kind: 'rebuild-initrd' }>;

/** Smaller than any image that can boot; a full /boot leaves such stumps. */
const SMALLEST_BYTES = 1_000_000;
/** Of a guest in a folder the stand-in images are small, so the old image is a measure too. */
const SMALLEST_SHARE = 0.5;
/** initramfs-tools' own hooks for boot loaders, which update-initramfs runs after each image. */
const POST_UPDATE_HOOKS = '/etc/initramfs/post-update.d';

/**
 * A new initrd without ever being without one: dracut before 107 deletes the old image when it fails, so the new one is built
 * beside it, checked, and put in its place by a rename. The old one stays as IMAGE.before-vgpu-guest.
 */
export async function rebuildInitrd(guest: Guest, deed: RebuildInitrd, tell: Tell): Promise<void> {
  const { image, kernel, builder } = deed;
  const aside = `${posix.dirname(image)}/.${posix.basename(image)}.vgpu-guest`;
  const kept = `${image}${KEPT_SUFFIX}`;
  try {
    await guest.remove(aside); // left by a run that was cut
    await build(guest, builder, aside, kernel, tell);
    await check(guest, deed, aside);
    const old = await guest.stat(image);
    if (old) await guest.setMode(aside, old.mode);
    await keepInOrder(guest, deed, aside);
    await guest.remove(kept);
    await guest.keepCopy(image, kept);
    await guest.rename(aside, image);
  } catch (error) {
    await guest.remove(aside);
    throw error;
  }
  tell.info(`the old initrd is kept as ${kept}`);
  await runHooks(guest, deed, tell);
}

async function build(guest: Guest, builder: InitrdBuilder, aside: string, kernel: string, tell: Tell): Promise<void> {
  const argv = builderArgv(builder, aside, kernel);
  const outcome = await guest.run(argv, { onLine: line => tell.progress(line), finishes: true, outlives: true });
  if (outcome.code !== 0)
    throw failedCommand(
      argv,
      outcome,
      'the initrd that the guest boots from is untouched; make room in /boot and /var/tmp, and run it again',
    );
}

function builderArgv(builder: InitrdBuilder, aside: string, kernel: string): Argv {
  switch (builder) {
    case 'dracut':
      return ['dracut', '--force', aside, kernel];
    case 'mkinitrd':
      return ['mkinitrd', '-k', `vmlinuz-${kernel}`, '-i', aside];
    case 'initramfs-tools':
      return ['mkinitramfs', '-o', aside, kernel];
  }
}

async function check(guest: Guest, { image, builder, holds, lacks = [] }: RebuildInitrd, aside: string): Promise<void> {
  const refuse = (because: string) =>
    new AgentError(`the new initrd for ${image} is not used: ${because}`, {
      remedy:
        'the initrd that the guest boots from is untouched; look at the output of the initrd program in /var/log/vgpu-guest.log',
    });
  const [made, old] = await Promise.all([guest.stat(aside), guest.stat(image)]);
  if (!made) throw refuse('nothing was written');
  const floor = Math.min(SMALLEST_BYTES, (old?.sizeBytes ?? 0) * SMALLEST_SHARE);
  if (made.sizeBytes < floor) throw refuse(`it has ${made.sizeBytes} bytes, the old one ${old?.sizeBytes}`);

  // a list takes lsinitrd five passes over the image, half a minute on a slow guest, and one is enough where nothing has to be missing
  const isShown = holds !== undefined && builder !== 'initramfs-tools' && (await showsText(guest, aside, holds));
  if (isShown && lacks.length === 0) return;
  const lister = listerOf(builder);
  const list = await guest.query([lister, aside], CHECK_TIMEOUT_MS);
  if (list.code !== 0) throw refuse(`${lister} cannot read it: ${list.stderr || exitCodeWords(list.code)}`);
  const stray = lacks.find(path => isListed(list.stdout, path));
  if (stray) throw refuse(`${stray} is still in it`);
  if (holds === undefined || isShown || !/\/nouveau\.ko(\.(xz|zst|gz))?$/m.test(list.stdout)) return;
  // mkinitramfs copies /etc/modprobe.d as it stands, and nothing wrote there since
  if (builder === 'initramfs-tools' && list.stdout.split('\n').includes(holds.slice(1))) return;
  throw refuse(`it carries nouveau.ko, and ${holds} is not in it as it stands on disk`);
}

/** An image that holds a file is newer than it, even where the clock was set back since that was written: by that its age is judged. */
async function keepInOrder(guest: Guest, { holds, builder }: RebuildInitrd, aside: string): Promise<void> {
  const held = [holds, builder === 'dracut' ? DRACUT_DROP_IN : undefined].filter(path => path !== undefined);
  const [made, ...stats] = await Promise.all([aside, ...held].map(path => guest.stat(path)));
  const newestUs = Math.max(...stats.map(stat => stat?.changedUs ?? 0));
  if (made && made.modifiedUs < newestUs) await guest.setModified(aside, newestUs + COARSEST_CLOCK_US);
}

/** FAT counts in two seconds. */
const COARSEST_CLOCK_US = 2_000_000;
/** Reading an image means unpacking it. */
const CHECK_TIMEOUT_MS = 120_000;

/** What is empty or not there shows nothing: lsinitrd prints nothing of a file that an image lacks, and ends with 0. */
async function showsText(guest: Guest, image: string, path: string): Promise<boolean> {
  const onDisk = (await guest.readText(path))?.trim();
  if (!onDisk) return false;
  const { code, stdout } = await guest.query(['lsinitrd', '-f', path.slice(1), image], CHECK_TIMEOUT_MS);
  return code === 0 && stdout.trim() === onDisk;
}

async function runHooks(guest: Guest, { image, kernel, builder }: RebuildInitrd, tell: Tell): Promise<void> {
  if (builder !== 'initramfs-tools' || !(await guest.stat(POST_UPDATE_HOOKS))) return;
  const argv: Argv = ['run-parts', `--arg=${kernel}`, `--arg=${image}`, POST_UPDATE_HOOKS];
  const outcome = await guest.run(argv, { onLine: line => tell.progress(line), finishes: true });
  if (outcome.code !== 0)
    throw failedCommand(argv, outcome, `the boot loader may still use the old initrd: run ${argv.join(' ')} again`);
}
