import { namesOf } from '../../facts/prerequisites.ts';
import { resolvePackage } from '../../facts/revert/added-packages.ts';
import type { Guest } from '../../guest/guest.ts';
import { nameRememberedPackages, rememberPackages } from '../remember.ts';
import { type Installation, installPackages } from './install-packages.ts';

/** Installs packages, and remembers those that were not there before, with what came along with them. */
export async function installRemembered(guest: Guest, installation: Installation): Promise<void> {
  const { family, packages } = installation;
  const before = await namesOf(guest, family.everyPackage);
  const asked = packages.filter(name => resolvePackage(name, before) === undefined);
  await rememberPackages(guest, asked);
  const said = await installPackages(guest, installation);
  const after = await namesOf(guest, family.everyPackage);
  // somebody else may have installed others while this one waited for the lock: only what it has named itself counts
  const came = [...after].filter(name => !before.has(name) && isNamed(name, said));
  const own = asked.flatMap(name => resolvePackage(name, after) ?? []).filter(name => !before.has(name));
  await nameRememberedPackages(guest, asked, [...new Set([...own, ...came])].toSorted());
}

/** `Setting up gcc-12 (12.2.0-14) ...`, `  Installing  : gcc-11.5.0-2.el9.x86_64`, `Installing: gcc-7-3.9.1.x86_64 [done]` */
function isNamed(name: string, said: string): boolean {
  // dnf writes an epoch before the version, which the database's own names have not got
  const lines = said.replace(/-\d+:(?=\d)/g, '-').split('\n');
  return lines.some(line => /^Setting up |Install/.test(line) && line.split(/[\s:]+/).includes(name));
}
