import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';

/** What this very run stands on, and would lose when the graphical target is left; undefined: nothing, or no screen is there to leave. */
export type FootholdFact = { readonly evidence: string } | undefined;

/** Whoever is reached through these stays when the screen goes, whatever display was named there: their terminals are not on it. */
const OFF_SCREEN = /^(?:sshd.*|mosh-server|tmux: server|tmux|screen|login|agetty)$/;
/** What the graphical target is left for. */
const STAYS = 'multi-user.target';
/** A process has no more ancestors than this. */
const MOST_ANCESTORS = 64;
const ENVIRONMENT_LIMIT_BYTES = 256 * 1024;

export async function collectFoothold({ guest, fact }: Look): Promise<FootholdFact> {
  const { graphical, xServers } = await fact('screen');
  if (!graphical || xServers.length === 0) return undefined;
  const evidence = (await onTheScreen(guest, xServers)) ?? (await inAUnitThatEnds(guest));
  return evidence === undefined ? undefined : { evidence };
}

/** sudo may take DISPLAY out of the environment, but not out of that of the shell before it. */
async function onTheScreen(guest: GuestView, xServers: readonly number[]): Promise<string | undefined> {
  let own: string | undefined;
  let found: string | undefined;
  let pid = 'self';
  for (let depth = 0; depth < MOST_ANCESTORS; depth++) {
    const [, number, name = '', parent = '0'] =
      /^(\d+) \((.*)\) \S+ (\d+) /s.exec((await guest.readText(`/proc/${pid}/stat`)) ?? '') ?? [];
    if (number === undefined || OFF_SCREEN.test(name)) return undefined;
    const shown = displayOf((await guest.readStart(`/proc/${pid}/environ`, ENVIRONMENT_LIMIT_BYTES)) ?? '', xServers);
    if (shown && pid === 'self') own = `its environment has ${shown}`;
    else if (shown) found ??= `process ${number} (${name}) is on the screen, with ${shown}`;
    if (parent === '0' || parent === '1') break;
    pid = parent;
  }
  return found ?? own;
}

/** A display of this guest: with a host's name before the colon it is somebody else's, as by ssh -X. */
function displayOf(environment: string, xServers: readonly number[]): string | undefined {
  const variables = environment.split('\0');
  const wayland = variables.find(variable => /^WAYLAND_DISPLAY=./.test(variable));
  const x = variables.find(variable => {
    const number = /^DISPLAY=(?:unix)?:(\d+)(?:\.\d+)?$/.exec(variable)?.[1];
    return number !== undefined && xServers.includes(Number(number));
  });
  return x ?? wayland;
}

/** `systemctl isolate multi-user.target` stops every service that this target does not want; scopes of sessions stay. */
async function inAUnitThatEnds(guest: GuestView): Promise<string | undefined> {
  const groups = (await guest.readText('/proc/self/cgroup')) ?? '';
  const unit = /^(?:0:|\d+:name=systemd):\/system\.slice\/(?:[^/]+\.slice\/)*([^/]+\.service)(?:\/|$)/m.exec(
    groups,
  )?.[1];
  if (unit === undefined) return undefined;
  const show = ['systemctl', 'show', '--property=IgnoreOnIsolate', '--value', unit] as const;
  // from the unit upwards: what the target wants in the end is everything
  const list = ['systemctl', 'list-dependencies', '--reverse', '--all', '--plain', '--no-pager', unit] as const;
  const [ignores, wanting] = await Promise.all([guest.query(show), guest.query(list)]);
  if (ignores.code !== 0 || wanting.code !== 0 || ignores.stdout.trim() === 'yes') return undefined;
  const units = wanting.stdout.split('\n').map(line => line.trim());
  return units.includes(STAYS) ? undefined : `it belongs to ${unit}, which ${STAYS} does not want`;
}
