import type { Argv } from '../change.ts';
import type { GuestView } from '../guest/guest.ts';
import type { KernelsFact } from './driver/kernels.ts';
import type { Look } from './facts.ts';
import type { Family, PackageManager, Requirement } from './families.ts';

/** What the driver's build needs and the guest has not got. */
export interface PrerequisitesFact {
  /** undefined: none of the family's package managers is there. */
  readonly manager: string | undefined;
  readonly missing: readonly Requirement[];
  /** What the driver's modules for other kernels than the running one need: the next boot's, and later ones. */
  readonly later: readonly Requirement[];
  /** Which of these the package manager has at hand, where it can tell without asking its repositories. */
  readonly offered: ReadonlySet<string>;
}

/** Where a system's own programs lie; the whole PATH of the guest is longer. */
const PROGRAM_DIRECTORIES = ['/usr/bin', '/usr/sbin', '/bin', '/sbin'];
/** A package database can be slow when it has to be recovered first. */
const DATABASE_TIMEOUT_MS = 60_000;

export async function collectPrerequisites({ guest, config, fact }: Look): Promise<PrerequisitesFact> {
  const { family, kernel } = await fact('system');
  if (!family) return { manager: undefined, missing: [], later: [], offered: NOTHING };
  const requirements = family.requirements(kernel).filter(({ name }) => config.driver.dkms || name !== 'dkms');
  const [manager, headers, later] = await Promise.all([
    findManager(guest, family),
    hasBuildTree(guest, kernel),
    config.driver.dkms ? lookAhead(guest, family, await fact('kernels')) : [],
  ]);
  const packages = requirements.filter(requirement => !requirement.headers);
  const names = packages.map(({ name }) => name);
  const installed = await namesOf(guest, family.installed(names));
  const met = await Promise.all(
    requirements.map(async ({ name, program, headers: ofKernel }) =>
      ofKernel
        ? headers
        : installed.has(name) || (program !== undefined && (await guest.stat(program))?.kind === 'file'),
    ),
  );
  const missing = requirements.filter((_, index) => !met[index]);
  const offered = missing.length === 0 && later.length > 0 ? await lookAtOffer(guest, manager, later) : NOTHING;
  return { manager: manager?.program, missing, later, offered };
}

const NOTHING: ReadonlySet<string> = new Set();

async function lookAtOffer(
  guest: GuestView,
  manager: PackageManager | undefined,
  wanted: readonly Requirement[],
): Promise<ReadonlySet<string>> {
  if (!manager) return NOTHING;
  const asked = wanted.map(({ ask }) => ask);
  const { stdout } = await guest.query(manager.offers.ask(asked), DATABASE_TIMEOUT_MS);
  return new Set(manager.offers.names(stdout, asked));
}

/** What the kernel of the next boot, and every later one, needs for its own modules. */
async function lookAhead(guest: GuestView, family: Family, { next }: KernelsFact): Promise<readonly Requirement[]> {
  const ofNext = next && !next.headers ? family.requirements(next.release).filter(({ headers }) => headers) : [];
  const tracks = family.kernelTracks;
  if (!tracks) return ofNext;
  const kernels = await namesOf(guest, tracks.list);
  const wanted = [...kernels].map(tracks.headersOf).filter(name => name !== undefined);
  if (wanted.length === 0) return ofNext;
  const there = await namesOf(guest, family.installed(wanted));
  const source = 'the repository that the kernel came from';
  return [
    ...ofNext,
    ...wanted.filter(name => !there.has(name)).map(name => ({ name, ask: name, follows: true as const, source })),
  ];
}

/** The first of the family's package managers that is there. */
export async function findManager(guest: GuestView, family: Family): Promise<PackageManager | undefined> {
  for (const manager of family.managers) if (await isInstalled(guest, manager.program)) return manager;
  return undefined;
}

/** Takes less time than to start a program in vain. */
export async function isInstalled(guest: GuestView, program: string): Promise<boolean> {
  const places = await Promise.all(PROGRAM_DIRECTORIES.map(directory => guest.stat(`${directory}/${program}`)));
  return places.some(place => place?.kind === 'file');
}

/** A kernel's modules are built in this folder, whichever package it came from; removed headers leave a link to nowhere. */
export async function hasBuildTree(guest: GuestView, kernel: string): Promise<boolean> {
  const makefile = await guest.stat(`/lib/modules/${kernel}/build/Makefile`);
  return makefile?.kind === 'file';
}

/**
 * The packages that a database names as installed. rpm prints the bare name of what is installed and `package gcc is not installed` for the rest. dpkg-query prints the wanted
 * and the present state and a possible error before each name: `ii  gcc`, `hi  gcc` (held), `rc  gcc` (removed, its
 * configuration stayed), `iU  gcc` (unpacked only), `iiR gcc` (broken).
 */
export async function namesOf(guest: GuestView, argv: Argv): Promise<ReadonlySet<string>> {
  const { stdout } = await guest.query(argv, DATABASE_TIMEOUT_MS);
  const names = stdout.split('\n').map(line => /^(?:[uihrp]i {2})?([^\s/]+)$/.exec(line)?.[1]);
  return new Set(names.filter(name => name !== undefined));
}
