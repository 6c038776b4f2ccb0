import type { BundleEntry } from '../engine/support/bundle.ts';
import { visible } from './visible.ts';

/** A bundle that has been written. */
export interface Bundle {
  readonly path: string;
  readonly bytes: number;
  readonly entries: readonly BundleEntry[];
  /** Files with secrets that could not be read: nothing was compared with them. */
  readonly unread: readonly string[];
}

/** `vgpu-guest/support-bundle/1` */
export function supportJson({ path, bytes, entries, unread }: Bundle): object {
  return {
    schema: 'vgpu-guest/support-bundle/1',
    path,
    bytes,
    entries: entries.map(({ name, how, state, bytes, because, removed, durationMs }) => ({
      name,
      how,
      state,
      bytes,
      ...(because === undefined ? {} : { because }),
      removed,
      durationMs,
    })),
    unread,
  };
}

/** The answer for a person: where it is, and what is not in it. */
export function supportText({ path, bytes, entries, unread }: Bundle): string {
  const there = entries.filter(isThere);
  const failed = entries.filter(({ state }) => state === 'failed');
  const removed = entries.reduce((sum, entry) => sum + entry.removed, 0);
  return [
    `${path} (${sizeWords(bytes)}, ${there.length} files, ${countWords(removed, 'secret')} taken out)`,
    ...failed.map(({ how, because }) => `  not in it: ${visible(`${how}: ${because}`)}`),
    ...unread.map(text => `  could not be compared with: ${visible(text)}`),
    'look through it before you pass it on: it tells names and addresses of this guest and its network',
  ].join('\n');
}

/** The first file of the bundle. */
export function supportList(entries: readonly BundleEntry[], unread: readonly string[], made: string): string {
  const rows = entries.map(entry => {
    const { name, how, state, bytes, because, removed, durationMs } = entry;
    const words = [
      ...(isThere(entry) ? [] : [state]),
      ...(state === 'cut' ? ['its start, or something in the middle, is left out'] : []),
      ...(because === undefined ? [] : [because]),
      ...(removed > 0 ? [`${countWords(removed, 'secret')} taken out`] : []),
    ].join('; ');
    const took = durationMs < 1_000 ? '' : ` (${(durationMs / 1_000).toFixed(1)} s)`;
    return [
      `${String(isThere(entry) ? bytes : '-').padStart(10)}  ${visible(name)}`,
      `            ${visible(how)}${took}${words === '' ? '' : `: ${visible(words)}`}`,
    ].join('\n');
  });
  return [
    made,
    '',
    'Secrets are replaced by <removed:KIND>: tokens, keys, passwords, credentials of proxies, what is encoded.',
    ...unread.map(text => `Could not be compared with: ${visible(text)}`),
    '',
    '     bytes  file, and how it was got',
    ...rows,
    '',
  ].join('\n');
}

function isThere({ state }: BundleEntry): boolean {
  return state === 'whole' || state === 'cut';
}

function countWords(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

function sizeWords(bytes: number): string {
  return bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
