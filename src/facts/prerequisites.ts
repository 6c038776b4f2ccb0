import type { GuestView } from '../guest/guest.ts';
import type { Look } from './facts.ts';
import type { Family, PackageManager, Requirement } from './families.ts';

/** What the driver's build needs and the guest has not got. */
export interface PrerequisitesFact {
  /** undefined: none of the family's package managers is there. */
  readonly manager: string | undefined;
  readonly missing: readonly Requirement[];
}

/** Where a system's own programs lie; the whole PATH of the guest is longer. */
const PROGRAM_DIRECTORIES = ['/usr/bin', '/usr/sbin', '/bin', '/sbin'];
/** A package database can be slow when it has to be recovered first. */
const DATABASE_TIMEOUT_MS = 60_000;

export async function collectPrerequisites({ guest, config, fact }: Look): Promise<PrerequisitesFact> {
  const { family, kernel } = await fact('system');
  if (!family) return { manager: undefined, missing: [] };
  const requirements = family.requirements(kernel).filter(({ name }) => config.driver.dkms || name !== 'dkms');
  const [manager, headers] = await Promise.all([findManager(guest, family), hasBuildTree(guest, kernel)]);
  const packages = requirements.filter(requirement => !requirement.headers);
  const names = packages.map(({ name }) => name);
  const { stdout } = await guest.query(family.installed(names), DATABASE_TIMEOUT_MS);
  const installed = installedNames(stdout);
  const met = await Promise.all(
    requirements.map(async ({ name, program, headers: ofKernel }) =>
      ofKernel
        ? headers
        : installed.has(name) || (program !== undefined && (await guest.stat(program))?.kind === 'file'),
    ),
  );
  return { manager: manager?.program, missing: requirements.filter((_, index) => !met[index]) };
}

/** The first of the family's package managers that is there. */
export async function findManager(guest: GuestView, family: Family): Promise<PackageManager | undefined> {
  for (const manager of family.managers) {
    const places = PROGRAM_DIRECTORIES.map(directory => guest.stat(`${directory}/${manager.program}`));
    if ((await Promise.all(places)).some(place => place?.kind === 'file')) return manager;
  }
  return undefined;
}

/** A kernel's modules are built in this folder, whichever package it came from; removed headers leave a link to nowhere. */
async function hasBuildTree(guest: GuestView, kernel: string): Promise<boolean> {
  const makefile = await guest.stat(`/lib/modules/${kernel}/build/Makefile`);
  return makefile?.kind === 'file';
}

/**
 * rpm prints the bare name of what is installed and `package gcc is not installed` for the rest. dpkg-query prints the wanted
 * and the present state and a possible error before each name: `ii  gcc`, `hi  gcc` (held), `rc  gcc` (removed, its
 * configuration stayed), `iU  gcc` (unpacked only), `iiR gcc` (broken).
 */
function installedNames(stdout: string): ReadonlySet<string> {
  const names = stdout.split('\n').map(line => /^(?:[uihrp]i {2})?([^\s/]+)$/.exec(line)?.[1]);
  return new Set(names.filter(name => name !== undefined));
}
