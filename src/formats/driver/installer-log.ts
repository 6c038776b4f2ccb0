/** Why an installation failed, as far as one line of it says. */
export interface InstallerFailure {
  /** The line as the installer wrote it. */
  readonly line: string;
  readonly cause: string;
  readonly remedy: string;
}

type Signature = readonly [fragment: string | RegExp, cause: string, remedy: string];

const REBOOT = 'reboot the guest and run vgpu-guest apply again';
const HEADERS = 'install the headers of the running kernel, or boot the newest kernel, then run vgpu-guest apply again';
const MAKE_ROOM =
  'make room in /var and /usr (about three times the size of the package each), then run vgpu-guest apply again';
const SIGNING =
  'turn Secure Boot off for this guest on the host, or enroll a key (mokutil --import) and sign the modules with it';
const SEE_MODULE = 'see what the kernel says: dmesg | grep NVRM';

/**
 * What nvidia-installer and its wrapper write when they give up, the narrowest first: an early line tells more than the
 * `Installation has failed` at the end. Fragments are those that stayed the same from R470 to R590; nothing is wrapped
 * where there is no terminal.
 */
const SIGNATURES: readonly Signature[] = [
  // the wrapper
  [
    /Error in (?:check ?sums|md5 sums)/,
    'the package is damaged or cut short',
    "copy the package again and compare it with NVIDIA's checksum (driver.sha256)",
  ],
  [
    /Temporary directory .* is not executable/,
    'programs cannot be run from the folder in which the package unpacks itself',
    'mount -o remount,exec the mount that the line names for the installation, then run vgpu-guest apply again',
  ],
  [
    /Unable to create temp(?:orary)? (?:file|directory)|Unable to create the target directory|No space left on device/,
    'there is no room for unpacking or installing the driver',
    MAKE_ROOM,
  ],
  [
    // it copies through memory, where a full disk is a signal and not an error
    'Received signal SIGBUS',
    'a file could not be written to its end, as where there is no room for it',
    MAKE_ROOM,
  ],
  [
    'this .run file is intended for the',
    'the package is made for another architecture',
    "set driver.package to the package for this guest's architecture",
  ],
  [
    /Cannot decompress|Extraction failed/,
    'the package cannot be unpacked',
    'copy the package again and compare its checksum',
  ],
  // the command line
  [
    'nvidia-installer must be run as root',
    'the installer does not run as root',
    'run vgpu-guest as root, and outside of a container without privileges',
  ],
  [
    /unrecognized option|Invalid commandline/,
    'this package does not know an option that it was given',
    'report this line together with the version of the package',
  ],
  // what holds the GPU
  [
    'You appear to be running an X server',
    'an X server is running',
    'stop it for the installation: systemctl isolate multi-user.target, and any VNC server of its own',
  ],
  [
    /An NVIDIA kernel module '[^']*' appears to/,
    'the present driver is in use and cannot be taken out of memory',
    'stop what uses the GPU (fuser -v /dev/nvidia*), or reboot, then run vgpu-guest apply again',
  ],
  [
    /already bound to (?:nouveau|NovaCore)/,
    'another driver holds the GPU',
    `keep that driver from loading (blacklist it, also in the initrd), then ${REBOOT}`,
  ],
  [
    /The Nouveau kernel driver is currently in use|configuration files to disable Nouveau are already present/,
    'nouveau holds the GPU',
    REBOOT,
  ],
  [
    // an alternate method that is merely available is mentioned too, and passed over
    /installed previously using a different installer|canceled due to the availability or presence of an alternate/,
    "the distribution's own packages have installed a driver (/usr/lib/nvidia/alternate-install-present)",
    "remove the distribution's NVIDIA packages, then run vgpu-guest apply again",
  ],
  [
    'Pre-unload hook script failed',
    'a script of the distribution, /usr/lib/nvidia/pre-unload, has failed',
    'run that script by hand to see why, then run vgpu-guest apply again',
  ],
  // headers and build
  [
    /Unable to find the kernel source tree|The kernel (?:source|output) path '[^']*' does not exist|The kernel header file '[^']*' does not exist|kernel header file exists|Your kernel headers for kernel \S+ cannot be found/,
    'the headers of the running kernel are not there or not complete',
    HEADERS,
  ],
  [
    /Unable to find the (?:development tool|system utility|module utility) |You do not appear to have libc header files/,
    'a program that the installer needs is missing',
    'install the package that the line names, then run vgpu-guest apply again',
  ],
  [
    'does not support real-time kernels',
    'the running kernel is a real-time kernel',
    "boot the distribution's default kernel, or see the package's README for IGNORE_PREEMPT_RT_PRESENCE",
  ],
  [
    /The (?:CC|Compiler) sanity check failed/,
    'the C compiler does not work for this kernel',
    'install the compiler that the kernel was built with (cat /proc/version)',
  ],
  [
    // Xen, Dom0, vgpu_kvm, and what later releases look for
    /The \S+ sanity check failed/,
    'this package does not work with the running kernel as it is configured',
    "read the lines below that one in the installer's log; boot the distribution's default kernel, or install the guest driver (-grid.run)",
  ],
  // loading
  [
    /signed by a key that is trusted|Secure boot is enabled on this system|Required key not available|Key was rejected by service/,
    'Secure Boot lets no module be loaded that is not signed with an enrolled key',
    SIGNING,
  ],
  [
    /Unable to generate key pair|Failed to generate key pair|Failed to sign kernel module/,
    'the modules could not be signed',
    `see whether openssl is installed, and whether driver.signingKey (PEM) and driver.signingCertificate (DER) belong together; or ${SIGNING}`,
  ],
  [
    /cannot sign .* without the `sign-file`/,
    'the kernel headers lack the program that signs modules',
    `install the complete kernel headers, or ${SIGNING}`,
  ],
  [
    /is not supported by open nvidia\.ko/,
    'the open kernel modules do not support this GPU',
    'set driver.kernelModules to proprietary, or take it out of the configuration, then run vgpu-guest apply again',
  ],
  [
    /Kernel module load error: No such device|installed in this system is not supported by the NVIDIA/,
    'the module finds no GPU that it may drive: another driver has it, or this driver does not fit the GPU or vGPU',
    `use the guest driver of the same vGPU release as the host; ${SEE_MODULE}`,
  ],
  [
    'Kernel module load error: Invalid module format',
    'the module was built for another kernel than the running one',
    HEADERS,
  ],
  [/Kernel module load error: |Unable to load the kernel module '/, 'the new module cannot be loaded', `${SEE_MODULE}`],
  [
    /is unsupported$|allow_unsupported_modules/,
    'this system refuses modules that its maker does not support',
    'set allow_unsupported_modules 1 (a copy of 10-unsupported-modules.conf in /etc/modprobe.d), then run vgpu-guest apply again',
  ],
  [
    "Unable to load the 'nvidia-drm' kernel module",
    'the files are installed, but modprobe refuses the module',
    'run modprobe nvidia-drm to see why; SUSE Linux Enterprise needs allow_unsupported_modules 1 in /etc/modprobe.d/10-unsupported-modules.conf',
  ],
  [
    /The path to the `modprobe` utility reported by/,
    '/proc/sys/kernel/modprobe names no modprobe',
    'set kernel.modprobe to the path of modprobe (sysctl kernel.modprobe=/sbin/modprobe)',
  ],
  // half-way, when the old driver is gone
  [
    /An incomplete installation of libglvnd was found.*Answer: Abort/,
    'libraries that all makers of graphics drivers share (libglvnd) are there in part',
    "install the distribution's libglvnd again (libglvnd0 libegl1 libglx0 libgl1 libopengl0, or libglvnd), then run vgpu-guest apply again",
  ],
  // DKMS
  [
    /Failed to find dkms on the system/,
    'DKMS is asked for and not installed',
    'install dkms, or set driver.dkms to false',
  ],
  [
    /Failed to install the kernel module through DKMS|Failed to register the NVIDIA kernel modules with DKMS|Failed to load DKMS tarball|Failed to run `[^`]*dkms /,
    'DKMS could not build or register the modules',
    'read /var/lib/dkms/nvidia/*/build/make.log and run dkms status',
  ],
  // the widest at last
  [
    /An error occurred while performing the step: "Building kernel modules"|kernel module was not created|failed to build/,
    'the modules do not compile for this kernel',
    'use a driver that supports this kernel (a newer kernel needs a newer driver), or boot an older kernel; the compiler says more in the log',
  ],
];

const DKMS_WARNING =
  /^(?:WARNING: )?.*(?:Failed to register the NVIDIA kernel modules with DKMS|Failed to load DKMS tarball|Failed to run `[^`]*dkms )/;
/** In silent mode it goes on after a failed copy, depmod or ldconfig, and ends with exit code 0. */
const WENT_ON = 'The installer has encountered the following error during installation';
/** What it then goes without; that it could not run something is seen by what that has left undone. */
const LEFT_OUT = new RegExp(`${WENT_ON}: '?Cannot (?:install|create symlink|backup) `);
/** An error that says no more than that there was one. */
const EMPTY_ERROR = /Installation has failed\.|Invalid commandline/;

/** The line that says most about a failure, with its cause and remedy; undefined when no line is known. */
export function findInstallerFailure(text: string): InstallerFailure | undefined {
  const lines = linesOf(text);
  // from R545 on what it gives up for may be a warning only; but warnings are there in logs that end for another reason
  return firstKnown(lines.filter(line => !line.startsWith('WARNING: '))) ?? firstKnown(lines);
}

/** Its own `ERROR:` lines, each once, the newest last; the one that only says that it failed is left out when there are others. */
export function installerErrors(text: string): readonly string[] {
  const errors = [...new Set(linesOf(text).filter(line => line.startsWith('ERROR: ')))];
  const telling = errors.filter(line => !EMPTY_ERROR.test(line));
  return telling.length > 0 ? telling : errors;
}

/** The line by which it says that DKMS has not got the modules, which from R520 on is no failure to it. */
export function findDkmsWarning(text: string): string | undefined {
  return linesOf(text).find(line => DKMS_WARNING.test(line));
}

/** What went wrong on the way although it ended well. */
export function findSkippedErrors(text: string): readonly string[] {
  return linesOf(text).filter(line => line.includes(WENT_ON));
}

/** Files of the driver that it has not put into their places, although it ended well. */
export function findLeftOut(text: string): readonly string[] {
  return linesOf(text).filter(line => LEFT_OUT.test(line));
}

function firstKnown(lines: readonly string[]): InstallerFailure | undefined {
  for (const [fragment, cause, remedy] of SIGNATURES) {
    const line = lines.find(candidate => holds(candidate, fragment));
    if (line) return { line, cause, remedy };
  }
  return undefined;
}

function linesOf(text: string): readonly string[] {
  return text
    .split(/[\r\n]+/)
    .map(line => line.trim())
    .filter(Boolean);
}

function holds(line: string, fragment: string | RegExp): boolean {
  return typeof fragment === 'string' ? line.includes(fragment) : fragment.test(line);
}
