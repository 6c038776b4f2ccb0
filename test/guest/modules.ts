/**
 * Which of its modules a kernel of Debian's keeps in an image. Most of them are of hardware that no VM has, and depmod, initrd programs
 * and every boot would go through all that is there. Patterns of dpkg, in which a star stands for slashes too.
 */
const modules = (patterns: string, end = '') =>
  patterns
    .trim()
    .split(/\s+/)
    .map(pattern => `/lib/modules/*/kernel/${pattern}${end}`);

export const NEEDLESS_MODULES: readonly string[] = modules(
  `
  drivers/accessibility drivers/ata drivers/atm drivers/bluetooth drivers/comedi drivers/edac drivers/firewire
  drivers/gnss drivers/gpu/drm/amd drivers/gpu/drm/gma500 drivers/gpu/drm/i915 drivers/gpu/drm/radeon drivers/hid
  drivers/hwmon drivers/i2c/busses drivers/iio drivers/infiniband drivers/input/joystick drivers/input/tablet
  drivers/input/touchscreen drivers/isdn drivers/leds drivers/media drivers/memstick drivers/mmc drivers/mtd
  drivers/net/* drivers/nfc drivers/pcmcia drivers/platform drivers/scsi drivers/soundwire drivers/staging
  drivers/usb/misc drivers/usb/serial drivers/w1 drivers/watchdog net/*/netfilter net/bluetooth net/can net/ieee802154
  net/mac80211 net/netfilter net/nfc net/sched net/wireless sound
  `,
  '/*',
);

/** What of them a guest boots from, is typed into or answers by, and what nouveau needs. */
export const NEEDED_MODULES: readonly string[] = modules(`
  drivers/ata/*ahci* drivers/ata/ata_* drivers/ata/libata* drivers/hid/hid.ko drivers/hid/hid-generic.ko
  drivers/net/ethernet/intel/e1000* drivers/hid/usbhid/* drivers/platform/x86/wmi.ko drivers/platform/x86/mxm-wmi.ko
  drivers/scsi/s*_mod.ko drivers/scsi/scsi_* drivers/media/cec/core/* drivers/media/rc/rc-core.ko
  drivers/scsi/virtio_scsi.ko
`);
