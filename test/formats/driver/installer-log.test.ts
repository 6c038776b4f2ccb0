import { describe, expect, test } from 'vitest';
import {
  findDkmsWarning,
  findInstallerFailure,
  findSkippedErrors,
  installerErrors,
} from '../../../src/formats/driver/installer-log.ts';

// Lines typed from nvidia-installer's source and from logs that people have published.
const HEAD = [
  "nvidia-installer log file '/var/log/nvidia-installer.log'",
  'creation time: Mon Apr 25 14:31:09 2022',
  'installer version: 510.47.03',
  '',
  'nvidia-installer command line:',
  '    ./nvidia-installer',
  '    --silent',
  '',
  'Using built-in stream user interface',
  '-> Detected 12 CPUs online; setting concurrency level to 12.',
  '-> Installing NVIDIA driver version 510.47.03.',
];
const FAILED =
  "ERROR: Installation has failed.  Please see the file '/var/log/nvidia-installer.log' for details.  You may find suggestions on fixing installation problems in the README available on the Linux driver download page at www.nvidia.com.";
const NOUVEAU_FILES =
  'WARNING: One or more modprobe configuration files to disable Nouveau are already present at: /etc/modprobe.d/nvidia-installer-disable-nouveau.conf.  Please be sure you have rebooted your system since these files were written.';
const NO_ROOM = 'there is no room for unpacking or installing the driver';
const NO_HEADERS = 'the headers of the running kernel are not there or not complete';
const SIGNATURE = 'Secure Boot lets no module be loaded that is not signed with an enrolled key';
const log = (...lines: string[]) => [...HEAD, ...lines, FAILED, ''].join('\n');

describe('a failed installation', () => {
  test('a remark about nouveau does not hide that make is missing', () => {
    const line =
      "ERROR: Unable to find the development tool `make` in your path; please make sure that you have the package 'make' installed.  If make is installed on your system, then please check that `make` is in your PATH.";
    expect(findInstallerFailure(log(NOUVEAU_FILES, line))).toEqual({
      line,
      cause: 'a program that the installer needs is missing',
      remedy: 'install the package that the line names, then run vgpu-guest apply again',
    });
  });

  test('from R545 on a bound nouveau is a warning and an abort', () => {
    const line =
      'WARNING: The Nouveau kernel driver is currently in use by your system.  This driver is incompatible with the NVIDIA driver, and must be disabled before proceeding.';
    expect(findInstallerFailure(log(line, '-> (Answer: Abort installation)'))).toEqual({
      line,
      cause: 'nouveau holds the GPU',
      remedy: 'reboot the guest and run vgpu-guest apply again',
    });
  });

  test('the reason why a module was not loaded counts more than that it was not', () => {
    const failure = findInstallerFailure(
      log("ERROR: Unable to load the kernel module 'nvidia.ko'.", '-> Kernel module load error: No such device'),
    );
    expect(failure?.line).toBe('-> Kernel module load error: No such device');
  });

  test('NovaCore on the GPU counts more than the module that finds no device', () => {
    const failure = findInstallerFailure(
      log(
        "ERROR: Unable to load the kernel module 'nvidia.ko'.",
        '-> Kernel module load error: No such device',
        '-> Kernel messages:',
        '   [   61.2] NVRM: GPU 0000:01:00.0 is already bound to NovaCore.',
      ),
    );
    expect(failure?.cause).toBe('another driver holds the GPU');
  });

  test('a real-time kernel is named as such, and not by the check that has found it', () => {
    const reason =
      'The NVIDIA driver does not support real-time kernels. If you are using a stock distribution kernel,';
    const failure = findInstallerFailure(log('ERROR: The PREEMPT_RT sanity check failed:', '', reason));
    expect(failure).toMatchObject({ line: reason, cause: 'the running kernel is a real-time kernel' });
  });

  test('libraries of libglvnd that are only optional are no reason', () => {
    const optional =
      "-> An incomplete installation of libglvnd was found. All of the essential libglvnd libraries are present, but one or more optional components are missing. Do you want to install a full copy of libglvnd? This will overwrite any existing libglvnd libraries. (Answer: Don't install libglvnd files)";
    const why = "ERROR: Unable to load the 'nvidia-drm' kernel module.";
    expect(findInstallerFailure(log(optional, why))?.line).toBe(why);
    expect(findInstallerFailure(log(optional))).toBeUndefined();
  });

  test("a distribution's own method that is merely available is no reason", () => {
    const available =
      '-> An alternate method of installing the NVIDIA driver was detected. (This is usually a package provided by your distributor.)';
    expect(findInstallerFailure(log(available, '(Answer: Continue installation)'))).toBeUndefined();
  });

  test.each([
    ['ERROR: You appear to be running an X server; please exit X before installing.', 'an X server is running'],
    [
      "ERROR: An NVIDIA kernel module 'nvidia' appears to already be loaded in your kernel.",
      'the present driver is in use and cannot be taken out of memory',
    ],
    [
      "ERROR: An NVIDIA kernel module 'nvidia-uvm' appears to be already loaded in your kernel.",
      'the present driver is in use and cannot be taken out of memory',
    ],
    [
      'ERROR: Unable to find the kernel source tree for the currently running kernel.',
      'the headers of the running kernel are not there or not complete',
    ],
    [
      'ERROR: The kernel module failed to load, because it was not signed by a key that is trusted by the kernel.',
      'Secure Boot lets no module be loaded that is not signed with an enrolled key',
    ],
    [
      "ERROR: Unable to load the 'nvidia-drm' kernel module.",
      'the files are installed, but modprobe refuses the module',
    ],
    [
      'ERROR: Failed to install the kernel module through DKMS. No kernel module was installed; please try installing again without DKMS.',
      'DKMS could not build or register the modules',
    ],
    [
      'ERROR: An error occurred while performing the step: "Building kernel modules". See /var/log/nvidia-installer.log for details.',
      'the modules do not compile for this kernel',
    ],
    [
      'ERROR: The NVIDIA driver appears to have been installed previously using a different installer.',
      "the distribution's own packages have installed a driver (/usr/lib/nvidia/alternate-install-present)",
    ],
    ['nvidia-installer: unrecognized option: "--x"', 'this package does not know an option that it was given'],
    ['Verifying archive integrity... Error in md5 sums 0123 4567', 'the package is damaged or cut short'],
    [
      'ERROR: Temporary directory /tmp is not executable - use the  --tmpdir option to specify a different one.',
      'programs cannot be run from the folder in which the package unpacks itself',
    ],
    ['Received signal SIGBUS; aborting.', 'a file could not be written to its end, as where there is no room for it'],
    ['Unable to create temporary file in /var/lib/vgpu-guest/unpacked', NO_ROOM],
    ["Unable to create the target directory '/var/lib/vgpu-guest/unpacked/selfgz812'.", NO_ROOM],
    ['tar: ./libcuda.so: Cannot write: No space left on device', NO_ROOM],
    ['ERROR: this .run file is intended for the', 'the package is made for another architecture'],
    ['Cannot decompress /opt/driver.run', 'the package cannot be unpacked'],
    ['Extraction failed.', 'the package cannot be unpacked'],
    ['ERROR: nvidia-installer must be run as root', 'the installer does not run as root'],
    [
      'ERROR: Invalid commandline, please run `./nvidia-installer --help` for usage information.',
      'this package does not know an option that it was given',
    ],
    ['ERROR: Pre-unload hook script failed', 'a script of the distribution, /usr/lib/nvidia/pre-unload, has failed'],
    [
      'ERROR: The installation was canceled due to the availability or presence of an alternate driver installation. Please see /var/log/nvidia-installer.log for more details.',
      "the distribution's own packages have installed a driver (/usr/lib/nvidia/alternate-install-present)",
    ],
    ["ERROR: The kernel source path '/usr/src/linux' does not exist.", NO_HEADERS],
    ["ERROR: The kernel output path '/lib/modules/K/build' does not exist.", NO_HEADERS],
    ["ERROR: The kernel header file '/lib/modules/K/build/include/linux/kernel.h' does not exist.", NO_HEADERS],
    [
      "ERROR: Neither the '/b/include/linux/version.h' nor the '/b/include/generated/uapi/linux/version.h' kernel header file exists.",
      NO_HEADERS,
    ],
    [
      'Error! Your kernel headers for kernel 6.1.0-28-amd64 cannot be found at /lib/modules/6.1.0-28-amd64/build',
      NO_HEADERS,
    ],
    ['ERROR: Unable to find the module utility `modprobe`', 'a program that the installer needs is missing'],
    ['ERROR: Unable to find the system utility `ldconfig`', 'a program that the installer needs is missing'],
    [
      'ERROR: You do not appear to have libc header files installed on your system.',
      'a program that the installer needs is missing',
    ],
    ['The NVIDIA driver does not support real-time kernels.', 'the running kernel is a real-time kernel'],
    ['ERROR: The CC sanity check failed:', 'the C compiler does not work for this kernel'],
    ['ERROR: The Compiler sanity check failed:', 'the C compiler does not work for this kernel'],
    ...['Xen', 'Dom0', 'vgpu_kvm'].map(name => [
      `ERROR: The ${name} sanity check failed:`,
      'this package does not work with the running kernel as it is configured',
    ]),
    [
      '-> An incomplete installation of libglvnd was found. Do you want to install a full copy of libglvnd? This will overwrite any existing libglvnd libraries. (Answer: Abort installation.)',
      'libraries that all makers of graphics drivers share (libglvnd) are there in part',
    ],
    [
      'ERROR: The kernel module failed to load. Secure boot is enabled on this system, so this is likely because it was not signed by a key',
      SIGNATURE,
    ],
    ['-> Kernel module load error: Required key not available', SIGNATURE],
    ['-> Kernel module load error: Key was rejected by service', SIGNATURE],
    [
      'ERROR: nvidia-installer cannot sign nvidia.ko without the `sign-file` module signing program',
      'the kernel headers lack the program that signs modules',
    ],
    ['ERROR: Unable to generate key pair: openssl not found!', 'the modules could not be signed'],
    [
      '   [   61.2] NVRM: The NVIDIA vGPU 0000:00:06.0 (PCI ID: 10de:1eb8) installed in this system is not supported by open nvidia.ko.'.trim(),
      'the open kernel modules do not support this GPU',
    ],
    [
      'NVRM: installed in this system is not supported by the NVIDIA 580.95.05 driver release.',
      'the module finds no GPU that it may drive: another driver has it, or this driver does not fit the GPU or vGPU',
    ],
    [
      '-> Kernel module load error: Invalid module format',
      'the module was built for another kernel than the running one',
    ],
    ['-> Kernel module load error: Operation not permitted', 'the new module cannot be loaded'],
    ["ERROR: Unable to load the kernel module 'nvidia.ko'.", 'the new module cannot be loaded'],
    [
      "modprobe: ERROR: module 'nvidia-drm' is unsupported",
      'this system refuses modules that its maker does not support',
    ],
    [
      "ERROR: The path to the `modprobe` utility reported by '/proc/sys/kernel/modprobe', ``, differs",
      '/proc/sys/kernel/modprobe names no modprobe',
    ],
    ['ERROR: Failed to find dkms on the system!', 'DKMS is asked for and not installed'],
    ['ERROR: Failed to load DKMS tarball: Error! ...', 'DKMS could not build or register the modules'],
    ['ERROR: Failed to run `/usr/sbin/dkms build -m nvidia`: Error!', 'DKMS could not build or register the modules'],
    ['ERROR: The nvidia kernel module was not created.', 'the modules do not compile for this kernel'],
    [
      "ERROR: The nvidia-drm kernel module failed to build. You can try to install without it with '--no-drm'.",
      'the modules do not compile for this kernel',
    ],
  ])('%s', (line, cause) => {
    expect(findInstallerFailure(log(line))).toMatchObject({ line, cause, remedy: expect.stringMatching(/\S/) });
  });

  test('a line that nobody knows is still quoted, and the last one only when it is the only one', () => {
    expect(installerErrors(log('ERROR: Something new.', 'ERROR: Something new.'))).toEqual(['ERROR: Something new.']);
    expect(installerErrors(log())).toEqual([FAILED]);
    expect(findInstallerFailure(log('ERROR: Something new.'))).toBeUndefined();
  });
});

describe('an installation that ended well', () => {
  test('a missing registration with DKMS is seen', () => {
    const line =
      'WARNING: Failed to register the NVIDIA kernel modules with DKMS. The NVIDIA kernel modules were installed, but will not be automatically rebuilt if you change your kernel.';
    expect(findDkmsWarning([...HEAD, line].join('\n'))).toBe(line);
    expect(findDkmsWarning(HEAD.join('\n'))).toBeUndefined();
  });

  test('what it went on after is seen', () => {
    const line =
      "-> The installer has encountered the following error during installation: 'Failed to execute `/sbin/ldconfig`'. Would you like to continue installation anyway? (Answer: Continue installation)";
    expect(findSkippedErrors([...HEAD, line].join('\n'))).toEqual([line]);
  });
});
