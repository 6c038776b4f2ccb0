import type { Argv } from '../change.ts';

/** A package that the driver's build needs. */
export interface Requirement {
  /** The name by which the package database knows it. */
  readonly name: string;
  /** What the package manager is asked for; the name unless an exact version is meant. */
  readonly ask: string;
  /** Met by the kernel's build tree, however it got there. */
  readonly headers?: true;
  /** By this package the headers of later kernels come with their kernels. */
  readonly follows?: true;
  /** Met by this program as well, whichever package brought it. */
  readonly program?: string;
  /** Where the package is found when the enabled repositories have none. */
  readonly source?: string;
}

/** What differs between the distributions, in one place. */
export interface Family {
  readonly id: 'suse' | 'rhel' | 'debian';
  /** Words of ID and ID_LIKE in os-release. */
  readonly ids: readonly string[];
  readonly requirements: (kernel: string) => readonly Requirement[];
  /** What is installed only where the configuration asks for it. */
  readonly extras: readonly Requirement[];
  /** The package of the C++ compiler. */
  readonly cxx: string;
  /** Package managers, the first one present is used. */
  readonly managers: readonly PackageManager[];
  /** Which of these packages are installed? One name a line, whatever else is printed around it. */
  readonly installed: (names: readonly string[]) => Argv;
  /** Everything that is installed, each as exactly as it can be named for a removal. */
  readonly everyPackage: Argv;
  /** What would become of others if these were removed; each match of `others` has one in its group, and nothing is changed. */
  readonly removal: { readonly test: (packages: readonly string[]) => Argv; readonly others: RegExp };
  readonly blacklistPath: string;
  readonly initrdImage: (kernel: string) => string;
  /** Where the system logger writes when the journal cannot be read. */
  readonly syslogPath: string;
  /** Packages of the distribution, or of NVIDIA's repositories, that bring a driver. */
  readonly driverPackages: DriverPackages;
  /** Where headers come with a kernel update only by a package that follows the kernel's: undefined where any headers package does that. */
  readonly kernelTracks?: KernelTracks;
}

interface DriverPackages {
  /** Which packages with such names are installed? As for `installed`. */
  readonly list: Argv;
  /** Those that bring modules or libraries of the driver. */
  readonly names: RegExp;
  readonly remove: (names: readonly string[]) => string;
}

interface KernelTracks {
  /** Which of the kernel's packages are installed? As for `installed`. */
  readonly list: Argv;
  /** The package by which the headers follow this one; undefined: it is the package of one kernel. */
  readonly headersOf: (kernelPackage: string) => string | undefined;
}

export interface PackageManager {
  readonly program: string;
  /** Makes the package lists current; a failure of one repository is no reason to stop. */
  readonly refresh?: (lockWaitS: number) => Argv;
  /** Which of these packages could be installed, by the lists that are on the guest. */
  readonly offers: {
    readonly ask: (names: readonly string[]) => Argv;
    readonly names: (answer: string, asked: readonly string[]) => readonly string[];
  };
  /** `lockWaitS`: how long it waits by itself for a lock that somebody else holds, where it can be told. */
  readonly install: (packages: readonly string[], lockWaitS: number) => Argv;
  /** Takes away these and no others. */
  readonly remove: (packages: readonly string[], lockWaitS: number) => Argv;
  readonly env: (lockWaitS: number) => Readonly<Record<string, string>>;
  /** What would be installed, without doing it: by the lists that are on the guest, or by current ones. */
  readonly simulate: {
    readonly ask: (packages: readonly string[], lists: 'at-hand' | 'current') => Argv;
    readonly names: (answer: string) => readonly string[];
  };
  /** Exit codes besides 0 for: done, and there is something to know. */
  readonly noticeCodes?: readonly number[];
  /** How it says that somebody else holds its lock; `code` is enough where the number is only used for that. */
  readonly locked: { readonly code?: number; readonly text: RegExp };
  /** How it says that an earlier run of it was cut, and what puts that right. */
  readonly interrupted?: { readonly text: RegExp; readonly mend: Argv };
}

const matches = (pattern: RegExp, text: string): readonly string[] =>
  [...text.matchAll(pattern)].flatMap(([, found]) => found ?? []);

const ZYPPER_DRY_RUN = ['install', '--dry-run', '--no-recommends'] as const;

const plain = (name: string): Requirement => ({ name, ask: name });

/** rpm's own words, through whichever program uses it: it does not wait for another one. */
const RPM_LOCKED = "can't create transaction lock on";

/** EPEL's dkms wants the headers that match some kernel, and dnf would bring the newest kernel along with them. */
const KERNELS = ['kernel', 'kernel-core', 'kernel-uek', 'kernel-uek-core'];

/** As a package of one kernel is asked for; dnf 5 ends no line by itself, and dnf 4 then ends each twice. */
const NEVRA = '%{name}-%{version}-%{release}.%{arch}\\n';
const dnf = (program: 'dnf' | 'yum'): PackageManager => ({
  program,
  // by itself it waits for another one without an end
  install: packages => [
    program,
    '--assumeyes',
    '--setopt=exit_on_lock=True',
    `--exclude=${KERNELS.join(',')}`,
    'install',
    ...packages,
  ],
  simulate: {
    ask: (packages, lists) => [
      program,
      '--assumeno',
      ...(lists === 'at-hand' ? ['--cacheonly'] : ['--setopt=exit_on_lock=True']),
      `--exclude=${KERNELS.join(',')}`,
      'install',
      ...packages,
    ],
    // a table whose rows are one blank in: ` cuda-nvcc-12-8  x86_64  12.8.93-1  cuda-rhel9-x86_64  64 M`; a long name has a row to itself
    names: answer => {
      const [table, summary] = answer.split(/^Transaction Summary/m);
      // without it there are problems that are told in such rows
      return summary === undefined ? [] : matches(/^ (\S+)/gm, table ?? '');
    },
  },
  remove: packages => [
    program,
    ...['--assumeyes', '--setopt=exit_on_lock=True', '--setopt=clean_requirements_on_remove=False', 'remove'],
    ...packages,
  ],
  offers: {
    ask: names => [program, '--cacheonly', '--quiet', 'repoquery', '--queryformat', NEVRA, ...names],
    names: answer => matches(/^(\S+)$/gm, answer),
  },
  env: () => ({}),
  // dnf(8): 200, a problem with acquiring a lock
  locked: {
    code: 200,
    // dnf 5 does not wait and has no code for it: Failed to obtain rpm transaction lock. Another transaction is in progress.
    text: new RegExp(
      `${RPM_LOCKED}|Failed to obtain rpm transaction lock|Another app is currently holding the yum lock|Existing lock .*: another copy is running`,
    ),
  },
});

/** Debian's, Ubuntu's and NVIDIA's own, down to the vGPU driver as a .deb; not NVIDIA's container toolkit or what only sets up a repository. */
const DEB_DRIVERS =
  /^(?!.*-local-repo-)(?:nvidia-(?:driver|headless|open|dkms|linux-grid|legacy|tesla)(?:-.+)?|nvidia-(?:kernel|open-kernel|kernel-open|current)-(?:dkms|source|open).*|linux-(?:modules|objects|signatures)-nvidia-.+|libnvidia-(?:compute|gl|ml1|cfg1).*|cuda-drivers.*)$/;
/** Red Hat's, RPM Fusion's, SUSE's and NVIDIA's own. */
const RPM_DRIVERS =
  /^(?!.*-local-repo-)(?:(?:kmod|akmod|dkms)-nvidia.*|nvidia-(?:driver|kmod|open|linux-grid)(?:-.+)?|xorg-x11-drv-nvidia.*|nvidia-(?:gfx|compute-|video-|gl-)G\d+.*|x11-video-nvidiaG\d+|cuda-drivers.*)$/;
const rpmDrivers = (remove: DriverPackages['remove']): DriverPackages => ({
  list: ['rpm', '--query', '--all', '--queryformat', '%{NAME}\\n', '*nvidia*', 'cuda-drivers*'],
  names: RPM_DRIVERS,
  remove,
});

const rpmInstalled = (names: readonly string[]): Argv => ['rpm', '--query', '--queryformat', '%{NAME}\\n', ...names];
const RPM_EVERY: Argv = ['rpm', '--query', '--all', '--queryformat', '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\\n'];
/** rpm itself tests more exactly than what is built upon it: nothing is solved, and nothing else is taken along. */
const RPM_REMOVAL: Family['removal'] = {
  test: packages => ['rpm', '--erase', '--test', ...packages],
  others: / is needed by \(installed\) (\S+)/g,
};

/** A removed package whose configuration stayed is listed too, hence the status in front of the name. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own syntax
const DPKG_FORMAT = '--showformat=${db:Status-Abbrev} ${Package}\\n';

export const FAMILIES: readonly Family[] = [
  {
    id: 'suse',
    ids: ['sles', 'sled', 'sle_hpc', 'suse', 'opensuse', 'opensuse-leap', 'opensuse-tumbleweed'],
    requirements: kernel => [
      {
        name: `kernel-${suseFlavor(kernel)}-devel`,
        // the package provides its version without the build number, as uname prints it
        ask: `kernel-${suseFlavor(kernel)}-devel=${kernel.slice(0, kernel.lastIndexOf('-'))}`,
        headers: true,
        source: 'the update repository of this service pack; a newer kernel may have to be booted first',
      },
      plain('libglvnd-devel'),
      plain('gcc'),
      plain('make'),
      { ...plain('dkms'), source: 'SUSE Package Hub (SUSEConnect --product PackageHub/VERSION/ARCH)' },
    ],
    extras: [
      {
        ...plain('x11vnc'),
        source: 'SUSE Package Hub (SUSEConnect --product PackageHub/VERSION/ARCH)',
      },
    ],
    cxx: 'gcc-c++',
    managers: [
      {
        program: 'zypper',
        install: packages => ['zypper', '--non-interactive', 'install', '--no-recommends', ...packages],
        simulate: {
          ask: (packages, lists) => [
            'zypper',
            '--non-interactive',
            ...(lists === 'at-hand' ? ['--no-refresh'] : []),
            ...ZYPPER_DRY_RUN,
            ...packages,
          ],
          // `The following 2 NEW packages are going to be installed:` and, two blanks in, their names
          names: answer =>
            matches(
              /(?:is|are) going to be (?:installed|upgraded|downgraded):\n((?: {2}.*\n)*(?: {2}.*)?)/g,
              answer,
            ).flatMap(block => block.trim().split(/\s+/)),
        },
        // it gives up where it finds no provider of one of them, or would have to ask how to solve what they need
        offers: {
          ask: names => ['zypper', '--non-interactive', '--no-refresh', ...ZYPPER_DRY_RUN, ...names],
          names: (answer, asked) => (/ going to be installed:$/m.test(answer) ? asked : []),
        },
        // it knows a version only behind the sign of equality, and no architecture there
        remove: packages => [
          'zypper',
          ...['--non-interactive', 'remove', '--no-clean-deps'],
          ...packages.map(name => name.replace(/^(.+)-([^-]+-[^-]+)\.[^.]+$/, '$1=$2')),
        ],
        env: lockWaitS => ({ ZYPP_LOCK_TIMEOUT: String(lockWaitS) }),
        // zypper(8): a reboot or a restart of zypper is needed, a repository was skipped, a script of a package failed
        noticeCodes: [100, 101, 102, 103, 106, 107],
        locked: { code: 7, text: new RegExp(`${RPM_LOCKED}|System management is locked`) }, // ZYPPER_EXIT_ZYPP_LOCKED
      },
    ],
    installed: rpmInstalled,
    everyPackage: RPM_EVERY,
    removal: RPM_REMOVAL,
    blacklistPath: '/etc/modprobe.d/50-blacklist.conf', // the path of SUSE's manual
    initrdImage: kernel => `/boot/initrd-${kernel}`,
    syslogPath: '/var/log/messages',
    driverPackages: rpmDrivers(names => `zypper remove --clean-deps ${names.join(' ')}`),
  },
  {
    id: 'rhel',
    ids: ['rhel', 'fedora', 'centos', 'rocky', 'almalinux', 'ol'],
    requirements: kernel => [
      {
        name: kernel.includes('uek') ? 'kernel-uek-devel' : 'kernel-devel',
        ask: `${kernel.includes('uek') ? 'kernel-uek-devel' : 'kernel-devel'}-${kernel}`,
        headers: true,
        source: 'the release repositories; a newer kernel may have to be booted first',
      },
      plain('kernel-headers'),
      plain('elfutils-libelf-devel'),
      plain('libglvnd-devel'),
      plain('gcc'),
      plain('make'),
      { ...plain('dkms'), source: 'EPEL (dnf install epel-release)' },
    ],
    extras: [{ ...plain('x11vnc'), source: 'EPEL (dnf install epel-release)' }],
    cxx: 'gcc-c++',
    managers: [dnf('dnf'), dnf('yum')],
    installed: rpmInstalled,
    everyPackage: RPM_EVERY,
    removal: RPM_REMOVAL,
    blacklistPath: '/etc/modprobe.d/blacklist-nouveau.conf',
    initrdImage: kernel => `/boot/initramfs-${kernel}.img`,
    syslogPath: '/var/log/messages',
    driverPackages: rpmDrivers(names => `dnf remove ${names.join(' ')}`),
  },
  {
    id: 'debian',
    ids: ['debian', 'ubuntu'],
    requirements: kernel => [
      {
        name: `linux-headers-${kernel}`,
        ask: `linux-headers-${kernel}`,
        headers: true,
        source: "the kernel's own repository; a newer kernel may have to be booted first",
      },
      { ...plain('pkg-config'), program: '/usr/bin/pkg-config' }, // newer releases know it as a virtual name of pkgconf only
      plain('libglvnd-dev'),
      plain('gcc'),
      plain('libc6-dev'), // gcc only recommends it, and nvidia-installer looks for its headers
      plain('make'),
      plain('dkms'),
    ],
    extras: [{ ...plain('x11vnc'), source: 'the component universe (Ubuntu) or main (Debian)' }],
    cxx: 'g++',
    managers: [
      {
        program: 'apt-get',
        offers: {
          ask: names => ['apt-cache', 'policy', ...names],
          names: answer => matches(/^(\S+):\n +Installed: .*\n +Candidate: (?!\(none\))/gm, answer),
        },
        refresh: lockWaitS => ['apt-get', '--option', `DPkg::Lock::Timeout=${lockWaitS}`, 'update'],
        install: (packages, lockWaitS) => [
          'apt-get',
          '--assume-yes',
          '--no-install-recommends',
          '--option',
          `DPkg::Lock::Timeout=${lockWaitS}`,
          'install',
          ...packages,
        ],
        simulate: {
          ask: packages => ['apt-get', '--simulate', '--no-install-recommends', 'install', ...packages],
          // `Inst cuda-nvcc-12-8 (12.8.93-1 NVIDIA CUDA:1.0 [amd64])`
          names: answer => matches(/^Inst ([^\s:]+)/gm, answer),
        },
        remove: (packages, lockWaitS) => [
          'apt-get',
          ...['--assume-yes', '--option', `DPkg::Lock::Timeout=${lockWaitS}`, 'remove'],
          ...packages,
        ],
        env: () => ({ DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' }),
        interrupted: { text: /dpkg was interrupted/, mend: ['dpkg', '--configure', '-a'] },
        locked: {
          text: /Could not get lock|(?:frontend|database) lock was locked by another process|status database is locked by another process|Unable to (?:acquire|lock) (?:the )?(?:dpkg frontend|administration|directory)/,
        },
      },
    ],
    installed: names => ['dpkg-query', '--show', DPKG_FORMAT, ...names],
    everyPackage: ['dpkg-query', '--show', DPKG_FORMAT],
    // it may also want to install one that stands in for another
    removal: {
      test: packages => ['apt-get', '--simulate', 'remove', ...packages],
      others: /^(?:Remv|Purg|Inst) (\S+)/gm,
    },
    blacklistPath: '/etc/modprobe.d/blacklist-nouveau.conf',
    initrdImage: kernel => `/boot/initrd.img-${kernel}`,
    syslogPath: '/var/log/syslog',
    driverPackages: {
      list: ['dpkg-query', '--show', DPKG_FORMAT, '*nvidia*', 'cuda-drivers*'],
      names: DEB_DRIVERS,
      remove: names => `apt-get purge ${names.join(' ')} && apt-get autoremove --purge`,
    },
    kernelTracks: {
      list: ['dpkg-query', '--show', DPKG_FORMAT, 'linux-image-*'],
      // linux-image-generic, -generic-hwe-24.04, -cloud-amd64, -azure; but not linux-image-6.8.0-49-generic
      headersOf: name =>
        /^linux-image-(?!unsigned-|extra-)([a-z].*?(?<!-dbg))$/.exec(name)?.[1]?.replace(/^/, 'linux-headers-'),
    },
  },
];

/** 5.14.21-150500.55.7-default → default */
function suseFlavor(kernel: string): string {
  return kernel.slice(kernel.lastIndexOf('-') + 1);
}
