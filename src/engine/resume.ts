import type { Argv } from '../change.ts';
import type { Settings } from '../config/schema.ts';
import { AgentError } from '../errors.ts';
import { STATE_DIRECTORY, whyForeign } from '../facts/record.ts';
import { unitText } from '../formats/systemd-unit.ts';
import type { Guest, GuestView } from '../guest/guest.ts';
import { failedCommand } from './failed-command.ts';

/** Of the last run that was not settled from the start. */
export const LAST_REPORT = `${STATE_DIRECTORY}/last-report.json`;
const MARKER = `${STATE_DIRECTORY}/resume.json`;
const RESUME_UNIT = 'vgpu-guest-resume.service';
const UNIT_PATH = `/etc/systemd/system/${RESUME_UNIT}`;
const PACKAGED_UNIT_FOLDERS = ['/usr/lib/systemd/system', '/lib/systemd/system'];
const WANTED_BY = `/etc/systemd/system/multi-user.target.wants/${RESUME_UNIT}`;
/** A journey needs one reboot, two when the driver is replaced; more are a loop. */
const MOST_REBOOTS = 3;

/** A folder below it that only root can enter, and every folder on the way there. */
export async function makeStateFolder(guest: Guest, path: string): Promise<void> {
  const below = path.slice(STATE_DIRECTORY.length).split('/').slice(1);
  for (let depth = 0; depth <= below.length; depth++) {
    await guest.makeDirectory([STATE_DIRECTORY, ...below.slice(0, depth)].join('/'), 0o700);
  }
}

/** Why the guest is to be rebooted, and what the journey was asked for. */
export interface ResumeMarker {
  /** The boot in which the reboot became due. */
  readonly bootId: string;
  readonly step: string;
  readonly because: string;
  /** Reboots that this journey has asked for, this one included. */
  readonly reboots: number;
  /** What flags and environment said, since the next boot has neither. */
  readonly settings: Settings;
  /** The configuration file that was named; absent: the default one. */
  readonly configPath?: string;
  readonly only: readonly string[];
  readonly skip: readonly string[];
}

export async function readMarker(guest: GuestView): Promise<ResumeMarker | undefined> {
  const foreign = await whyForeign(guest, MARKER);
  if (foreign !== undefined) {
    throw new AgentError(`${MARKER} is not taken: ${foreign}`, {
      fault: 'blocked',
      remedy: 'see what it says, remove it, and run vgpu-guest apply again',
    });
  }
  const text = await guest.readText(MARKER);
  try {
    return text === undefined ? undefined : (JSON.parse(text) as ResumeMarker);
  } catch (cause) {
    throw new AgentError(`${MARKER} is not what this program wrote`, {
      remedy: `remove ${MARKER}, and run vgpu-guest apply again`,
      cause,
    });
  }
}

/** The reboot that was asked for, and that the guest has had since, did not help: asking again would be a loop. */
export function refuseLoop(
  last: ResumeMarker | undefined,
  next: Omit<ResumeMarker, 'reboots'>,
  changedSince: boolean,
): void {
  if (!last || last.bootId === next.bootId) return;
  const same = last.step === next.step && last.because === next.because && !changedSince;
  if (!same && last.reboots < MOST_REBOOTS) return;
  throw new AgentError(`the guest was rebooted for this already, and still ${next.because}`, {
    remedy: next.step === 'set-ecc' ? ECC_STAYS : COMES_BACK,
  });
}

const COMES_BACK =
  'find out what brings it back (lsinitrd or lsinitramfs for the initrd, /proc/cmdline, modules loaded by name), mend it, reboot, and run vgpu-guest apply';
const ECC_STAYS =
  'the host decides about ECC of a vGPU, and a GPU may have to lose its power for it: shut the guest down and start it again, ask who runs the host, or take gpu.ecc out';

/** The next boot goes on by itself: the marker first, so that a started unit always finds it. */
export async function arrangeResume(guest: Guest, marker: ResumeMarker, unitText: string): Promise<void> {
  await guest.makeDirectory(STATE_DIRECTORY, 0o700);
  const text = `${JSON.stringify(marker, null, 2)}\n`;
  if ((await guest.readText(MARKER)) !== text) await guest.writeText(MARKER, text, 0o600);
  if (await guest.readLink(WANTED_BY)) return;
  if (!(await isPackaged(guest))) {
    await guest.writeText(UNIT_PATH, unitText, 0o644);
    await systemctl(guest, 'daemon-reload');
  }
  await systemctl(guest, 'enable', RESUME_UNIT);
}

/** The journey is over: no boot goes on with it. `keepMarker`: it failed, and the next run must know which reboot was tried. */
export async function endResume(guest: Guest, marker: 'forget-marker' | 'keep-marker'): Promise<void> {
  // Without a reload: this run may be the unit's own. systemd would let the boot go on beside it, since its target does not want it
  // any more, and would measure it by the default time limit of 90 s, since its file is gone.
  if (await guest.readLink(WANTED_BY)) {
    // it may know the unit no more, or have said yes and done nothing: a link that stays would fail every later run
    await guest.run(['systemctl', '--no-reload', 'disable', RESUME_UNIT], { timeoutMs: 60_000 });
    await guest.remove(WANTED_BY);
  }
  if (!(await isPackaged(guest)) && (await guest.stat(UNIT_PATH))) await guest.remove(UNIT_PATH);
  if (marker === 'forget-marker') await guest.remove(MARKER);
}

/** A unit that a package brought stays where it is. */
export async function isPackaged(guest: GuestView, unit = RESUME_UNIT): Promise<boolean> {
  return (await Promise.all(PACKAGED_UNIT_FOLDERS.map(folder => guest.stat(`${folder}/${unit}`)))).some(Boolean);
}

async function systemctl(guest: Guest, ...args: readonly string[]): Promise<void> {
  const argv: Argv = ['systemctl', ...args];
  const outcome = await guest.run(argv, { timeoutMs: 60_000 });
  if (outcome.code !== 0)
    throw failedCommand(
      argv,
      outcome,
      'without systemd nothing can go on after a reboot: run vgpu-guest apply again by hand',
    );
}

/** The unit's text with the program that runs now in it. */
export function resumeUnitText(template: string, program: Argv): string {
  return unitText(template, [...program, 'apply', '--resume']);
}
