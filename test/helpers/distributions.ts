export type Distribution = 'sles-15.6' | 'rocky-9' | 'ubuntu-24.04' | 'debian-12';

/** The distribution that stands for its family. */
export const DISTRIBUTION_OF = { suse: 'sles-15.6', rhel: 'rocky-9', debian: 'ubuntu-24.04' } as const;

/** What differs between the distributions, as a guest in a folder shows it. */
export interface Traits {
  readonly kernel: string;
  /** Where the kernel's image looks for its initrd. */
  readonly initrd: string;
  readonly osRelease: string;
  readonly usrMerge: boolean;
  readonly rootFileSystem: string;
  readonly syslog: string;
  /** Debian 12 has the journal only. */
  readonly syslogDaemon: boolean;
  readonly dracut: boolean;
  readonly moduleSuffix: string;
  /** Where this distribution's dkms installs modules. */
  readonly dkmsFolder: string;
  readonly programs: readonly string[];
  /** What of the package database matters on a bare guest: NAME VERSION. */
  readonly installed: readonly string[];
  /** Files that the distribution ships and the journey meets. */
  readonly files?: Readonly<Record<string, string>>;
}

const EVERYWHERE = [
  ...['systemctl', 'busctl', 'journalctl', 'systemd-detect-virt', 'modprobe', 'modinfo', 'lsmod', 'depmod'],
  ...['uname', 'sh', 'tail', 'sync', 'mokutil', 'timedatectl', 'getent', 'network-probe', 'flock'],
];
const RPM_DRACUT = [...EVERYWHERE, 'rpm', 'dracut', 'lsinitrd'];
const APT = [
  ...EVERYWHERE,
  ...[
    'apt-get',
    'apt-cache',
    'dpkg-query',
    'mkinitramfs',
    'update-initramfs',
    'lsinitramfs',
    'unmkinitramfs',
    'run-parts',
  ],
];

// os-release texts: typed after what these systems print.
export const DISTRIBUTIONS: Readonly<Record<Distribution, Traits>> = {
  'sles-15.6': {
    kernel: '6.4.0-150600.23.47-default',
    initrd: '/boot/initrd-KERNEL',
    osRelease: `NAME="SLES"
VERSION="15-SP6"
VERSION_ID="15.6"
PRETTY_NAME="SUSE Linux Enterprise Server 15 SP6"
ID="sles"
ID_LIKE="suse"
ANSI_COLOR="0;32"
CPE_NAME="cpe:/o:suse:sles:15:sp6"
DOCUMENTATION_URL="https://documentation.suse.com/"
`,
    usrMerge: false,
    rootFileSystem: 'btrfs',
    syslog: '/var/log/messages',
    syslogDaemon: true,
    dracut: true,
    moduleSuffix: '.zst',
    dkmsFolder: 'updates',
    programs: [...RPM_DRACUT, 'zypper', 'mkinitrd'],
    installed: ['kernel-default 6.4.0-150600.23.47.2'],
    // after suse-module-tools, which ships it so on SUSE Linux Enterprise
    files: {
      '/lib/modprobe.d/10-unsupported-modules.conf':
        '# 0 - keep unsupported modules out\nallow_unsupported_modules 0\n',
    },
  },
  'rocky-9': {
    kernel: '5.14.0-503.14.1.el9_5.x86_64',
    initrd: '/boot/initramfs-KERNEL.img',
    osRelease: `NAME="Rocky Linux"
VERSION="9.5 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.5"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Rocky Linux 9.5 (Blue Onyx)"
ANSI_COLOR="0;32"
LOGO="fedora-logo-icon"
CPE_NAME="cpe:/o:rocky:rocky:9::baseos"
HOME_URL="https://rockylinux.org/"
VENDOR_NAME="RESF"
SUPPORT_END="2032-05-31"
ROCKY_SUPPORT_PRODUCT="Rocky-Linux-9"
ROCKY_SUPPORT_PRODUCT_VERSION="9.5"
`,
    usrMerge: true,
    rootFileSystem: 'xfs',
    syslog: '/var/log/messages',
    syslogDaemon: true,
    dracut: true,
    moduleSuffix: '.xz',
    dkmsFolder: 'extra',
    programs: [...RPM_DRACUT, 'dnf', 'grubby'],
    installed: ['kernel-core 5.14.0-503.14.1.el9_5'],
  },
  'ubuntu-24.04': {
    kernel: '6.8.0-49-generic',
    initrd: '/boot/initrd.img-KERNEL',
    osRelease: `PRETTY_NAME="Ubuntu 24.04.1 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION="24.04.1 LTS (Noble Numbat)"
VERSION_CODENAME=noble
ID=ubuntu
ID_LIKE=debian
HOME_URL="https://www.ubuntu.com/"
SUPPORT_URL="https://help.ubuntu.com/"
BUG_REPORT_URL="https://bugs.launchpad.net/ubuntu/"
PRIVACY_POLICY_URL="https://www.ubuntu.com/legal/terms-and-policies/privacy-policy"
UBUNTU_CODENAME=noble
LOGO=ubuntu-logo
`,
    usrMerge: true,
    rootFileSystem: 'ext4',
    syslog: '/var/log/syslog',
    syslogDaemon: true,
    dracut: false,
    moduleSuffix: '.zst',
    dkmsFolder: 'updates/dkms',
    programs: APT,
    installed: ['linux-image-6.8.0-49-generic 6.8.0-49.49', 'linux-image-generic 6.8.0-49.49'],
  },
  'debian-12': {
    kernel: '6.1.0-28-amd64',
    initrd: '/boot/initrd.img-KERNEL',
    osRelease: `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
SUPPORT_URL="https://www.debian.org/support"
BUG_REPORT_URL="https://bugs.debian.org/"
`,
    usrMerge: true,
    rootFileSystem: 'ext4',
    syslog: '/var/log/syslog',
    syslogDaemon: false,
    dracut: false,
    moduleSuffix: '',
    dkmsFolder: 'updates/dkms',
    programs: APT,
    installed: ['linux-image-6.1.0-28-amd64 6.1.119-1', 'linux-image-amd64 6.1.119-1'],
  },
};

/** What the package repositories have: NAME VERSION [PROVIDE…] a line; the headers first. */
export function repository(traits: Traits, kernel: string, lacks: readonly string[]): string {
  const lines = traits.dracut
    ? traits.programs.includes('zypper')
      ? susePackages(kernel)
      : rhelPackages(kernel)
    : aptPackages(kernel);
  return lines
    .filter(line => !lacks.includes(line.split(' ')[0] ?? ''))
    .join('\n')
    .concat('\n');
}

function susePackages(kernel: string): readonly string[] {
  const version = kernel.replace(/-default$/, '');
  return [
    `kernel-default-devel ${version}.2 kernel-default-devel=${version} KERNEL=${kernel}`,
    'libglvnd-devel 1.4.0-150400.1.10',
    'gcc 7-3.9.1',
    'gcc-c++ 7-3.9.1',
    'make 4.2.1-7.3.2',
    'dkms 3.0.10-bp156.1.2',
    'x11vnc 0.9.16-bp156.3.3',
  ];
}

function rhelPackages(kernel: string): readonly string[] {
  const version = kernel.replace(/\.x86_64$/, '');
  return [
    `kernel-devel ${version} kernel-devel-${kernel} KERNEL=${kernel}`,
    `kernel-headers ${version}`,
    'elfutils-libelf-devel 0.191-4.el9',
    'libglvnd-devel 1.3.4-1.el9',
    'gcc 11.5.0-2.el9',
    'gcc-c++ 11.5.0-2.el9',
    'make 4.3-8.el9',
    'dkms 3.0.10-1.el9',
    'x11vnc 0.9.16-8.el9',
  ];
}

function aptPackages(kernel: string): readonly string[] {
  return [
    `linux-headers-${kernel} ${kernel} KERNEL=${kernel}`,
    // by which the headers follow the kernel
    'linux-headers-amd64 6.1.119-1',
    'linux-headers-generic 6.8.0-49.49',
    'pkg-config 1.8.1-2build1',
    'libglvnd-dev 1.7.0-1build1',
    'gcc 4:13.2.0-7ubuntu1',
    'g++ 4:13.2.0-7ubuntu1',
    'libc6-dev 2.39-0ubuntu8.3',
    'make 4.3-4.1build2',
    'dkms 3.0.11-1ubuntu13',
    'x11vnc 0.9.16-9build1',
  ];
}
