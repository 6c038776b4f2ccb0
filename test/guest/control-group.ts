import { access, mkdir, readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

/** systemd's own hierarchy, and the unified one, at the places where a system with both or with the unified one alone has them. */
const HIERARCHIES = [
  { line: /^\d+:name=systemd:(.*)$/m, mounts: ['/sys/fs/cgroup/systemd'] },
  { line: /^0::(.*)$/m, mounts: ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'] },
];

/**
 * Makes a control group of its own and returns the files into which its first process writes its number. A container takes the group of
 * its starter for the root of all, so that two of them in one group would end each other's services.
 */
export async function makeGroup(name: string): Promise<readonly string[]> {
  const paths = await groupsOf(name);
  await Promise.all(paths.map(path => mkdir(path, { recursive: true })));
  return paths.map(path => join(path, 'cgroup.procs'));
}

/** Takes such a group away once nothing runs in it. */
export async function removeGroup(name: string): Promise<void> {
  for (const path of await groupsOf(name)) await removeTree(path);
}

async function groupsOf(name: string): Promise<readonly string[]> {
  const own = await readFile('/proc/self/cgroup', 'utf8');
  const groups = HIERARCHIES.map(async ({ line, mounts }) => {
    const [, path] = line.exec(own) ?? [];
    const present = await Promise.all(mounts.map(mount => exists(join(mount, 'cgroup.procs'))));
    const mount = mounts[present.indexOf(true)];
    return path === undefined || mount === undefined ? [] : [join(mount, path, name)];
  });
  return (await Promise.all(groups)).flat();
}

/** The files in it are the kernel's and go with their folder. */
async function removeTree(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(path, entry.name));
  await rmdir(path).catch(() => undefined);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
