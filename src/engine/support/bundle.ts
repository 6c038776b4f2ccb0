import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { messageOf } from '../../errors.ts';
import { excerpt } from '../../formats/excerpt.ts';
import { joinTokens, lastLineOfKey } from '../../formats/redact/blocks.ts';
import { redact, redactDeep, removedMark } from '../../formats/redact/redact.ts';
import type { Got, Source } from './source.ts';

/** A file of the bundle, or why there is none. */
export interface BundleEntry {
  readonly name: string;
  readonly how: string;
  /** `cut`: something of it is left out. `absent`: the guest has no such thing. */
  readonly state: 'whole' | 'cut' | 'absent' | 'failed';
  readonly bytes: number;
  readonly because?: string;
  /** Secrets that were taken out. */
  readonly removed: number;
  readonly durationMs: number;
}

export interface BundleFile extends BundleEntry {
  readonly text: string;
}

/** Everything together: what a ticket takes, and what is held in memory meanwhile. */
const WHOLE_LIMIT = 40 * 1024 * 1024;
/** With less room than this it is full. */
const WORTH_BEGINNING = 4 * 1024;
/** Programs that run at the same time: the guest may be ill already. */
const AT_ONCE = 4;
/** A program that takes no signal, because it hangs in the kernel, is waited for no longer than this. */
const GRACE_MS = 3_000;

/**
 * Asks every source, each for as long as it may take, until the deadline; one that fails, hangs or floods is an entry with the reason.
 * Then takes the secrets out of all of it.
 */
export async function collectBundle(
  sources: readonly Source[],
  known: readonly string[],
  { stop, deadline }: { readonly stop: AbortSignal; readonly deadline: AbortSignal },
): Promise<readonly BundleFile[]> {
  const raw: Raw[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < sources.length; index = next++) raw[index] = await ask(sources[index]!, deadline);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  stop.throwIfAborted();
  let left = WHOLE_LIMIT;
  return raw.map((found, index) => {
    const file = finish(sources[index]!, found, known, left);
    left -= file.bytes;
    return file;
  });
}

/** As one .tar.gz; `top` is the folder that it unpacks to, and the first file is the list of the others. */
export async function packBundle(
  top: string,
  list: { readonly name: string; readonly text: string },
  files: readonly BundleFile[],
  atUs: number,
): Promise<Uint8Array> {
  const { packTar } = await import('modern-tar');
  const there = [list, ...files.filter(({ state }) => state === 'whole' || state === 'cut')];
  const archive = await packTar(
    there.map(({ name, text }) => {
      const body = Buffer.from(text);
      const header = { name: `${top}/${name}`, size: body.length, mode: 0o600, mtime: new Date(atUs / 1000) };
      return { header, body };
    }),
  );
  return await promisify(gzip)(archive);
}

interface Raw {
  readonly got: Got | { readonly is: 'failed'; readonly because: string };
  readonly durationMs: number;
}

async function ask({ get, timeoutMs, limit }: Source, deadline: AbortSignal): Promise<Raw> {
  const startedMs = performance.now();
  const over = new AbortController();
  const spent = () => Math.round(performance.now() - startedMs);
  try {
    if (deadline.aborted) throw new Error('there was no time left for it');
    const got = await Promise.race([get(), ...giveUp(timeoutMs, deadline, over.signal)]);
    // cut at once: a flood is not to be kept until all the others are there
    const small = got.is === 'text' ? { ...got, ...cutOf(got, limit) } : got;
    return { got: small, durationMs: spent() };
  } catch (error) {
    return { got: { is: 'failed', because: messageOf(error) }, durationMs: spent() };
  } finally {
    over.abort();
  }
}

function cutOf({ text, isPart = false }: Extract<Got, { is: 'text' }>, limit: number) {
  const cut = excerpt(text, limit, { isPart });
  return { text: cut.text, isPart: cut.isCut };
}

function giveUp(timeoutMs: number, deadline: AbortSignal, over: AbortSignal): readonly Promise<never>[] {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`it was not done after ${timeoutMs / 1000} s, and could not be ended`)),
    timeoutMs + GRACE_MS,
  );
  const ended = () => late.reject(new Error('there was no time left for it'));
  deadline.addEventListener('abort', ended, { once: true });
  over.addEventListener('abort', () => {
    clearTimeout(timer);
    deadline.removeEventListener('abort', ended);
  });
  late.promise.catch(() => undefined); // nobody may be waiting any more
  return [late.promise];
}

function finish({ name, how }: Source, { got, durationMs }: Raw, known: readonly string[], left: number): BundleFile {
  const none = { name, how, bytes: 0, removed: 0, durationMs, text: '' };
  if (got.is === 'failed') return { ...none, state: 'failed', because: redact(got.because, known).text };
  if (got.is === 'absent') return { ...none, state: 'absent', because: got.because };
  if (left < WORTH_BEGINNING) return { ...none, state: 'failed', because: 'the bundle was full' };
  const whole = got.is === 'text' ? excerpt(got.text, left) : undefined;
  const clean = whole ? cleanText(name, whole.text, known) : cleanData(got.is === 'data' ? got.value : {}, known);
  const isCut = whole !== undefined && (whole.isCut || (got.is === 'text' && got.isPart === true));
  const note = got.is === 'text' ? got.note : undefined;
  if (clean.text.trim() === '' && note !== undefined) return { ...none, state: 'failed', because: note };
  return {
    name,
    how,
    state: isCut ? 'cut' : 'whole',
    bytes: Buffer.byteLength(clean.text),
    removed: clean.removed,
    durationMs,
    text: clean.text,
    ...(note === undefined ? {} : { because: note }),
  };
}

interface Clean {
  readonly text: string;
  readonly removed: number;
}

/** JSON is cleaned value by value, where its own escapes hide nothing; lines of JSON as well. */
function cleanText(name: string, text: string, known: readonly string[]): Clean {
  if (/\.json$/.test(name)) {
    const value = parsed(text);
    if (value !== undefined) return cleanData(value, known);
  }
  if (!/(?:^|\n)\{/.test(text)) return cleanPlain(text, known);
  const lines = text.split('\n');
  if (!lines.every(line => line === '' || line.startsWith('{') || line.startsWith('[vgpu-guest'))) {
    return cleanPlain(text, known);
  }
  return cleanLines(lines, known);
}

/** A log of JSON lines: each by itself, and what goes on from line to line as well. */
function cleanLines(lines: readonly string[], known: readonly string[]): Clean {
  let removed = 0;
  const count = (_id: string, times = 1) => {
    removed += times;
  };
  const messages = joinTokens(lines.map(messageIn), count);
  const clean: string[] = [];
  for (let index = 0; index < lines.length; index++) {
    const last = lastLineOfKey(lines, index);
    const value = parsed(lines[index]!);
    if (last !== undefined) {
      clean.push(JSON.stringify({ message: removedMark('private-key') }));
      count('private-key');
      index = last;
    } else if (value === undefined) {
      const plain = cleanPlain(lines[index]!, known);
      clean.push(plain.text);
      removed += plain.removed;
    } else {
      const message = messages[index] ? { message: messages[index] } : {};
      const better = redactDeep({ ...value, ...message }, known);
      clean.push(JSON.stringify(better.value));
      removed += sum(better.removed);
    }
  }
  return { text: clean.join('\n'), removed };
}

function messageIn(line: string): string {
  const { message } = (parsed(line) ?? {}) as { readonly message?: unknown };
  return typeof message === 'string' && !message.includes('\n') ? message : '';
}

function cleanPlain(text: string, known: readonly string[]): Clean {
  const { text: clean, removed } = redact(text, known);
  return { text: clean, removed: sum(removed) };
}

function cleanData(value: object, known: readonly string[]): Clean {
  const { value: clean, removed } = redactDeep(value, known);
  return { text: `${JSON.stringify(clean, null, 2)}\n`, removed: sum(removed) };
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined; // cut, or no JSON at all: it is cleaned as text
  }
}

function sum(removed: ReadonlyMap<string, number>): number {
  return [...removed.values()].reduce((total, times) => total + times, 0);
}
