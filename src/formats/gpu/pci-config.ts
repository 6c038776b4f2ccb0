/** Offsets of the PCI Local Bus Specification 3.0, chapter 6. */
const STATUS = 0x06;
const HAS_CAPABILITIES = 0x10;
const FIRST_CAPABILITY = 0x34;
const VENDOR_SPECIFIC = 0x09;
/** The whole standard configuration space; without root only 64 bytes of it can be read. */
const STANDARD_SIZE = 256;

/** What a vGPU tells of the driver on its host. */
export interface VgpuHost {
  /** `570.211.01` */
  readonly version: string;
  /** NVIDIA's name for the branch, `R570`. */
  readonly branch: string;
}

/** Behind the letters lie records: a kind, a length that counts these two bytes as well, and data. */
const FIRST_RECORD = 5;
const HOST_DRIVER = 0;
/** Of the version, and again of the branch; what is not used is zero. */
const NAME_LENGTH = 10;

/**
 * Which driver the host of a vGPU has: NVIDIA's vgpu-util reads it so (vGPU 12 and later). undefined: it is no vGPU, it does not
 * tell, or the capabilities could not be read.
 */
export function vgpuHost(config: Uint8Array): VgpuHost | undefined {
  const start = vgpuCapability(config);
  if (start === undefined) return undefined;
  const end = Math.min(start + (config[start + 2] ?? 0), config.length);
  for (let at = start + FIRST_RECORD; at + 2 + 2 * NAME_LENGTH <= end; ) {
    if (config[at] === HOST_DRIVER) {
      const version = textAt(config, at + 2);
      return /^\d+(?:\.\d+)+$/.test(version) ? { version, branch: textAt(config, at + 2 + NAME_LENGTH) } : undefined;
    }
    const length = config[at + 1] ?? 0;
    if (length < 2) return undefined;
    at += length;
  }
  return undefined;
}

function textAt(config: Uint8Array, at: number): string {
  return Buffer.from(config.subarray(at, at + NAME_LENGTH))
    .toString('latin1')
    .replaceAll('\0', '')
    .trim();
}

/**
 * Whether an NVIDIA function is a vGPU: NVIDIA's vgpu-util looks for a vendor-specific capability with the letters VF.
 * undefined: the capabilities could not be read.
 */
export function hasVgpuCapability(config: Uint8Array): boolean | undefined {
  return config.length < STANDARD_SIZE ? undefined : vgpuCapability(config) !== undefined;
}

/** Where the vGPU's own capability begins. */
function vgpuCapability(config: Uint8Array): number | undefined {
  if (config.length < STANDARD_SIZE) return undefined;
  if (((config[STATUS] ?? 0) & HAS_CAPABILITIES) === 0) return undefined;
  let at = (config[FIRST_CAPABILITY] ?? 0) & ~3;
  for (let steps = 0; at >= 0x40 && steps < 48; steps++) {
    if (config[at] === VENDOR_SPECIFIC && config[at + 3] === 0x56 && config[at + 4] === 0x46) return at;
    at = (config[at + 1] ?? 0) & ~3;
  }
  return undefined;
}
