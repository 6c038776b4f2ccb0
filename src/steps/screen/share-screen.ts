import template from '../../../units/vgpu-guest-x11vnc.service';
import { blocked, type Change, due, settled, type Verdict, warned } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import type { Facts } from '../../facts/facts.ts';
import { pathOfUnit } from '../../facts/revert/own-units.ts';
import { X11VNC } from '../../facts/screen/vnc.ts';
import { unitText } from '../../formats/systemd-unit.ts';
import { notChangeable } from '../gates.ts';
import { defineStep } from '../step.ts';

type Vnc = NonNullable<Config['vnc']>;

const UNIT = 'vgpu-guest-x11vnc.service';

/** A view of the screen that is there anyway: what X shows on the GPU is otherwise seen on no console of many hypervisors. */
export const shareScreen = defineStep({
  id: 'share-screen',
  title: 'Show the screen to VNC viewers',
  reads: ['vnc', 'ownUnits', 'screen', 'system'],
  judge({ vnc }, facts) {
    const present = facts.ownUnits[UNIT];
    if (!vnc) {
      if (present.text === undefined) return settled('no remote view of the screen is asked for');
      return due({ kind: 'remove-unit', unit: UNIT, because: 'the configuration has no vnc any more' });
    }
    return withoutPassword(vnc, facts.vnc) ?? notChangeable(facts) ?? arrange(vnc, facts);
  },
});

/** Whoever reaches the port would have the screen. */
function withoutPassword({ passwordFile: path }: Vnc, { passwordFile: file }: Facts['vnc']): Verdict | undefined {
  const make = `write one: x11vnc -storepasswd ${path} (the package x11vnc has it), then chmod 600 ${path}`;
  if (!file)
    return blocked(`the password file ${path} of vnc is not there, and nothing is shown without a password`, make);
  if (file.kind !== 'file' || file.sizeBytes === 0) return blocked(`${path} is no password file of VNC`, make);
  if (file.uid !== 0 || (file.mode & 0o077) !== 0)
    return blocked(
      `others than root can read or change the password file ${path}`,
      `chown root ${path} && chmod 600 ${path}`,
    );
  return undefined;
}

function arrange(vnc: Vnc, { vnc: found, ownUnits, screen }: Pick<Facts, 'vnc' | 'ownUnits' | 'screen'>): Verdict {
  const { text, enabled, active } = ownUnits[UNIT];
  const wanted = unitText(template, commandOf(vnc));
  const changes: Change[] = [];
  if (!found.program)
    changes.push({ kind: 'install-packages', packages: ['x11vnc'], because: 'x11vnc is not installed' });
  if (text !== wanted) {
    const because = `${UNIT} ${text === undefined ? 'is missing' : 'is not as the configuration asks for it'}`;
    changes.push({ kind: 'write', path: pathOfUnit(UNIT), text: wanted, mode: 0o644, because });
    changes.push({ kind: 'run', argv: ['systemctl', 'daemon-reload'], timeoutMs: RELOAD_MS, because });
  }
  if (!enabled) changes.push({ kind: 'service', unit: UNIT, action: 'enable', because: `${UNIT} is not enabled` });
  const isStale = text !== wanted || !['active', 'activating'].includes(active);
  if (screen.graphical && isStale) {
    const because = text === wanted ? `${UNIT} does not run` : 'x11vnc is to run as the configuration asks for it';
    changes.push({ kind: 'service', unit: UNIT, action: 'restart', because });
  }
  const [first, ...rest] = changes;
  if (first) return due(first, ...rest);
  const where = `${vnc.listen === 'all' ? 'every address' : vnc.listen}, port ${vnc.port}`;
  if (!screen.graphical)
    return settled(`the screen is shown to VNC viewers on ${where} when the graphical target is reached`);
  const shown = settled(`the screen is shown to VNC viewers on ${where}`);
  return active === 'activating' ? warned(shown, [`x11vnc waits for the X server: journalctl -b -u ${UNIT}`]) : shown;
}

const RELOAD_MS = 60_000;

/**
 * Becomes the command after it, with the cookie file that the X server itself was given. `-auth guess` finds the one of few display
 * managers: it looks for the display's number on the server's command line, where those of GNOME and KDE have none, and needs xdpyinfo.
 * Anybody may write such a lock where no X server runs, so that nothing of it but a number is taken.
 */
function asKnownToX(display: string): readonly string[] {
  const script = [
    `read -r pid </tmp/.X${display.slice(1)}-lock || exit 1`,
    "case $pid in '' | *[!0-9]*) exit 1 ;; esac",
    "auth=$(tr '\\0' '\\n' </proc/$pid/cmdline | sed -n '/^-auth$/{n;p;q;}')",
    '[ -n "$auth" ] || auth=guess',
    'exec "$@" -auth "$auth"',
  ].join('; ');
  return ['/bin/sh', '-c', script, 'x11vnc'];
}

/** -norc: a file in somebody's home must not take the password away. */
function commandOf({ display, passwordFile, port, listen, geometry }: Vnc): readonly string[] {
  const where = listen === 'all' ? [] : listen === 'localhost' ? ['-localhost'] : ['-listen', listen];
  return [
    ...asKnownToX(display),
    ...[X11VNC, '-norc', '-display', display, '-forever', '-shared'],
    ...['-rfbauth', passwordFile, '-rfbport', String(port), ...where],
    ...(geometry ? ['-geometry', geometry] : []),
  ];
}
