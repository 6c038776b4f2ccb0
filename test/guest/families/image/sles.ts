import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DISTRIBUTIONS } from '../../../helpers/distributions.ts';
import type { Family } from './family.ts';
import { takeBuildTree, takeSources } from './kernel.ts';
import { libraries } from './libraries.ts';
import { type Repository, type Rpm, SLOW_UPDATE, type Take } from './rpm.ts';

const traits = DISTRIBUTIONS['sles-15.6'];
/** `6.4.0-150600.23.47`: what kernel packages provide; their own version has the number of the build behind it. */
const VERSION = traits.kernel.replace(/-default$/, '');
const SOURCES = `/usr/src/linux-${VERSION}`;
const BUILD_TREE = `/usr/src/linux-${VERSION}-obj/x86_64/default`;

/** The headers of this very kernel. */
const SOURCES_PACKAGE: Take = async (root, stage) => {
  await takeSources(root, join(stage, SOURCES));
  for (const name of ['scripts', 'tools']) await symlink(`${BUILD_TREE}/${name}`, join(stage, SOURCES, name));
};
const BUILD_TREE_PACKAGE: Take = async (root, stage) => {
  await takeBuildTree(root, join(stage, BUILD_TREE), traits.kernel);
  await writeFile(join(stage, BUILD_TREE, 'Makefile'), `include ../../../linux-${VERSION}/Makefile\n`);
};

/** The headers of another kernel: enough to be the wrong ones. */
const anotherTree =
  (version: string): Take =>
  async (_, stage) => {
    const folder = join(stage, `/usr/src/linux-${version}-obj/x86_64/default`);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'Makefile'), '');
  };

function kernelDevel(version: string, build: number, takeTree: Take, takeSource?: Take): readonly Rpm[] {
  const asPackaged = `${version}.${build}`;
  return [
    {
      name: 'kernel-devel',
      version: asPackaged,
      noarch: true,
      provides: [`kernel-devel = ${version}`, 'multiversion(kernel)'],
      requires: ['kernel-macros'],
      take: takeSource,
    },
    {
      name: 'kernel-default-devel',
      version: asPackaged,
      provides: [`kernel-default-devel = ${version}`, 'multiversion(kernel)'],
      requires: [`kernel-devel = ${version}`, 'libelf-devel'],
      take: takeTree,
    },
  ];
}

const POOL: Repository = {
  id: 'SLE-Module-Basesystem15-SP6-Pool',
  packages: [
    ...kernelDevel('6.4.0-150600.21', 3, anotherTree('6.4.0-150600.21')),
    { name: 'kernel-macros', version: '6.4.0-150600.21.2', noarch: true },
    {
      name: 'binutils',
      version: '2.41-150100.7.46.1',
      brings: ['binutils', 'binutils-common', 'binutils-x86-64-linux-gnu'],
    },
    {
      name: 'glibc-devel',
      version: '2.38-150600.12.1',
      requires: ['linux-glibc-devel', 'libxcrypt-devel'],
      brings: ['libc6-dev', 'libc-dev-bin'],
    },
    { name: 'linux-glibc-devel', version: '6.4-150600.2.15', brings: ['linux-libc-dev'] },
    { name: 'libxcrypt-devel', version: '4.4.15-150300.4.7.1', brings: ['libcrypt-dev'] },
    { name: 'libelf-devel', version: '0.185-150400.5.3.1', requires: ['zlib-devel'], brings: ['libelf-dev'] },
    { name: 'zlib-devel', version: '1.2.13-150500.4.3.1', brings: ['zlib1g-dev'] },
    { name: 'make', version: '4.2.1-7.3.2', brings: ['make'] },
    { name: 'patch', version: '2.7.6-150000.5.3.1', brings: ['patch'] },
    { name: 'libglvnd-devel', version: '1.4.0-150400.1.10', brings: ['libglvnd-core-dev'] },
  ],
};

/** The kernel that runs was not the first of its service pack, and is not its last. */
const UPDATES: Repository = {
  id: 'SLE-Module-Basesystem15-SP6-Updates',
  packages: [
    ...kernelDevel('6.4.0-150600.23.42', 2, anotherTree('6.4.0-150600.23.42')),
    ...kernelDevel(VERSION, 2, BUILD_TREE_PACKAGE, SOURCES_PACKAGE),
    ...kernelDevel('6.4.0-150600.23.50', 1, anotherTree('6.4.0-150600.23.50')),
    SLOW_UPDATE,
  ],
};

const DEVELOPMENT_TOOLS: Repository = {
  id: 'SLE-Module-Development-Tools15-SP6-Pool',
  packages: [
    { name: 'gcc', version: '7-3.9.1', requires: ['gcc7'], brings: ['gcc', 'cpp'], links: { '/usr/bin/cc': 'gcc' } },
    {
      name: 'gcc7',
      version: '7.5.0+r278197-4.30.1',
      requires: ['cpp7', 'binutils', 'glibc-devel'],
      brings: ['gcc-12', 'libgcc-12-dev'],
    },
    { name: 'cpp7', version: '7.5.0+r278197-4.30.1', brings: ['cpp-12'] },
  ],
};

const DKMS: Rpm = {
  name: 'dkms',
  version: '3.0.10-bp156.1.2',
  noarch: true,
  requires: ['gcc', 'make', 'patch', 'kmod', 'kernel-devel'],
  brings: ['dkms'],
  post: 'mkdir -p /var/lib/dkms',
};

const PACKAGE_HUB: Repository = { id: 'SUSE-PackageHub-15-SP6-Standard-Pool', packages: [DKMS] };

/** A dkms that needs what no repository has. */
const BROKEN_HUB: Repository = {
  id: 'SUSE-PackageHub-15-SP6-Broken',
  packages: [{ name: 'dkms', version: '3.0.13-bp156.2.1', noarch: true, requires: ['mokutil >= 1'] }],
  off: true,
};

const base = (names: string): readonly Rpm[] => names.split(' ').map(name => ({ name, version: '1-150600.1' }));

export const SLES: Family = {
  id: 'suse',
  traits,
  kernel: { release: traits.kernel, compressor: ['zstd', '-q', '--rm', '-3'], build: BUILD_TREE, source: SOURCES },
  packageManager: 'zypper',
  databasePath: '/usr/lib/sysimage/rpm',
  repositoryFolder: '/etc/zypp/repos.d',
  repositories: [POOL, UPDATES, DEVELOPMENT_TOOLS, PACKAGE_HUB, BROKEN_HUB],
  missing: { dkms: PACKAGE_HUB, headers: UPDATES },
  broken: BROKEN_HUB,
  installed: [
    ...libraries('150600.12.1'),
    ...base(
      'filesystem coreutils findutils gawk grep gzip sed tar kmod systemd dracut rpm libzypp zypper sles-release',
    ),
    { name: 'bash', version: '4.4-150400.25.22', provides: ['/bin/sh', '/bin/bash'] },
    { name: 'suse-module-tools', version: '15.6.10-150600.3.9.2' },
    {
      name: 'kernel-default',
      version: `${VERSION}.2`,
      provides: [`kernel-default = ${VERSION}`, `kernel = ${VERSION}`, 'multiversion(kernel)'],
    },
  ],
  strange: ['dnf', 'dnf-data', 'python3-dnf'],
  links: { '/boot/initrd': `initrd-${traits.kernel}`, '/boot/vmlinuz': `vmlinuz-${traits.kernel}` },
  files: {
    ...Object.fromEntries(
      Object.entries(traits.files ?? {}).map(([path, text]) => [path.replace(/^\/lib\//, '/usr/lib/'), text]),
    ),
    '/etc/zypp/zypp.conf': '[main]\nmultiversion = provides:multiversion(kernel)\n',
    // what SUSE's dracut package brings
    '/usr/lib/dracut/dracut.conf.d/01-dist.conf': `hostonly="yes"
hostonly_cmdline="yes"
compress="zstd -3 -T0 -q"
i18n_vars="/etc/sysconfig/language:RC_LANG-LANG,RC_LC_ALL-LC_ALL /etc/sysconfig/console:CONSOLE_UNICODEMAP-FONT_UNIMAP,CONSOLE_FONT-FONT,CONSOLE_SCREENMAP-FONT_MAP /etc/sysconfig/keyboard:KEYTABLE-KEYMAP"
omit_drivers+=" i2o_scsi "
stdloglvl="3"
sysloglvl="4"
`,
  },
};
