import { createHash } from 'node:crypto';
import { access, mkdtemp, readFile, rename, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { buildStandInRun } from '../../helpers/stand-in-run.ts';
import { createContainer } from '../container.ts';
import { HARDWARE, plugIn, powerOn } from '../hardware.ts';
import { CACHE, DEBIAN_ARCHITECTURE, openImage } from '../image.ts';

/** Everything that the journey installs before it comes to the license, and what the daemon runs with. */
const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'udev', 'kmod', 'dbus', 'initramfs-tools', 'zstd', 'python3', 'ca-certificates'],
  ...['dkms', 'gcc', 'make', 'libc6-dev', 'pkg-config', 'libglvnd-dev'],
  ...[`linux-image-${DEBIAN_ARCHITECTURE}`, `linux-headers-${DEBIAN_ARCHITECTURE}`],
];
const BLACKLIST = 'blacklist nouveau\noptions nouveau modeset=0\n';
/** Of the guest in which the layer was made, and of no other. */
const NOT_TO_BE_SHARED = ['etc/machine-id', 'var/log/journal', 'var/lib/systemd', 'hardware', 'tmp', 'var/tmp'];
const INSTALL_MS = 120_000;

/** A root, as createContainer takes it, in which the driver is installed by its package; only the license is wanting. */
export async function prepareRoot(
  version: string,
  log: (line: string) => void,
  signal: AbortSignal,
  more: readonly string[] = [],
): Promise<string> {
  const image = await openImage({ suite: 'bookworm', packages: [...PACKAGES, ...more] }, log, signal);
  const run = buildStandInRun({ version });
  const recipe = [image, await readFile(import.meta.filename), run.bytes];
  const hash = recipe.reduce((sum, part) => sum.update(part), createHash('sha256')).digest('hex');
  // images of this name are taken away when nobody uses them any more
  const layer = join(CACHE, `image-${hash.slice(0, 12)}-licensing`);
  if (await exists(layer)) {
    await utimes(layer, new Date(), new Date());
    return `${layer}:${image}`;
  }

  const startedMs = performance.now();
  // another run may prepare one beside this
  const name = `vgpu-guest-prepare-${process.pid}-${version}`;
  await using guest = await createContainer({ name, image, seenAs: HARDWARE, binds: [], powerOn, log, signal });
  await plugIn(guest.root);
  await guest.write('/etc/modprobe.d/blacklist-nouveau.conf', BLACKLIST, 0o644);
  await guest.write(`/opt/${run.name}`, run.bytes, 0o755);
  await guest.boot();
  await guest.waitForBoot();
  // nothing boots from it, and rebuilding it is another journey's matter
  await guest.succeed(['sh', '-c', 'rm -f /boot/initrd.img-*']);
  await guest.succeed(['sh', `/opt/${run.name}`, '--silent', '--dkms'], { deadlineMs: INSTALL_MS });
  await guest.succeed(['sync']);
  await guest.crash();
  await keepLayer(guest.root, layer);
  log(`installed the driver ${version} in ${Math.round((performance.now() - startedMs) / 1000)} s: ${layer}`);
  return `${layer}:${image}`;
}

/** The guest's own layer lies beside its root. */
async function keepLayer(root: string, layer: string): Promise<void> {
  const draft = await mkdtemp(join(CACHE, 'draft-'));
  try {
    const copy = join(draft, 'layer');
    await execa('cp', ['--archive', join(root, '../layer'), copy]);
    await Promise.all(NOT_TO_BE_SHARED.map(path => rm(join(copy, path), { recursive: true, force: true })));
    // another run may have been faster
    await rename(copy, layer).catch(async error => {
      if (!(await exists(layer))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
