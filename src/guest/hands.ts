import { constants } from 'node:fs';
import { chmod, copyFile, link, lstat, mkdir, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Argv } from '../change.ts';
import { AgentError, messageOf } from '../errors.ts';
import { orAbsent } from './eyes.ts';
import type { Guest, GuestView } from './guest.ts';
import { locate, plantedLink } from './paths.ts';

type FileHands = Pick<
  Guest,
  | 'writeText'
  | 'writeNew'
  | 'copyFile'
  | 'copyLarge'
  | 'setMode'
  | 'makeDirectory'
  | 'rename'
  | 'keepCopy'
  | 'remove'
  | 'removeFolder'
  | 'prepareAppend'
>;

/** Never through a link, and never waiting for the reader of a pipe. */
const APPEND_TO_OUR_OWN =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const COPY_LIMIT = 1024 * 1024;

/** Changes the files of the guest under `root`; `query` is for SELinux's own programs. */
export function openFileHands(root: string, query: GuestView['query']): FileHands {
  return {
    async writeText(path, text, mode) {
      await put(path, Buffer.from(text), mode);
    },

    async writeNew(path, bytes) {
      await refusePlantedLink(root, path);
      const target = locate(root, path, 'keep');
      let isOurs = false;
      try {
        // O_EXCL: neither a file nor a link that somebody has put there is opened
        await using file = await open(target, 'wx', 0o600);
        isOurs = true;
        await file.writeFile(bytes);
        await file.sync();
      } catch (error) {
        if (isOurs) await rm(target, { force: true }).catch(() => undefined); // the first error is the one that says why
        const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
        throw new AgentError(isThere ? `${path} is there already, and is left as it is` : cannotWrite(path, error), {
          remedy: isThere ? 'give another name' : remedyFor(error, path),
          cause: error,
        });
      }
    },

    async copyFile(from, to, mode) {
      const bytes = await readFile(locate(root, from));
      if (bytes.length > COPY_LIMIT) throw new AgentError(`${from} is larger than ${COPY_LIMIT} bytes: not copied`);
      await put(to, bytes, mode);
    },

    async copyLarge(from, to, mode) {
      const [source, target] = [locate(root, from), locate(root, to, 'keep')];
      await refuseForeignFolder(root, to, target);
      const temporary = `${target}.vgpu-guest`;
      try {
        await rm(temporary, { force: true }); // left by a run that was cut
        await copyFile(source, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
        await chmod(temporary, mode);
        await using file = await open(temporary, 'r');
        await file.sync();
        await rename(temporary, target);
      } catch (error) {
        await rm(temporary, { force: true }).catch(() => undefined); // the first error is the one that says why
        throw new AgentError(`${from} cannot be copied to ${to}: ${messageOf(error)}`, {
          remedy: remedyFor(error, to),
          cause: error,
        });
      }
      await syncFolder(dirname(target));
    },

    async setMode(path, mode) {
      await refusePlantedLink(root, path);
      await chmod(locate(root, path), mode);
    },

    async makeDirectory(path, mode) {
      const made = await mkdir(locate(root, path), { recursive: true, mode: 0o755 });
      if (made !== undefined) await chmod(locate(root, path), mode);
    },

    async rename(from, to) {
      const source = locate(root, from, 'keep');
      const target = locate(root, to, 'keep');
      await refuseForeignFolder(root, to, target);
      try {
        await rename(source, target);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
        // between file systems: the copy is complete before it has the name, and the source goes last
        const temporary = `${target}.vgpu-guest`;
        await rm(temporary, { force: true });
        await copyFile(source, temporary, constants.COPYFILE_EXCL);
        await rename(temporary, target);
        await rm(source);
      }
      await syncFolder(dirname(target));
    },

    async keepCopy(from, to) {
      const source = locate(root, from);
      const target = locate(root, to, 'keep');
      try {
        await link(source, target);
      } catch (error) {
        if (!['EPERM', 'ENOTSUP', 'EXDEV'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
        await copyFile(source, target, constants.COPYFILE_EXCL);
      }
      await syncFolder(dirname(target));
    },

    async prepareAppend(path, mode) {
      await refusePlantedLink(root, path);
      const target = locate(root, path, 'keep');
      try {
        await mkdir(dirname(target), { recursive: true, mode: 0o755 });
        await using file = await open(target, APPEND_TO_OUR_OWN, mode);
        const found = await file.stat();
        // a second name of another file is how a link is planted where links are not followed
        if (!found.isFile() || found.nlink > 1) {
          throw new AgentError(
            `${path} cannot be written: it is ${found.isFile() ? 'a second name of another file' : 'no regular file'}`,
            {
              remedy: `look at it (ls -li ${path}), and move it away`,
            },
          );
        }
        return target;
      } catch (error) {
        if (error instanceof AgentError) throw error;
        const isLink = (error as NodeJS.ErrnoException).code === 'ELOOP';
        throw new AgentError(isLink ? `${path} cannot be written: it is a link` : cannotWrite(path, error), {
          remedy: isLink ? `look where it leads (readlink -f ${path}), and move it away` : remedyFor(error, path),
          cause: error,
        });
      }
    },

    async remove(path) {
      await rm(locate(root, path, 'keep'), { force: true });
    },

    async removeFolder(path) {
      await rm(locate(root, path, 'keep'), { force: true, recursive: true });
    },
  };

  async function put(path: string, bytes: Buffer, mode: number | undefined): Promise<void> {
    await refusePlantedLink(root, path);
    // a link is followed to its file, so that an administrator's link stays a link
    const target = root === '/' ? await behindLinks(path) : locate(root, path);
    const folder = dirname(target);
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await refuseForeignFolder(root, path, target);
    const old = await orAbsent(() => stat(target));
    const temporary = `${folder}/.${target.slice(folder.length + 1)}.vgpu-guest`;
    try {
      await rm(temporary, { force: true }); // left by a run that was cut
      await using file = await open(temporary, 'wx', 0o600);
      await file.writeFile(bytes);
      await file.chmod(mode ?? (old ? old.mode & 0o7777 : 0o644));
      if (old && (old.uid !== process.geteuid?.() || old.gid !== process.getegid?.()))
        await file.chown(old.uid, old.gid);
      await file.sync();
      if (old) await label(path, ['chcon', `--reference=${target}`, temporary]);
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined); // the first error is the one that says why
      throw new AgentError(cannotWrite(path, error), {
        remedy: remedyFor(error, path),
        cause: error,
      });
    }
    await syncFolder(folder);
    if (!old) await label(path, ['restorecon', target]);
  }

  /** A file that is replaced hands its SELinux label on; a new one gets the one that the policy has for its path. */
  async function label(path: string, argv: Argv): Promise<void> {
    if (!(await orAbsent(() => lstat(`${root === '/' ? '' : root}/sys/fs/selinux/enforce`)))) return;
    const { code, stderr } = await query(argv);
    if (code === 0 || code === 127) return; // without the program the folder's own label is inherited
    throw new AgentError(`the SELinux label of ${path} cannot be set: ${stderr || `${argv[0]} ended with ${code}`}`, {
      remedy: `restorecon -v ${path}`,
    });
  }
}

function cannotWrite(path: string, error: unknown): string {
  return `${path} cannot be written: ${messageOf(error)}`;
}

/** A link where others can write may be theirs, and lead anywhere. */
async function refusePlantedLink(root: string, path: string): Promise<void> {
  const link = await plantedLink(root, path);
  if (link === undefined) return;
  throw new AgentError(`${path} is not written: ${link} is a link in a folder in which others can write`, {
    remedy: `look where it leads (readlink -f ${link}), and remove it if nobody needs it`,
  });
}

async function behindLinks(path: string): Promise<string> {
  return (await orAbsent(() => realpath(path))) ?? path;
}

/** Whoever may write in a folder may swap what lies there, so nothing of ours goes into one that others can write. */
async function refuseForeignFolder(root: string, path: string, target: string): Promise<void> {
  const folder = dirname(target);
  if (!folder.startsWith(root)) return;
  const found = await stat(folder);
  const ours = found.uid === 0 || found.uid === process.geteuid?.();
  if (ours && (found.mode & 0o002) === 0) return;
  throw new AgentError(`${path} is not written: others can write in its folder ${dirname(path)}`, {
    remedy: `chown root ${dirname(path)} && chmod go-w ${dirname(path)}, after a look at what lies there`,
  });
}

/** A rename is on disk when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}

function remedyFor(error: unknown, path: string): string | undefined {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOSPC':
      return `make room in the file system of ${dirname(path)} (df -h ${dirname(path)})`;
    case 'EROFS':
      return `the file system of ${path} is read-only: find out why (dmesg, mount), and remount it writable`;
    case 'EACCES':
    case 'EPERM':
      return `look at the owner and the attributes of ${dirname(path)} (ls -ld, lsattr -d)`;
    default:
      return undefined;
  }
}
