import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';
import { STATE_DIRECTORY } from '../record.ts';

/** What lets a boot, or a timer, run this program by itself. */
export interface GoesOnFact {
  /** A journey waits for its reboot, or its unit is still there. */
  readonly resume: boolean;
  /** The unit of a guest that was made from an image. */
  readonly firstBoot: boolean;
  /** The timer that looks after the license; whoever has enabled it is somebody else. */
  readonly licenseTimer: boolean;
}

const UNITS = '/etc/systemd/system';

export async function collectGoesOn({ guest }: Look): Promise<GoesOnFact> {
  const [marker, resume, firstBoot, licenseTimer] = await Promise.all([
    guest.stat(`${STATE_DIRECTORY}/resume.json`),
    isArranged(guest, 'vgpu-guest-resume.service', 'multi-user.target'),
    isArranged(guest, 'vgpu-guest-first-boot.service', 'multi-user.target'),
    guest.readLink(`${UNITS}/timers.target.wants/vgpu-guest-license.timer`),
  ]);
  return { resume: marker !== undefined || resume, firstBoot, licenseTimer: licenseTimer !== undefined };
}

/** Written where no package has brought it, or wanted by the target. */
async function isArranged(guest: GuestView, unit: string, target: string): Promise<boolean> {
  const [file, link] = await Promise.all([
    guest.stat(`${UNITS}/${unit}`),
    guest.readLink(`${UNITS}/${target}.wants/${unit}`),
  ]);
  return file !== undefined || link !== undefined;
}
