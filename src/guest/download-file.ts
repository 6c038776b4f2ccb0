import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat, statfs } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AgentError } from '../errors.ts';
import { withoutSecrets } from '../formats/url.ts';
import { type Asking, explained, failed, follow, UNREACHABLE } from './download.ts';
import { orAbsent } from './eyes.ts';
import type { FileDownloadOptions } from './guest.ts';
import { locate } from './paths.ts';
import { pause } from './pause.ts';

interface Around extends FileDownloadOptions, Pick<Asking, 'env'> {
  readonly stop: AbortSignal;
}

/** A connection that brings nothing for so long is given up. */
const IDLE_MS = 60_000;
/** Connections that break one after the other without having brought anything. */
const MOST_IN_VAIN = 4;
const PAUSE_MS = 500;
/** What may be gone in a moment; a certificate will not be another one by then. */
const PASSING = /^E(?:CONN|PIPE|TIMEDOUT|AI_AGAIN|HOST|NET)|^IDLE$|^ERR_STREAM_PREMATURE_CLOSE$/;
const PROGRESS_MS = 1_000;
/** What an answer to a request for the rest of a file can be: all of it, the rest, or that there is no rest. */
const WHOLE = 200;
const REST = 206;
const NO_REST = 416;

/**
 * A large file, with what came before as its beginning. Nothing of a server's words about it is believed: it gets its name when it has
 * the sha256 that was asked for.
 */
export async function downloadFile(root: string, url: string, path: string, around: Around): Promise<void> {
  const target = locate(root, path);
  const part = `${target}.part`;
  const resumed = (await sizeOf(part)) > 0;
  await bringAll(url, part, path, around);
  if ((await sha256Of(part)) !== around.sha256 && resumed) {
    // its beginning was of another file, or of another try of this one
    await rm(part, { force: true });
    await bringAll(url, part, path, around);
  }
  const found = await sha256Of(part);
  if (found !== around.sha256) {
    await rm(part, { force: true });
    throw new AgentError(`${withoutSecrets(url)} hashes to ${found}, and driver.sha256 asks for ${around.sha256}`, {
      fault: 'blocked',
      remedy: 'compare with the sum that NVIDIA or your mirror tells, and correct driver.sha256 or driver.package',
    });
  }
  await rename(part, target);
  await using folder = await open(dirname(target), 'r');
  await folder.sync();
}

/** As many connections as it takes, as long as each one brings something. */
async function bringAll(url: string, part: string, path: string, around: Around): Promise<void> {
  for (let inVain = 0; ; ) {
    const before = await sizeOf(part);
    try {
      return await bring(url, part, path, around);
    } catch (error) {
      around.stop.throwIfAborted();
      if (error instanceof AgentError) throw error;
      inVain = (await sizeOf(part)) > before ? 0 : inVain + 1;
      const fault = error as NodeJS.ErrnoException;
      if (!PASSING.test(fault.code ?? '') || inVain >= MOST_IN_VAIN) throw explained(url, fault);
      await pause(PAUSE_MS, around.stop);
    }
  }
}

async function bring(url: string, part: string, path: string, around: Around): Promise<void> {
  const { stop, onProgress } = around;
  const have = await sizeOf(part);
  const idle = new AbortController();
  const over = AbortSignal.any([stop, idle.signal]);
  const giveUp = () => idle.abort(Object.assign(new Error(`nothing came for ${IDLE_MS / 1000} s`), { code: 'IDLE' }));
  let timer = globalThis.setTimeout(giveUp, IDLE_MS);
  try {
    const asking = have > 0 ? { headers: { range: `bytes=${have}-` }, welcome: [WHOLE, REST, NO_REST] } : {};
    const response = await follow(new URL(url), { ...around, ...asking }, over);
    if (response.statusCode === NO_REST) return void response.destroy();
    const start = response.statusCode === REST ? startOf(response) : 0;
    if (start !== have && start !== 0)
      throw failed(url, 'its server sent another part than was asked for', UNREACHABLE);
    const length = Number(response.headers['content-length']);
    const wholeBytes = Number.isFinite(length) ? start + length : undefined;
    await checkRoom(part, path, length);
    await using file = await open(part, start > 0 ? 'a' : 'w', 0o600);
    let written = start;
    let toldMs = Number.NEGATIVE_INFINITY;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      clearTimeout(timer);
      timer = globalThis.setTimeout(giveUp, IDLE_MS);
      await file.writeFile(chunk);
      written += chunk.length;
      if (performance.now() - toldMs < PROGRESS_MS) continue;
      toldMs = performance.now();
      onProgress(written, wholeBytes);
    }
    await file.sync();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC') throw noRoom(path, undefined, undefined);
    throw idle.signal.aborted ? idle.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

/** `content-range: bytes 100-199/200` */
function startOf({ headers }: IncomingMessage): number {
  return Number(/^bytes (\d+)-/.exec(headers['content-range'] ?? '')?.[1] ?? Number.NaN);
}

async function checkRoom(part: string, path: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(part));
  if (bavail * bsize < neededBytes) throw noRoom(path, bavail * bsize, neededBytes);
}

function noRoom(path: string, freeBytes: number | undefined, neededBytes: number | undefined): AgentError {
  const mib = (bytes: number) => Math.ceil(bytes / 1024 ** 2);
  const figures =
    freeBytes === undefined || neededBytes === undefined
      ? 'no room is left'
      : `${mib(freeBytes)} MiB are free, and ${mib(neededBytes)} MiB have still to come`;
  return new AgentError(`${path} cannot be downloaded: ${figures}`, {
    remedy: `make room in the file system of ${dirname(path)} (df -h /var/lib), then run vgpu-guest apply again`,
  });
}

async function sizeOf(path: string): Promise<number> {
  return (await orAbsent(() => stat(path)))?.size ?? 0;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 ** 2 }), hash);
  return hash.digest('hex');
}
