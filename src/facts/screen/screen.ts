import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';

/** Whether somebody looks at a screen of this guest. */
export interface ScreenFact {
  /** graphical.target is active. */
  readonly graphical: boolean;
  /** ActiveState of display-manager.service, which is a link to the one that counts. */
  readonly displayManager: string;
  /** Display numbers of running X servers (lock files whose process is alive). */
  readonly xServers: readonly number[];
  /** A run has left the graphical target for an installation, and has not come back in this boot. */
  readonly left?: true;
}

/** In /run, which a boot empties: then the graphical target comes back by itself. */
export const LEFT_GRAPHICAL = '/run/vgpu-guest/left-graphical';

export const DISPLAY_MANAGER = 'display-manager.service';

/** nvidia-installer looks at these eight and no others, and takes any living process for an X server (misc.c). */
const X_LOCK = /^\.X([0-7])-lock$/;

export async function collectScreen({ guest }: Look): Promise<ScreenFact> {
  const [units, names, left] = await Promise.all([
    guest.query(['systemctl', 'is-active', 'graphical.target', DISPLAY_MANAGER]), // a line each
    guest.list('/tmp'),
    guest.stat(LEFT_GRAPHICAL),
  ]);
  const displays = names.flatMap(name => X_LOCK.exec(name)?.[1] ?? []).map(Number);
  const alive = await Promise.all(displays.map(display => holdsDisplay(guest, display)));
  const [target, displayManager] = units.stdout.split('\n');
  return {
    graphical: target === 'active',
    displayManager: displayManager || 'unknown',
    xServers: displays.filter((_, index) => alive[index]),
    ...(left ? { left: true } : {}),
  };
}

async function holdsDisplay(guest: GuestView, display: number): Promise<boolean> {
  const lock = `/tmp/.X${display}-lock`;
  // anybody may put a pipe or a link there, and X writes neither
  if ((await guest.readLink(lock)) !== undefined || (await guest.stat(lock))?.kind !== 'file') return false;
  const pid = /^\s*(\d+)\s*$/.exec((await guest.readStart(lock, 32)) ?? '')?.[1];
  return pid !== undefined && (await guest.stat(`/proc/${pid}`)) !== undefined;
}
