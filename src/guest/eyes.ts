import { createHash } from 'node:crypto';
import { type BigIntStats, constants, createReadStream } from 'node:fs';
import { type FileHandle, open, readdir, readlink, realpath, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AgentError } from '../errors.ts';
import type { FileStat, GuestView } from './guest.ts';
import { locate, plantedLink } from './paths.ts';

const MIB = 1024 * 1024;

type FileEyes = Pick<
  GuestView,
  'readText' | 'readStart' | 'readEnd' | 'digest' | 'list' | 'stat' | 'readLink' | 'realPath' | 'freeBytes' | 'exposure'
>;

/** A driver package takes seconds to be read through, and several looks ask for its sums. */
const WORTH_KEEPING_BYTES = 16 * MIB;

/** Looks at the files of the guest under `root`. */
export function openFileEyes(root: string): FileEyes {
  const at = (path: string) => locate(root, path);
  const digests = new Map<string, Promise<string>>();

  const eyes: FileEyes = {
    async readText(path, limitBytes = MIB) {
      const bytes = await readAtMost(at(path), limitBytes + 1).catch(error => {
        if (error.code !== 'EISDIR') throw error;
        throw new AgentError(`${path} is a directory, and should be a file`, {
          remedy: `look at ${path}: it is not what its name says`,
          cause: error,
        });
      });
      if (bytes && bytes.length > limitBytes) {
        throw new AgentError(`${path} is larger than ${limitBytes} bytes, which no such file is`, {
          remedy: `look at ${path}: it is not what its name says`,
        });
      }
      return bytes?.toString('utf8');
    },

    async readStart(path, limitBytes) {
      return (await readAtMost(at(path), limitBytes))?.toString('latin1');
    },

    async readEnd(path, limitBytes) {
      const target = at(path);
      return await orAbsent(async () => {
        await using file = await openToRead(target);
        const { size } = await file.stat();
        const start = Math.max(0, size - limitBytes);
        const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
        const text = buffer.subarray(0, bytesRead).toString('utf8');
        return { text, isCut: start > 0, endsAtByte: start + bytesRead };
      });
    },

    async digest(path, algorithm, fromByte = 0) {
      const file = at(path);
      return await orAbsent(async () => {
        const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
        if (size < WORTH_KEEPING_BYTES) return await digestOf(file, algorithm, fromByte);
        const key = [algorithm, fromByte, dev, ino, size, mtimeNs, ctimeNs].join(' ');
        const known = digests.get(key) ?? digestOf(file, algorithm, fromByte);
        digests.set(key, known);
        return await known;
      });
    },

    async list(path) {
      return (await orAbsent(async () => (await readdir(at(path))).sort())) ?? [];
    },

    async stat(path) {
      return await orAbsent(async () => fileStat(await stat(at(path), { bigint: true })));
    },

    async readLink(path) {
      const file = locate(root, path, 'keep');
      return await orAbsent(() => readlink(file), 'EINVAL');
    },

    async realPath(path) {
      const file = await orAbsent(async () => realpath(at(path)));
      if (file === undefined || root === '/') return file;
      return file === root ? '/' : file.slice(root.length);
    },

    async exposure(path) {
      // whoever can replace a link chooses the file
      const planted = await plantedLink(root, path);
      if (planted !== undefined) return dirname(planted);
      const real = await eyes.realPath(path);
      const parts = real?.split('/').filter(Boolean) ?? [];
      const chain = parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`);
      for (const part of real === undefined ? [] : ['/', ...chain]) {
        const found = await eyes.stat(part);
        const isOurs = found?.uid === 0 || found?.uid === process.geteuid?.();
        if (!found || !isOurs || found.mode & 0o002 || (found.mode & 0o020 && found.gid !== 0)) return part;
      }
      return undefined;
    },

    async freeBytes(path) {
      const room = await orAbsent(async () => statfs(at(path)));
      return room && room.bavail * room.bsize;
    },
  };
  return eyes;
}

async function digestOf(file: string, algorithm: string, fromByte: number): Promise<string> {
  const hash = createHash(algorithm);
  await pipeline(createReadStream(file, { start: fromByte, highWaterMark: MIB }), hash);
  return hash.digest('hex');
}

/** Absence is a value; every other error keeps its stack. */
export async function orAbsent<T>(look: () => Promise<T>, ...alsoAbsent: readonly string[]): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (['ENOENT', 'ENOTDIR', ...alsoAbsent].includes(code)) return undefined;
    throw error;
  }
}

/** Files of /proc and /sys say that they hold nothing and then hold something: read until the end, not until the size. */
async function readAtMost(path: string, limitBytes: number): Promise<Buffer | undefined> {
  return await orAbsent(async () => {
    await using file = await openToRead(path);
    const chunks: Buffer[] = [];
    let size = 0;
    while (size < limitBytes) {
      const chunk = Buffer.allocUnsafe(Math.min(64 * 1024, limitBytes - size));
      const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
      if (bytesRead === 0) break;
      chunks.push(chunk.subarray(0, bytesRead));
      size += bytesRead;
    }
    return Buffer.concat(chunks);
  });
}

/** A pipe in the place of a file would keep its reader waiting for ever: it is opened so that it does not, and refused. */
async function openToRead(path: string): Promise<FileHandle> {
  const refused = (cause?: unknown) =>
    new AgentError(`${path} is a pipe or a socket, and should be a file`, {
      remedy: `look at ${path}: it is not what its name says`,
      cause,
    });
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(error => {
    throw error.code === 'ENXIO' ? refused(error) : error;
  });
  if (!(await file.stat()).isFIFO()) return file;
  await file.close();
  throw refused();
}

function fileStat(found: BigIntStats): FileStat {
  return {
    kind: found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other',
    sizeBytes: Number(found.size),
    mode: Number(found.mode) & 0o7777,
    uid: Number(found.uid),
    gid: Number(found.gid),
    modifiedUs: Number(found.mtimeNs / 1000n),
    changedUs: Number(found.ctimeNs / 1000n),
  };
}
