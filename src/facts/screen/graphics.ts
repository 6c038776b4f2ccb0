import { parseXorgLog, type XorgLog } from '../../formats/screen/xorg-log.ts';
import type { GuestView } from '../../guest/guest.ts';
import type { Facts, Look } from '../facts.ts';

/** What shows something on a screen of this guest now, and what the X server last said. */
export interface GraphicsFact {
  /** Display servers and compositors that run. */
  readonly programs: readonly {
    readonly pid: number;
    readonly name: string;
    readonly kind: 'x' | 'xwayland' | 'wayland';
  }[];
  /** The newest log of an X server; undefined: there is none of this boot. */
  readonly log: ({ readonly path: string } & XorgLog) | undefined;
  /** When the X server that runs longest was started; undefined: none runs. */
  readonly xSinceUs: number | undefined;
  /** Displays on the PCI bus that are not NVIDIA's, as a hypervisor emulates them. */
  readonly otherDisplays: readonly string[];
}

/** Names of programs (comm), by what they show. */
const PROGRAMS: Readonly<Record<string, GraphicsFact['programs'][number]['kind']>> = {
  Xorg: 'x',
  X: 'x',
  Xwayland: 'xwayland',
  'gnome-shell': 'wayland',
  kwin_wayland: 'wayland',
  mutter: 'wayland',
  weston: 'wayland',
  sway: 'wayland',
  labwc: 'wayland',
  'cosmic-comp': 'wayland',
};
const LOG_LIMIT_BYTES = 512 * 1024;
/** Where X writes as root, and where it does without being root: for the login screen and for people. */
const LOG_FOLDERS = [
  '/var/log',
  '/var/lib/gdm3/.local/share/xorg',
  '/var/lib/gdm/.local/share/xorg',
  '/root/.local/share/xorg',
];
const DISPLAY_CLASS = /^0x03/;
const NVIDIA = '0x10de';

export async function collectGraphics({ guest, fact }: Look): Promise<GraphicsFact> {
  const [found, log, displays, screen] = await Promise.all([
    lookForPrograms(guest),
    newestLog(guest),
    otherDisplays(guest),
    fact('screen'),
  ]);
  // gnome-shell shows an X session too, and then it is not what shows it
  const isX = found.some(({ kind }) => kind === 'x');
  const locks = await Promise.all(screen.xServers.map(display => guest.stat(`/tmp/.X${display}-lock`)));
  const since = locks.flatMap(lock => (lock ? [lock.changedUs] : []));
  return {
    programs: found.filter(({ name }) => !(isX && name === 'gnome-shell')),
    log,
    xSinceUs: since.length > 0 ? Math.min(...since) : undefined,
    otherDisplays: displays,
  };
}

/** How the screen of this guest is shown, as far as it can be seen. */
export interface Shown {
  readonly by: 'x' | 'wayland' | 'none';
  /** Names of the programs. */
  readonly programs: readonly string[];
  /** Addresses of the GPUs that draw it; undefined: nvidia-smi does not say, and no log does. */
  readonly gpus: readonly string[] | undefined;
}

/** nvidia-smi says which programs draw on which GPU; where it does not answer, the X server's own log does. */
export function shownBy({ graphics, smi }: Pick<Facts, 'graphics' | 'smi'>): Shown {
  const { programs, log } = graphics;
  const by = programs.some(({ kind }) => kind === 'x') ? 'x' : programs.length > 0 ? 'wayland' : 'none';
  const names = [...new Set(programs.map(({ name }) => name))];
  if (by === 'none') return { by, programs: names, gpus: [] };
  const drawing = smi.answers
    ? smi.gpus.filter(gpu =>
        gpu.processes?.some(({ pid, draws }) => draws && programs.some(program => program.pid === pid)),
      )
    : [];
  if (drawing.length > 0) return { by, programs: names, gpus: drawing.map(({ address }) => address) };
  if (by === 'x' && log) return { by, programs: names, gpus: log.gpus };
  return { by, programs: names, gpus: smi.answers ? [] : undefined };
}

async function lookForPrograms(guest: GuestView): Promise<GraphicsFact['programs']> {
  const pids = (await guest.list('/proc')).filter(name => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async pid => ({ pid: Number(pid), name: (await commOf(guest, pid))?.trim() ?? '' })),
  );
  return found.flatMap(program => {
    const kind = Object.hasOwn(PROGRAMS, program.name) ? PROGRAMS[program.name] : undefined;
    return kind ? [{ ...program, kind }] : [];
  });
}

/** A process may end between two looks. */
async function commOf(guest: GuestView, pid: string): Promise<string | undefined> {
  return await guest.readStart(`/proc/${pid}/comm`, 64).catch(() => undefined);
}

async function newestLog(guest: GuestView): Promise<GraphicsFact['log']> {
  const people = (await guest.list('/home')).map(name => `/home/${name}/.local/share/xorg`);
  const listed = await Promise.all(
    [...LOG_FOLDERS, ...people].map(async folder =>
      (await guest.list(folder)).filter(name => /^Xorg\.\d+\.log$/.test(name)).map(name => `${folder}/${name}`),
    ),
  );
  const bootUs = await bootedUs(guest);
  const stats = await Promise.all(listed.flat().map(async path => ({ path, stat: await guest.stat(path) })));
  const logs = stats.flatMap(({ path, stat }) =>
    stat?.kind === 'file' && stat.modifiedUs >= bootUs ? [{ path, us: stat.modifiedUs }] : [],
  );
  const newest = logs.toSorted((one, other) => other.us - one.us)[0];
  const end = newest && (await guest.readEnd(newest.path, LOG_LIMIT_BYTES));
  return newest && end && { path: newest.path, ...parseXorgLog(end.text) };
}

async function bootedUs(guest: GuestView): Promise<number> {
  const seconds = Number(/^(\d+(?:\.\d+)?) /.exec((await guest.readText('/proc/uptime')) ?? '')?.[1]);
  return Number.isNaN(seconds) ? 0 : guest.nowUs() - seconds * 1_000_000;
}

async function otherDisplays(guest: GuestView): Promise<readonly string[]> {
  const found = await Promise.all(
    (await guest.list('/sys/bus/pci/devices')).map(async address => {
      const at = `/sys/bus/pci/devices/${address}`;
      const [vendor, kind] = await Promise.all([guest.readText(`${at}/vendor`), guest.readText(`${at}/class`)]);
      return DISPLAY_CLASS.test(kind ?? '') && vendor?.trim() !== NVIDIA ? [address] : [];
    }),
  );
  return found.flat();
}
