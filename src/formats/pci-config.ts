/** Offsets of the PCI Local Bus Specification 3.0, chapter 6. */
const STATUS = 0x06;
const HAS_CAPABILITIES = 0x10;
const FIRST_CAPABILITY = 0x34;
const VENDOR_SPECIFIC = 0x09;
/** The whole standard configuration space; without root only 64 bytes of it can be read. */
const STANDARD_SIZE = 256;

/**
 * Whether an NVIDIA function is a vGPU: NVIDIA's vgpu-util looks for a vendor-specific capability with the letters VF.
 * undefined: the capabilities could not be read.
 */
export function hasVgpuCapability(config: Uint8Array): boolean | undefined {
  if (config.length < STANDARD_SIZE) return undefined;
  if (((config[STATUS] ?? 0) & HAS_CAPABILITIES) === 0) return false;
  let at = (config[FIRST_CAPABILITY] ?? 0) & ~3;
  for (let steps = 0; at >= 0x40 && steps < 48; steps++) {
    if (config[at] === VENDOR_SPECIFIC && config[at + 3] === 0x56 && config[at + 4] === 0x46) return true;
    at = (config[at + 1] ?? 0) & ~3;
  }
  return false;
}
