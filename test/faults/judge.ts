import { parseChangeRecord } from '../../src/formats/change-record.ts';
import type { FolderGuest, Ran } from '../helpers/folder-guest.ts';
import { leftRunning } from '../helpers/left-running.ts';
import type { Journey } from './journeys.ts';
import type { Fault, Shim, Site } from './shim.ts';
import { differences, type Tree, treeOf } from './tree.ts';

/** A journey that nothing has disturbed: what it did, and where it ended. */
export interface Undisturbed {
  readonly journey: Journey;
  readonly before: Tree;
  readonly after: Tree;
  readonly sites: readonly Site[];
  /** What the program itself has put in place on the way. */
  readonly placed: ReadonlySet<string>;
  /** What it keeps until the next boot. */
  readonly untilBoot: readonly string[];
}

export async function playUndisturbed(journey: Journey, shim: Shim): Promise<Undisturbed> {
  using guest = await journey.guest();
  const before = treeOf(guest);
  const ran = await guest.vgpuGuest(journey.args, shim.env(guest.root));
  if (ran.code !== journey.code) throw new Error(`${journey.name}: ${ran.code}\n${ran.stdout}${ran.stderr}`);
  const sites = shim.sites(guest.root);
  const untilBoot = guest.list('/run/vgpu-guest');
  return { journey, before, after: treeOf(guest), sites, placed: shim.placed(guest.root), untilBoot };
}

export interface Verdict {
  /** Each a sentence; none: the guest has recovered. */
  readonly complaints: readonly string[];
  /** The run came to the place of the fault. */
  readonly happened: boolean;
  readonly ran: Ran;
}

/** One fault, what it leaves, and the run after it. */
export async function playFault(whole: Undisturbed, site: Site, fault: Fault, shim: Shim): Promise<Verdict> {
  const { journey } = whole;
  using guest = await journey.guest();
  const ran = await guest.vgpuGuest(journey.args, shim.env(guest.root, fault, site));
  const happened = shim.sites(guest.root).some(({ op, path, nth }) => sameSite(site, { op, path, nth }));
  const complaints = [
    ...(await leftRunning(guest)),
    ...judgeEnd(ran, whole, site, fault, guest),
    ...judgeTree(guest, whole),
  ];
  const again = await guest.vgpuGuest(journey.args);
  if (again.code !== journey.code)
    complaints.push(`the run after it ends with ${again.code}:\n${again.stdout}${again.stderr}`);
  complaints.push(
    ...differences(whole.after, withoutCopies(treeOf(guest), whole)).map(line => `after the next run: ${line}`),
  );
  complaints.push(
    ...guest
      .list('/run/vgpu-guest')
      .filter(name => !whole.untilBoot.includes(name))
      .map(name => `left: /run/vgpu-guest/${name}`),
  );
  return { complaints, happened, ran };
}

/** A token that a failed rotation has put aside is never deleted; it is one of those that were there before. */
function withoutCopies(tree: Tree, { before, after }: Undisturbed): Tree {
  const known = new Set(Object.values(before).map(digestIn));
  const isCopy = ([path, what]: readonly [string, string]) =>
    path.startsWith('/var/lib/vgpu-guest/set-aside/') && !(path in after) && known.has(digestIn(what));
  return Object.fromEntries(Object.entries(tree).filter(entry => !isCopy(entry)));
}

const digestIn = (what: string) => what.split(' ').at(-1) ?? '';
const sameSite = (one: Site, other: Site) => one.op === other.op && one.path === other.path && one.nth === other.nth;

function judgeEnd(ran: Ran, whole: Undisturbed, site: Site, fault: Fault, guest: FolderGuest): readonly string[] {
  const said = ran.stdout + ran.stderr;
  const complaints: string[] = [];
  if (said.includes(guest.tokenText)) complaints.push('the token is in what it says');
  if (fault.is !== 'error') {
    if (ran.code !== KILLED && ran.code !== whole.journey.code)
      complaints.push(`a killed run has exit code ${ran.code}`);
    return complaints;
  }
  if (/^\s+at .*[:(]\d+/m.test(said) || /\bdefect\b|node:internal/.test(said)) complaints.push('a stack trace');
  if (ran.code === whole.journey.code) {
    // what it can do without it has done without
    const lacking = differences(whole.after, treeOf(guest)).filter(line => !HALF_WRITTEN.test(line));
    if (lacking.length > 0) complaints.push(`exit code ${ran.code}, and ${lacking.join('; ')}`);
    return complaints;
  }
  if (ran.code !== FAILED) complaints.push(`exit code ${ran.code}`);
  const places = fault.lasting ? whole.sites : [site];
  if (!places.some(place => saysWhere(said, place))) complaints.push(`does not name ${site.path}`);
  if (!saysWhat(said, fault)) complaints.push(`does not say ${fault.code}`);
  if (!/→ \S/.test(said)) complaints.push('no remedy');
  return complaints;
}

/** In nobody's way, and cleared by the next run. */
const HALF_WRITTEN = /^\S*\/\.[^/ ]+\.vgpu-guest: /;
const FAILED = 1;
const KILLED = 137;

/** The file itself, by the name that an operator knows it by, or its folder. */
function saysWhere(said: string, { path }: Site): boolean {
  const folder = path.slice(0, path.lastIndexOf('/'));
  return said.includes(path) || (folder !== '' && said.includes(folder));
}

function saysWhat(said: string, { code }: Extract<Fault, { is: 'error' }>): boolean {
  return said.includes(code) || said.includes(WORDS[code]);
}

const WORDS = {
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
  EIO: 'i/o error',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
} as const;

/** `revert` goes by it, whenever it comes. */
function faultOfRecord(guest: FolderGuest): readonly string[] {
  const text = guest.read('/var/lib/vgpu-guest/changes.json');
  const read = text === undefined ? undefined : parseChangeRecord(text);
  return read && 'because' in read ? [`changes.json is no record: ${read.because}`] : [];
}

/** It names the boot, which is another one for each guest. */
const OF_THE_BOOT = '/var/lib/vgpu-guest/installing.json';

function isJson(text = ''): boolean {
  try {
    return typeof JSON.parse(text) === 'object';
  } catch {
    return false;
  }
}

/** Every file that the program puts in place is an old one or a new one, and the guest can boot. */
function judgeTree(guest: FolderGuest, { before, after, placed, sites }: Undisturbed): readonly string[] {
  const now = treeOf(guest);
  const renamed = new Set(sites.filter(({ op }) => op === 'rename').map(({ path }) => path));
  const torn = [...renamed].filter(path => {
    const found = now[path];
    if (path === OF_THE_BOOT) return found !== undefined && !isJson(guest.read(path));
    if (found === undefined || found === before[path] || found === after[path])
      return before[path] !== undefined && !found;
    return !placed.has(found.split(' ').at(-1) ?? '');
  });
  return [
    ...faultOfRecord(guest),
    ...torn.map(path => `${path} is neither the old nor a new one: ${now[path] ?? 'absent'}`),
    ...guest
      .list('/boot')
      .filter(name => /^initr(d|amfs)[.-]/.test(name) && !/before-vgpu-guest$/.test(name))
      .filter(name => !guest.read(`/boot/${name}`)?.startsWith('070701'))
      .map(name => `/boot/${name} cannot boot`),
    ...Object.keys(before)
      .filter(path => /^\/boot\/initr/.test(path) && path in after && !(path in now))
      .map(path => `${path} is gone`),
  ];
}
