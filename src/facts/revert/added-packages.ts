import type { GuestView, Outcome } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';
import type { Family } from '../families.ts';
import { namesOf } from '../prerequisites.ts';

/** Packages that came with a run of this program and are still there, and what would become of others without them. */
export interface AddedPackagesFact {
  readonly there: readonly string[];
  /** Nothing else needs these. */
  readonly removable: readonly string[];
  readonly needed: readonly { readonly name: string; readonly by: readonly string[] }[];
  /** Why nobody can tell; undefined: somebody could. */
  readonly problem: string | undefined;
}

/** A solver looks at every package of the system. */
const TEST_TIMEOUT_MS = 120_000;

export async function collectAddedPackages({ guest, fact }: Look): Promise<AddedPackagesFact> {
  const [{ family }, { record }] = await Promise.all([fact('system'), fact('record')]);
  const none = { there: [], removable: [], needed: [], problem: undefined };
  if (!family || record.packages.length === 0) return none;
  const installed = await namesOf(guest, family.everyPackage);
  const there = [...new Set(record.packages.flatMap(name => resolvePackage(name, installed) ?? []))];
  return there.length === 0 ? none : { there, ...(await findRemovable(guest, family, there)) };
}

/**
 * The installed package that a name in the record means: the very one; what was asked for as NAME, NAME=VERSION or NAME-VERSION; or the
 * one that an update has put in its place. Of a kernel's packages several are installed beside each other, so that only the very one counts.
 */
export function resolvePackage(name: string, installed: ReadonlySet<string>): string | undefined {
  if (installed.has(name)) return name;
  const asked = name.replace('=', '-');
  const exact = [...installed].filter(each => each.startsWith(`${asked}-`) || each.startsWith(`${asked}.`));
  const meant = exact.filter(each =>
    [bareName(each), each].some(part => part === asked || asked.startsWith(`${part}-`)),
  );
  if (meant.length === 1) return meant[0];
  const bare = bareName(name);
  if (bare === undefined || bare.startsWith('kernel')) return undefined;
  const updated = [...installed].filter(each => bareName(each) === bare);
  return updated.length === 1 ? updated[0] : undefined;
}

/** NAME of NAME-VERSION-RELEASE.ARCH */
function bareName(name: string): string | undefined {
  return /^(.+)-[^-]+-[^-]+\.\w+$/.exec(name)?.[1];
}

/** All of them, if that touches no other package; else those that no other one needs, not even by way of each other. */
export async function findRemovable(
  guest: GuestView,
  family: Family,
  packages: readonly string[],
): Promise<Omit<AddedPackagesFact, 'there'>> {
  const whole = await test(guest, family, packages);
  if ('problem' in whole) return { removable: [], needed: [], problem: whole.problem };
  if (whole.others.length === 0) return { removable: packages, needed: [], problem: undefined };
  const users = new Map<string, readonly string[]>();
  for (const name of packages) {
    const one = await test(guest, family, [name]);
    if ('problem' in one) return { removable: [], needed: [], problem: one.problem };
    users.set(name, one.others);
  }
  const kept = new Set<string>();
  for (let size = -1; size !== kept.size; ) {
    size = kept.size;
    for (const [name, by] of users) if (by.some(user => !users.has(user) || kept.has(user))) kept.add(name);
  }
  const removable = packages.filter(name => !kept.has(name));
  const needed = [...kept].map(name => ({ name, by: users.get(name) ?? [] }));
  const rest = removable.length === 0 ? { others: [] } : await test(guest, family, removable);
  if ('problem' in rest) return { removable: [], needed: [], problem: rest.problem };
  if (rest.others.length === 0) return { removable, needed, problem: undefined };
  return { removable: [], needed: [], problem: `without them ${rest.others.join(', ')} would go as well` };
}

async function test(
  guest: GuestView,
  { removal }: Family,
  packages: readonly string[],
): Promise<{ readonly others: readonly string[] } | { readonly problem: string }> {
  const argv = removal.test(packages);
  const outcome = await guest.query(argv, TEST_TIMEOUT_MS);
  const named = [...`${outcome.stdout}\n${outcome.stderr}`.matchAll(removal.others)].flatMap(([, name]) => name ?? []);
  const others = [...new Set(named)].filter(name => !packages.includes(name));
  if (outcome.code === 0 || others.length > 0) return { others };
  return { problem: `${argv.slice(0, 3).join(' ')} … ended with exit code ${outcome.code}: ${lastLine(outcome)}` };
}

function lastLine({ stdout, stderr }: Outcome): string {
  return (stderr.trim() || stdout.trim()).split('\n').at(-1)?.trim() ?? '';
}
