import { createHash } from 'node:crypto';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { CACHE, DEBIAN_ARCHITECTURE, openImage } from '../image.ts';
import { buildSilicon } from '../silicon/build.ts';
import { openEmulator } from './emulator.ts';
import { type KeyPair, makeKey } from './keys.ts';

/** The disks of a guest that has never booted; nobody writes into them. */
export interface Disks {
  readonly root: string;
  readonly boot: string;
  /** The kernel that is installed. */
  readonly kernel: string;
  /** How the QEMU is called that boots them. */
  readonly emulator: readonly string[];
  /** What the guest's own module is signed with, for guests whose kernel asks for that. */
  readonly certificate: string;
}

/** bare: what the driver's build needs is in a package repository of the guest; ready: it is installed. */
export type Furnishing = 'bare' | 'ready';

/** A Debian that boots, builds its initrd with dracut, and answers on the agent's port. */
const PACKAGES = [
  ...[
    'systemd',
    'systemd-sysv',
    'udev',
    'kmod',
    'dbus',
    'zstd',
    'ca-certificates',
    'iproute2',
    'procps',
    'less',
    'cloud-init',
  ],
  ...[`linux-image-${DEBIAN_ARCHITECTURE}`, 'dracut', 'pciutils', 'python3', 'qemu-guest-agent'],
];
/** What the journey installs, besides the headers of one kernel; the last one is by which later kernels bring theirs. */
const PREREQUISITES = [
  'dkms',
  'gcc',
  'libc6-dev',
  'libglvnd-dev',
  'make',
  'pkg-config',
  `linux-headers-${DEBIAN_ARCHITECTURE}`,
];
/** What a guest under Secure Boot installs to see which keys are enrolled. */
const KEY_TOOLS = ['mokutil'];
const REPOSITORY = '/srv/packages';
const CERTIFICATE = 'silicon.der';
const ROOT_SIZE = '6G';
/** As small as cloud images have it. */
const BOOT_SIZE = '500M';
const BUILD_LIMIT_MS = 15 * 60_000;

/** The same kernel as Debian builds it for clouds: another release that the guest can be updated to. */
export function secondKernel(kernel: string): string {
  return kernel.replace(/(?:amd64|arm64)$/, 'cloud-$&');
}

/** The disks of a furnishing, from the cache or built now. */
export async function openDisks(
  furnishing: Furnishing,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<Disks> {
  const image = await openImage({ suite: 'bookworm', packages: PACKAGES }, log, signal);
  const home = join(CACHE, `disks-${furnishing}-${await recipeHash(image)}`);
  const kernel = await onlyKernel(image);
  const emulator = await openEmulator(log, signal);
  const at = (name: string) => join(home, name);
  const disks = { root: at('root.ext4'), boot: at('boot.ext4'), certificate: at(CERTIFICATE), kernel, emulator };
  if (await stat(home).catch(() => undefined)) {
    await utimes(home, new Date(), new Date());
    return disks;
  }
  const startedMs = performance.now();
  log(`building the disks of a ${furnishing} guest, once: this takes minutes`);
  const draft = await mkdtemp(join(CACHE, 'draft-'));
  const tree = join(draft, 'tree');
  try {
    await Promise.all(['tree', 'layer', 'work', 'headers', 'disks'].map(name => mkdir(join(draft, name))));
    const layers = `lowerdir=${image},upperdir=${join(draft, 'layer')},workdir=${join(draft, 'work')}`;
    await execa('mount', ['-t', 'overlay', 'overlay', '-o', layers, tree]);
    const key = { secret: join(draft, 'silicon.key'), certificate: join(draft, 'disks', CERTIFICATE) };
    await furnish({ tree, headers: join(draft, 'headers'), kernel, furnishing, key, signal });
    await makeDisk(join(draft, 'disks/boot.ext4'), join(tree, 'boot'), BOOT_SIZE);
    await rm(join(tree, 'boot'), { recursive: true });
    await mkdir(join(tree, 'boot'));
    await makeDisk(join(draft, 'disks/root.ext4'), tree, ROOT_SIZE);
    // another run may have been faster
    await rename(join(draft, 'disks'), home).catch(async error => {
      if (!(await stat(home).catch(() => undefined))) throw error;
    });
  } finally {
    await execa('umount', ['--recursive', tree], { reject: false });
    await rm(draft, { recursive: true, force: true });
  }
  log(`built the disks of a ${furnishing} guest in ${Math.round((performance.now() - startedMs) / 1000)} s: ${home}`);
  return disks;
}

interface Site {
  readonly tree: string;
  /** Where the kernels' headers are unpacked for what is built at this machine's own speed. */
  readonly headers: string;
  readonly kernel: string;
  readonly furnishing: Furnishing;
  /** Goes with the draft once the guest's own modules are signed; its certificate stays. */
  readonly key: KeyPair;
  readonly signal: AbortSignal;
}

async function furnish(site: Site): Promise<void> {
  const { tree, headers, kernel, furnishing, key } = site;
  const put = async (path: string, text: string, mode = 0o644) => {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), text);
    await chmod(join(tree, path), mode);
  };
  for (const [path, text] of Object.entries(FILES)) await put(path, text, path.startsWith('usr/bin/') ? 0o755 : 0o644);
  await mkdir(join(tree, 'usr/lib/vgpu-guest'), { recursive: true });
  await execa('strip', ['-o', join(tree, 'usr/lib/vgpu-guest/node'), process.execPath]);
  await fillRepository(site);
  await makeKey(key, 'silicon');
  for (const release of [kernel, secondKernel(kernel)]) {
    const modules = join(tree, 'usr/lib/modules', release, 'updates');
    await mkdir(modules, { recursive: true });
    const silicon = await buildSilicon({ root: headers, kernel: release, signal: site.signal });
    await copyFile(silicon, join(modules, 'silicon.ko'));
    const sign = join(headers, 'usr/src', `linux-headers-${release}`, 'scripts/sign-file');
    await execa(sign, ['sha256', key.secret, key.certificate, join(modules, 'silicon.ko')]);
  }
  const commands = [
    ['depmod', kernel],
    [
      'systemctl',
      'enable',
      'systemd-networkd.service',
      'systemd-networkd-wait-online.service',
      'serial-getty@ttyS0.service',
    ],
    [
      'systemctl',
      'mask',
      'apt-daily.timer',
      'apt-daily-upgrade.timer',
      'fstrim.timer',
      'e2scrub_all.timer',
      'e2scrub_reap.service',
    ],
    ...(furnishing === 'ready'
      ? [['apt-get', '--assume-yes', '--no-install-recommends', 'install', `linux-headers-${kernel}`, ...PREREQUISITES]]
      : []),
    ['dracut', '--force', `/boot/initrd.img-${kernel}`, kernel],
  ];
  for (const argv of commands) await inside(site, argv);
  await rm(join(tree, 'etc/machine-id'), { force: true });
  await writeFile(join(tree, 'etc/machine-id'), '');
}

/** Packages that the guest can install without a network, stored so that unpacking takes an emulated processor little time. */
async function fillRepository(site: Site): Promise<void> {
  const { tree, headers, kernel } = site;
  const kernels = [kernel, secondKernel(kernel)];
  const wanted = [
    ...PREREQUISITES,
    ...KEY_TOOLS,
    ...kernels.map(name => `linux-headers-${name}`),
    `linux-image-${secondKernel(kernel)}`,
  ];
  await mkdir(join(tree, REPOSITORY, 'partial'), { recursive: true });
  await inside(site, ['apt-get', 'update']);
  const archives = ['--option', `Dir::Cache::archives=${REPOSITORY}`, '--option', 'Debug::NoLocking=1'];
  await inside(site, [
    'apt-get',
    '--assume-yes',
    '--no-install-recommends',
    '--download-only',
    ...archives,
    'install',
    ...wanted,
  ]);
  const index: string[] = [];
  for (const name of (await readdir(join(tree, REPOSITORY))).filter(file => file.endsWith('.deb')).sort()) {
    const file = join(tree, REPOSITORY, name);
    await execa('dpkg-deb', ['--raw-extract', file, `${file}.tree`]);
    await execa('dpkg-deb', ['-Znone', '--root-owner-group', '--build', `${file}.tree`, file]);
    await rm(`${file}.tree`, { recursive: true });
    if (/^linux-(?:headers|kbuild)-/.test(name)) await execa('dpkg-deb', ['--extract', file, headers]);
    const { stdout: control } = await execa('dpkg-deb', ['--field', file]);
    const bytes = await readFile(file);
    index.push(
      [
        control,
        `Filename: ./${name}`,
        `Size: ${bytes.length}`,
        `SHA256: ${createHash('sha256').update(bytes).digest('hex')}`,
        '',
        '',
      ].join('\n'),
    );
  }
  await writeFile(join(tree, REPOSITORY, 'Packages'), index.join(''));
  await rm(join(tree, 'etc/apt/sources.list.d'), { recursive: true, force: true });
  await writeFile(join(tree, 'etc/apt/sources.list'), `deb [trusted=yes] file:${REPOSITORY} ./\n`);
  await rm(join(tree, 'var/lib/apt/lists'), { recursive: true });
  await inside(site, ['apt-get', 'update']);
}

/** A program of the tree, at this machine's own speed, with its own /proc and /dev. */
async function inside({ tree, signal }: Site, argv: readonly string[]): Promise<void> {
  const how = ['--quiet', '--register=no', '--keep-unit', '--as-pid2', '--resolv-conf=replace-host', '--pipe'];
  const env = ['--setenv=DEBIAN_FRONTEND=noninteractive', '--setenv=LC_ALL=C'];
  await execa('systemd-nspawn', [...how, ...env, '--directory', tree, '--', ...argv], {
    stdin: 'ignore',
    timeout: BUILD_LIMIT_MS,
    cancelSignal: signal,
  });
}

async function makeDisk(path: string, tree: string, size: string): Promise<void> {
  await execa('mke2fs', ['-q', '-t', 'ext4', '-m', '0', '-d', tree, path, size]);
}

/** Changes to how the disks are made, or to what is built into them, make new ones. */
async function recipeHash(image: string): Promise<string> {
  const silicon = join(import.meta.dirname, '../silicon');
  const sources = [import.meta.filename, ...(await readdir(silicon)).sort().map(name => join(silicon, name))];
  const texts = await Promise.all(sources.map(path => readFile(path, 'utf8')));
  return createHash('sha256')
    .update(JSON.stringify([image, process.version, texts]))
    .digest('hex')
    .slice(0, 12);
}

async function onlyKernel(image: string): Promise<string> {
  const [kernel, ...more] = await readdir(join(image, 'usr/lib/modules'));
  if (!kernel || more.length > 0) throw new Error(`${image} must have one kernel`);
  return kernel;
}

/** Modules of dracut for hardware and networks that these guests do not have. */
const OMITTED = [
  ...[
    'lvm',
    'mdraid',
    'dmraid',
    'crypt',
    'multipath',
    'dm',
    'btrfs',
    'resume',
    'virtiofs',
    'lunmask',
    'hwdb',
    'nvdimm',
    'overlay-root',
    'qemu',
    'qemu-net',
    'terminfo',
  ],
  ...[
    'network',
    'network-legacy',
    'network-manager',
    'kernel-network-modules',
    'nfs',
    'iscsi',
    'nbd',
    'fcoe',
    'fcoe-uefi',
    'cifs',
  ],
  ...[
    'bluetooth',
    'rngd',
    'plymouth',
    'i18n',
    'usrmount',
    'tpm2-tss',
    'memstrack',
    'biosdevname',
    'pcsc',
    'kernel-modules-extra',
  ],
  ...[
    'dbus',
    'dbus-broker',
    'dbus-daemon',
    'systemd-networkd',
    'systemd-resolved',
    'systemd-hostnamed',
    'systemd-timedated',
  ],
  ...[
    'systemd-timesyncd',
    'systemd-pcrphase',
    'systemd-coredump',
    'systemd-portabled',
    'systemd-repart',
    'systemd-sysext',
  ],
  ...['systemd-veritysetup', 'systemd-integritysetup', 'systemd-cryptsetup'],
];

const FILES: Readonly<Record<string, string>> = {
  'etc/fstab': '/dev/vda / ext4 defaults 0 1\n/dev/vdb /boot ext4 defaults 0 2\n',
  'etc/hostname': 'guest\n',
  'etc/hosts': '127.0.0.1 localhost guest\n',
  'etc/resolv.conf': 'nameserver 10.0.2.3\n',
  'etc/systemd/network/net.network': '[Match]\nName=en*\n[Network]\nDHCP=ipv4\n',
  'etc/systemd/system/serial-getty@.service.d/root.conf':
    '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --keep-baud 115200 - $TERM\n',
  // it says a line for each question
  'etc/systemd/system/qemu-guest-agent.service.d/quiet.conf': '[Service]\nStandardError=null\n',
  'etc/cloud/cloud-init.disabled': '',
  // the journal of every boot is evidence
  'etc/systemd/journald.conf.d/keep.conf': '[Journal]\nStorage=persistent\nForwardToConsole=no\n',
  // the GPU and nouveau are there before the root is mounted; what this hardware does not need is left out, for speed
  'etc/dracut.conf.d/10-guest.conf': [
    'hostonly=no',
    // /boot has room for it, and every pass over an image is one that an emulated processor need not unpack
    'compress="cat"',
    'do_strip=no',
    'do_hardlink=no',
    'drivers=" virtio_blk virtio_pci virtio_net ext4 nouveau "',
    'force_drivers+=" silicon "',
    `omit_dracutmodules+=" ${OMITTED.join(' ')} "`,
    '',
  ].join('\n'),
  // what the executable that ships has in it: V8 need not compile the program at every start
  'usr/bin/vgpu-guest': [
    '#!/bin/sh',
    'export NODE_COMPILE_CACHE=/var/cache/compiled',
    'exec /usr/lib/vgpu-guest/node /usr/lib/vgpu-guest/vgpu-guest.mjs "$@"',
    '',
  ].join('\n'),
};
