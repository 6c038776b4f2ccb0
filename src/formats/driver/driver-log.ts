/** Why the driver does not work, by a line of the kernel's log. */
export interface DriverFault {
  /** The line as the kernel printed it. */
  readonly line: string;
  readonly cause: string;
  readonly remedy: string;
}

type Signature = readonly [pattern: RegExp, cause: string, remedy: string];

const SAME_RELEASE =
  'use the guest driver (-grid.run) of the vGPU release that the host runs; a guest must not be newer than its host';
const OTHER_MODULES =
  'set driver.kernelModules to proprietary in /etc/vgpu-guest/config.yaml, then vgpu-guest revert --driver, and vgpu-guest apply';
const REBOOT = 'reboot the guest; if it comes back, rebuild the initrd, which carries the other version';

/** The narrowest first: what a driver says in the end (RmInitAdapter failed) has its reason in an earlier line. */
const SIGNATURES: readonly Signature[] = [
  [
    /is already bound to (?!nvidia)\S+/,
    'another driver has the GPU',
    'vgpu-guest apply keeps nouveau and nova away from it; another one has to be unbound by hand',
  ],
  [
    /Guest driver is incompatible with host driver|Incompatible Guest\/Host drivers|(?:Guest|Host) VGX version is|The host version \S+ is too old/,
    'the driver of this guest and that of the host do not work together',
    SAME_RELEASE,
  ],
  [/vGPU type is not supported/, 'the guest driver does not know this type of vGPU', SAME_RELEASE],
  [/is not supported by open nvidia\.ko/, 'the open kernel modules do not support this GPU', OTHER_MODULES],
  [
    /installed in this system is not supported by the|does not include the required GPU/,
    'this driver does not support the GPU: a data-center driver in a guest with a vGPU, or one that is too old',
    SAME_RELEASE,
  ],
  [/API mismatch/, 'programs and kernel module of the driver are of different versions', REBOOT],
  [
    /Key was rejected|Loading of (?:unsigned module|module with \w+ key) is rejected|Lockdown: .*unsigned module loading/,
    'the kernel takes no module that is not signed with an enrolled key',
    'enroll the key that the modules are signed with (mokutil --import), or turn Secure Boot off for this guest on the host',
  ],
  [
    /PCI I\/O region assigned to your NVIDIA device is invalid/,
    'the firmware or the hypervisor has given the GPU no place for its memory',
    "give the guest more room for PCI memory on the host (a UEFI firmware, 64-bit MMIO), or add pci=realloc to the kernel's command line",
  ],
  [/\bXid\b.*?: 78\b/, 'the vGPU could not be started', SAME_RELEASE],
  [
    /RmInitAdapter failed/,
    'the driver cannot start the GPU',
    `${SAME_RELEASE}; or the GPU does not answer: see the log of the host`,
  ],
  [
    /No NVIDIA GPU found|probe routine was not called|None of the NVIDIA devices were initialized|No NVIDIA devices probed/,
    'the driver has found no GPU that it can drive',
    SAME_RELEASE,
  ],
];

/** The newest line of the narrowest known kind. */
export function findDriverFault(lines: readonly string[]): DriverFault | undefined {
  for (const [pattern, cause, remedy] of SIGNATURES) {
    const line = lines.findLast(candidate => pattern.test(candidate));
    if (line !== undefined) return { line, cause, remedy };
  }
  return undefined;
}
