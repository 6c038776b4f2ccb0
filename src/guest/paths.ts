import { lstatSync, readlinkSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { AgentError } from '../errors.ts';

/** As many links as the kernel follows before it says ELOOP. */
const MOST_LINKS = 40;

/**
 * A guest path as a path of this machine. Below a root that is not `/`, links are followed as they would be inside it:
 * an absolute link starts at the root again, and nothing leads out of it.
 */
export function locate(root: string, path: string, last: 'follow' | 'keep' = 'follow'): string {
  if (!path.startsWith('/')) throw new Error(`not an absolute path: ${path}`);
  if (root === '/') return path;
  let pending = path.split('/');
  let done: string[] = [];
  for (let links = 0; pending.length > 0; ) {
    const [name = '', ...rest] = pending;
    pending = rest;
    if (name === '' || name === '.') continue;
    if (name === '..') {
      done = done.slice(0, -1);
      continue;
    }
    const here = `${root}/${[...done, name].join('/')}`;
    const target = rest.some(part => part !== '') || last === 'follow' ? linkText(here) : undefined;
    if (target === undefined) {
      done.push(name);
      continue;
    }
    if (++links > MOST_LINKS)
      throw new AgentError(`${path}: too many levels of symbolic links`, {
        remedy: `one of the links on its way leads back to itself (namei ${path} shows them): put it right`,
      });
    if (target.startsWith('/')) done = [];
    pending = [...target.split('/'), ...pending];
  }
  return done.length === 0 ? root : `${root}/${done.join('/')}`;
}

/** The first link on the way to a path that lies in a folder in which others can write; undefined: none does. */
export async function plantedLink(root: string, path: string): Promise<string | undefined> {
  const parts = path.split('/').filter(Boolean);
  for (let depth = 1; depth <= parts.length; depth++) {
    const at = `/${parts.slice(0, depth).join('/')}`;
    const folder = `/${parts.slice(0, depth - 1).join('/')}`;
    if (linkText(locate(root, at, 'keep')) === undefined) continue;
    if (await othersCanWrite(locate(root, folder))) return at;
  }
  return undefined;
}

/** Whether anybody but root, its group and who runs this can put something into a folder. */
export async function othersCanWrite(folder: string): Promise<boolean> {
  const { uid, gid, mode } = await stat(folder);
  const isOurs = uid === 0 || uid === process.geteuid?.();
  return !isOurs || (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0 && gid !== process.getegid?.());
}

/** Not awaited: a path has several parts, and each is answered from memory in a fraction of what a promise costs. */
function linkText(path: string): string | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined; // what cannot be looked at is no link; whoever opens it says why
  }
}
