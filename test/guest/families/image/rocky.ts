import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DISTRIBUTIONS } from '../../../helpers/distributions.ts';
import type { Family } from './family.ts';
import { takeBuildTree, takeSources } from './kernel.ts';
import { libraries } from './libraries.ts';
import { type Repository, type Rpm, SLOW_UPDATE, type Take } from './rpm.ts';

const traits = DISTRIBUTIONS['rocky-9'];
const VERSION = traits.kernel.replace(/\.x86_64$/, '');
const OLDER = '5.14.0-503.11.1.el9_5';
const NEWER = '5.14.0-503.15.1.el9_5';
const BUILD_TREE = `/usr/src/kernels/${traits.kernel}`;

/** The headers of this very kernel. */
const THIS_TREE: Take = async (root, stage) => {
  await takeSources(root, join(stage, BUILD_TREE));
  await takeBuildTree(root, join(stage, BUILD_TREE), traits.kernel);
};

/** The headers of another kernel: enough to be the wrong ones. */
const anotherTree =
  (version: string): Take =>
  async (_, stage) => {
    const folder = join(stage, `/usr/src/kernels/${version}.x86_64`);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'Makefile'), '');
  };

const kernelCore = (version: string): Rpm => ({
  name: 'kernel-core',
  version,
  provides: [`kernel-core-uname-r = ${version}.x86_64`, 'installonlypkg(kernel)'],
});

function kernelDevel(version: string, take: Take): readonly Rpm[] {
  return [
    {
      name: 'kernel-devel',
      version,
      provides: [`kernel-devel-uname-r = ${version}.x86_64`, 'installonlypkg(kernel)'],
      requires: ['elfutils-libelf-devel', 'gcc', 'make'],
      take,
    },
    { name: 'kernel-devel-matched', version, requires: [`kernel-devel = ${version}`, `kernel-core = ${version}`] },
  ];
}

const BASEOS: Repository = {
  id: 'baseos',
  packages: [
    kernelCore(VERSION),
    { name: 'make', version: '1:4.3-8.el9', brings: ['make'] },
    {
      name: 'binutils',
      version: '2.35.2-54.el9',
      brings: ['binutils', 'binutils-common', 'binutils-x86-64-linux-gnu'],
    },
    SLOW_UPDATE,
  ],
};

const APPSTREAM: Repository = {
  id: 'appstream',
  packages: [
    {
      name: 'gcc',
      version: '11.5.0-2.el9',
      requires: ['cpp = 11.5.0-2.el9', 'binutils', 'glibc-devel'],
      brings: ['gcc', 'gcc-12', 'libgcc-12-dev'],
      links: { '/usr/bin/cc': 'gcc' },
    },
    { name: 'cpp', version: '11.5.0-2.el9', brings: ['cpp', 'cpp-12'] },
    {
      name: 'glibc-devel',
      version: '2.34-125.el9_5.1',
      requires: ['kernel-headers', 'libxcrypt-devel'],
      brings: ['libc6-dev', 'libc-dev-bin'],
    },
    { name: 'libxcrypt-devel', version: '4.4.18-3.el9', brings: ['libcrypt-dev'] },
    { name: 'kernel-headers', version: VERSION, brings: ['linux-libc-dev'] },
    { name: 'elfutils-libelf-devel', version: '0.191-4.el9', requires: ['zlib-devel'], brings: ['libelf-dev'] },
    { name: 'zlib-devel', version: '1.2.11-40.el9', brings: ['zlib1g-dev'] },
    { name: 'patch', version: '2.7.6-16.el9', brings: ['patch'] },
    { name: 'libglvnd-devel', version: '1:1.3.4-1.el9', brings: ['libglvnd-core-dev'] },
  ],
};

/** In life a part of the one before; here it can be switched off by itself. */
const APPSTREAM_KERNELS: Repository = {
  id: 'appstream-kernels',
  packages: [...kernelDevel(OLDER, anotherTree(OLDER)), ...kernelDevel(VERSION, THIS_TREE)],
};

/** What an update of the distribution brings. */
export const NEXT_KERNEL: Repository = {
  id: 'next-kernel',
  packages: [kernelCore(NEWER), ...kernelDevel(NEWER, anotherTree(NEWER))],
  off: true,
};

const DKMS: Rpm = {
  name: 'dkms',
  version: '3.0.10-1.el9',
  noarch: true,
  requires: ['gcc', 'make', 'patch', 'kmod', 'elfutils-libelf-devel', '(kernel-devel-matched if kernel-core)'],
  brings: ['dkms'],
  post: 'mkdir -p /var/lib/dkms',
};

const EPEL: Repository = { id: 'epel', packages: [DKMS] };

/** A dkms that needs what no repository has. */
const BROKEN_EPEL: Repository = {
  id: 'epel-broken',
  packages: [{ name: 'dkms', version: '3.0.13-1.el9', noarch: true, requires: ['mokutil >= 1'] }],
  off: true,
};

const base = (names: string): readonly Rpm[] => names.split(' ').map(name => ({ name, version: '1-1.el9' }));

export const ROCKY: Family = {
  id: 'rhel',
  traits,
  kernel: { release: traits.kernel, compressor: ['xz', '-0', '--check=crc32'], build: BUILD_TREE, source: 'build' },
  packageManager: 'dnf',
  databasePath: '/var/lib/rpm',
  repositoryFolder: '/etc/yum.repos.d',
  repositories: [BASEOS, APPSTREAM, APPSTREAM_KERNELS, NEXT_KERNEL, EPEL, BROKEN_EPEL],
  missing: { dkms: EPEL, headers: APPSTREAM_KERNELS },
  broken: BROKEN_EPEL,
  installed: [
    ...libraries('125.el9_5.1'),
    ...base('filesystem coreutils findutils gawk grep gzip sed tar kmod systemd dracut rpm dnf'),
    { name: 'bash', version: '5.1.8-9.el9', provides: ['/bin/sh', '/bin/bash'] },
    {
      name: 'rocky-release',
      version: '9.5-1.2.el9',
      noarch: true,
      provides: ['system-release = 9.5', 'system-release(releasever) = 9'],
    },
    kernelCore(VERSION),
  ],
  strange: ['zypper', 'zypper-common'],
  files: {
    // Red Hat's: the best version of a package or an error, and never this system's own kernel removed
    '/etc/dnf/dnf.conf': `[main]
gpgcheck=1
installonly_limit=3
clean_requirements_on_remove=True
best=True
skip_if_unavailable=False
`,
    // what Fedora's and Red Hat's dracut package brings
    '/usr/lib/dracut/dracut.conf.d/01-dist.conf': `i18n_vars="/etc/sysconfig/keyboard:KEYTABLE-KEYMAP /etc/sysconfig/i18n:SYSFONT-FONT,FONTACM-FONT_MAP,FONT_UNIMAP"
i18n_default_font="eurlatgr"
i18n_install_all="yes"
stdloglvl=3
sysloglvl=5
install_optional_items+=" vi /etc/virc ps grep cat rm "
prefix="/"
systemdutildir=/usr/lib/systemd
systemdsystemunitdir=/usr/lib/systemd/system
systemdsystemconfdir=/etc/systemd/system
udevdir=/usr/lib/udev
hostonly="yes"
hostonly_cmdline="no"
early_microcode="yes"
reproducible="yes"
`,
  },
};
