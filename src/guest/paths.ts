import { lstatSync, readlinkSync } from 'node:fs';
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
    if (++links > MOST_LINKS) throw new AgentError(`${path}: too many levels of symbolic links`);
    if (target.startsWith('/')) done = [];
    pending = [...target.split('/'), ...pending];
  }
  return done.length === 0 ? root : `${root}/${done.join('/')}`;
}

/** Not awaited: a path has several parts, and each is answered from memory in a fraction of what a promise costs. */
function linkText(path: string): string | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined; // what cannot be looked at is no link; whoever opens it says why
  }
}
