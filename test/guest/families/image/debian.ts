import { lstat, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Its lists tell which package brought which file. */
const LISTS = '/var/lib/dpkg/info';

/** The files of Debian's packages move from the root to a stage. */
export async function takePackages(root: string, packages: readonly string[], stage: string): Promise<void> {
  for (const path of await filesOf(root, packages)) await move(join(root, path), join(stage, path));
}

/** Debian's packages leave the root. */
export async function dropPackages(root: string, packages: readonly string[]): Promise<void> {
  for (const path of await filesOf(root, packages)) await rm(join(root, path), { force: true });
}

/** A file or folder gets another path, whose folders are made. */
export async function move(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await rename(from, to);
}

/** Files and links, by the paths that they have where /bin and /lib are links. */
async function filesOf(root: string, packages: readonly string[]): Promise<readonly string[]> {
  const lists = await readdir(join(root, LISTS));
  const texts = packages.map(name => {
    const list = lists.find(
      file => file === `${name}.list` || new RegExp(`^${literally(name)}:\\w+\\.list$`).test(file),
    );
    if (!list) throw new Error(`Debian's package ${name} is not installed in ${root}`);
    return readFile(join(root, LISTS, list), 'utf8');
  });
  const paths = (await Promise.all(texts)).flatMap(text => text.trim().split('\n'));
  const merged = paths.map(path => path.replace(/^\/(?=s?bin\/|lib(32|64|x32)?\/)/, '/usr/'));
  const stats = await Promise.all(merged.map(path => lstat(join(root, path)).catch(() => undefined)));
  return merged.filter((_, index) => stats[index] && !stats[index].isDirectory());
}

function literally(text: string): string {
  return text.replace(/[.+]/g, '\\$&');
}
