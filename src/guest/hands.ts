import { constants } from 'node:fs';
import {
  chmod,
  chown,
  copyFile,
  link,
  lstat,
  mkdir,
  open,
  readFile,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  utimes,
} from 'node:fs/promises';
import { basename, dirname } from 'node:path';
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
  | 'setModified'
  | 'makeDirectory'
  | 'rename'
  | 'keepCopy'
  | 'remove'
  | 'removeFolder'
  | 'removeHalfWritten'
  | 'removeEmptyFolder'
  | 'setOwner'
  | 'prepareAppend'
>;

/** Never through a link, and never waiting for the reader of a pipe. */
const APPEND_TO_OUR_OWN =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const COPY_LIMIT = 1024 * 1024;

/** Changes the files of the guest under `root`; `query` is for SELinux's own programs. */
export function openFileHands(root: string, query: GuestView['query']): FileHands {
  return {
    writeText: (path, text, mode, encoding) => put(path, Buffer.from(text, encoding), mode),

    async writeNew(path, bytes) {
      const target = await nameAt(path);
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
      const bytes = await readFile(locate(root, from)).catch(cause => {
        throw fault(`${from} cannot be read`, from, cause);
      });
      if (bytes.length > COPY_LIMIT)
        throw new AgentError(`${from} is larger than ${COPY_LIMIT} bytes: not copied`, {
          remedy: `see whether ${from} is the file that was meant`,
        });
      await put(to, bytes, mode);
    },

    async copyLarge(from, to, mode) {
      await named(`${from} cannot be copied to ${to}`, to, async () => {
        const [source, target] = [locate(root, from), await nameAt(to)];
        await refuseForeignFolder(root, to, target);
        await copyAside(source, target, async temporary => {
          await chmod(temporary, mode);
          await rename(temporary, target);
        });
        await syncFolder(dirname(target));
      });
    },

    async setMode(path, mode) {
      await named(`the mode of ${path} cannot be set to ${mode.toString(8)}`, path, async () => {
        await chmod(await fileAt(path), mode);
      });
    },

    async setModified(path, us) {
      await named(`the time of ${path} cannot be set`, path, async () => {
        await utimes(await fileAt(path), us / 1_000_000, us / 1_000_000);
      });
    },

    async makeDirectory(path, mode) {
      await named(`${path} cannot be made`, path, async () => makeFolder(await fileAt(path), mode));
    },

    async rename(from, to) {
      await named(`${from} cannot be moved to ${to}`, to, async () => {
        const source = await nameAt(from);
        const target = await nameAt(to);
        await refuseForeignFolder(root, to, target);
        try {
          await syncFile(source);
          await rename(source, target);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
          // between file systems: the copy is complete before it has the name, and the source goes last
          await copyAside(source, target, temporary => rename(temporary, target));
          await rm(source);
        }
        await syncFolder(dirname(target));
      });
    },

    async keepCopy(from, to) {
      await named(`${from} cannot be kept as ${to}`, to, async () => {
        const source = locate(root, from);
        const target = await nameAt(to);
        try {
          await link(source, target);
        } catch (error) {
          if (!['EPERM', 'ENOTSUP', 'EXDEV'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
          await copyAside(source, target, temporary => rename(temporary, target));
        }
        await syncFolder(dirname(target));
      });
    },

    async prepareAppend(path, mode) {
      await refusePlantedLink(root, path);
      const target = locate(root, path, 'keep');
      try {
        await makeFolder(dirname(target), 0o755);
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
      await named(`${path} cannot be removed`, path, async () => {
        await rm(await nameAt(path), { force: true });
      });
    },

    async removeEmptyFolder(path) {
      await named(`${path} cannot be removed`, path, async () => {
        const folder = await nameAt(path);
        await orAbsent(() => rmdir(folder), 'ENOTEMPTY', 'EEXIST');
      });
    },

    async setOwner(path, uid, gid) {
      await named(`the owner of ${path} cannot be changed`, path, async () => {
        await chown(await fileAt(path), uid, gid);
      });
    },

    async removeFolder(path) {
      await named(`${path} cannot be removed`, path, async () => {
        await rm(await nameAt(path), { force: true, recursive: true });
      });
    },

    async removeHalfWritten(path) {
      await named(`${path} cannot be cleared`, path, async () => {
        await rm(temporaryOf(await fileAt(path)), { force: true });
      });
    },
  };

  /** The file behind an administrator's links. */
  async function fileAt(path: string): Promise<string> {
    await refusePlantedLink(root, path);
    return locate(root, path);
  }

  /** The name itself, whether or not it is a link. */
  async function nameAt(path: string): Promise<string> {
    await refusePlantedLink(root, dirname(path));
    return locate(root, path, 'keep');
  }

  async function put(path: string, bytes: Buffer, mode: number | undefined): Promise<void> {
    await refusePlantedLink(root, path);
    await named(`${path} cannot be written`, path, async () => {
      // a link is followed to its file, so that an administrator's link stays a link
      const target = root === '/' ? await behindLinks(path) : locate(root, path);
      await makeFolder(dirname(target), 0o755);
      await refuseForeignFolder(root, path, target);
      const old = await orAbsent(() => stat(target));
      if (old && !old.isFile()) refuseSpecial(path, old.isDirectory() ? 'a folder' : 'no regular file');
      const temporary = temporaryOf(target);
      await rm(temporary, { force: true }); // left by a run that was cut
      await orRemoved(temporary, async () => {
        await using file = await open(temporary, 'wx', 0o600);
        await file.writeFile(bytes);
        await file.chmod(mode ?? (old ? old.mode & 0o7777 : 0o644));
        if (old && (old.uid !== process.geteuid?.() || old.gid !== process.getegid?.()))
          await file.chown(old.uid, old.gid);
        await file.sync();
        if (old) await label(path, ['chcon', `--reference=${target}`, temporary]);
        await rename(temporary, target);
      });
      await syncFolder(dirname(target));
      if (!old) await label(path, ['restorecon', target]);
    });
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
  throw new AgentError(`${path} is left alone: ${link} is a link in a folder in which others can write`, {
    remedy: `look where it leads (readlink -f ${link}), and remove it if nobody needs it`,
  });
}

/** What is masked is a link to /dev/null, and a rename would put a file into the place of that device. */
function refuseSpecial(path: string, is: string): never {
  throw new AgentError(`${path} is not written: it is ${is}`, {
    remedy: `look where it leads (readlink -f ${path}), and remove it if nobody has masked it on purpose`,
  });
}

/** Whatever the system says against it becomes a fault that says what was not done, and what to do. */
async function named<T>(what: string, path: string, deed: () => Promise<T>): Promise<T> {
  try {
    return await deed();
  } catch (error) {
    if (error instanceof AgentError) throw error;
    throw fault(what, path, error);
  }
}

function fault(what: string, path: string, cause: unknown): AgentError {
  return new AgentError(`${what}: ${messageOf(cause)}`, { remedy: remedyFor(cause, path), cause });
}

/** The name under which a file is written before it gets its own. */
function temporaryOf(target: string): string {
  return `${dirname(target)}/.${basename(target)}.vgpu-guest`;
}

/** A whole copy on disk, which gets its name then. */
async function copyAside(source: string, target: string, place: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${target}.vgpu-guest`;
  await rm(temporary, { force: true }); // left by a run that was cut
  await orRemoved(temporary, async () => {
    await copyFile(source, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await syncFile(temporary);
    await place(temporary);
  });
}

async function orRemoved(temporary: string, deed: () => Promise<void>): Promise<void> {
  try {
    await deed();
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined); // the first error is the one that says why
    throw error;
  }
}

/** Folder by folder, since Node's own way turns a failing disk into a folder that is not there. Its mode is its own from the start. */
export async function makeFolder(path: string, mode: number): Promise<void> {
  if ((await orAbsent(() => stat(path)))?.isDirectory()) return;
  if (dirname(path) !== path) await makeFolder(dirname(path), 0o755);
  await mkdir(path, mode);
  if (((await stat(path)).mode & 0o7777) !== mode) await chmod(path, mode);
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

/** What a program has written may still be in memory: a name must not be on disk before its bytes are. */
async function syncFile(path: string): Promise<void> {
  if (!(await lstat(path)).isFile()) return;
  await using handle = await open(path, 'r');
  await handle.sync();
}

function remedyFor(error: unknown, path: string): string {
  const folder = dirname(path);
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `make room in the file system of ${folder} (df -h ${folder}, df -i ${folder}), then run this again`;
    case 'EROFS':
      return `the file system of ${path} is read-only: find out why (dmesg, mount), remount it writable, and run this again`;
    case 'EACCES':
    case 'EPERM':
      return `look at the owner and the attributes of ${folder} (ls -ld, lsattr -d), then run this again`;
    case 'EIO':
      return `the disk or the file system of ${folder} is failing: dmesg says how; check it before anything else`;
    default:
      return `look at ${path} and its folder (ls -ld ${path} ${folder}), then run this again`;
  }
}
