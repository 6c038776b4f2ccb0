import { type Change, due, settled, warned } from '../../change.ts';
import type { MovedFile, RecordFact } from '../../facts/record.ts';
import { defineStep } from '../step.ts';
import {
  changesOf,
  emptied,
  filesOf,
  type RevertOptions,
  refuseUnreadable,
  standingOf,
  warningsOf,
} from './changed-files.ts';

/** Configuration and tokens: all but what a driver needs as long as it is there. */
export const restoreFiles = (options: RevertOptions) =>
  defineStep({
    id: 'restore-files',
    title: 'Put files back as they were',
    reads: ['record', 'system'],
    judge(_config, { record, system }) {
      const refusal = refuseUnreadable(record);
      if (refusal) return refusal;
      if (system.readOnly) return { is: 'blocked', ...system.readOnly };
      const files = filesOf(record, 'others');
      const changes = changesOf(files, options);
      const removed = changes.flatMap(change => (change.kind === 'remove' ? [change.path] : []));
      const folders = emptied(record, removed);
      const free = new Set([...removed, ...folders.flatMap(change => ('path' in change ? [change.path] : []))]);
      const moves = movesBack(record, free);
      const warnings = [...warningsOf(files, options), ...moves.warnings, ...record.toolkits.map(toolkitStays)];
      const [first, ...rest] = [...changes, ...folders, ...moves.changes];
      return warned(first ? due(first, ...rest) : settled(saidOf(record, options)), warnings);
    },
  });

/** Whether its uninstaller can do without somebody at a terminal is not known. */
function toolkitStays(release: string): string {
  return `CUDA toolkit ${release} stays: its own /usr/local/cuda-${release}/bin/cuda-uninstaller takes it away`;
}

function saidOf({ files }: RecordFact, options: RevertOptions): string {
  if (files.length === 0) return 'nothing is recorded that this program would have changed';
  const back = files.filter(file => standingOf(file, options).is === 'back').map(({ path }) => path);
  return back.length === 0 ? 'no file is to be put back here' : `as before: ${back.join(', ')}`;
}

/** What was in the way goes back to its name; what this program had put there itself is not kept. */
function movesBack({ moves, files }: RecordFact, free: Set<string>) {
  const changes: Change[] = [];
  const warnings: string[] = [];
  for (const { from, to, there, isTaken } of moves) {
    if (!there) continue;
    const file = files.find(({ path }) => path === from);
    if (file && !file.before && there.sha256 !== undefined && file.ours.includes(there.sha256)) {
      changes.push({ kind: 'remove', path: to, because: `${to} is what vgpu-guest had put to ${from}` });
    } else if (!isTaken || free.has(from)) {
      free.delete(from);
      changes.push({ kind: 'move', path: to, to: from, because: `${from} was there before` });
    } else {
      warnings.push(`${from} has its name taken by another one: what was there before stays at ${to}`);
    }
  }
  return { changes, warnings };
}

/** Moves that are not undone yet, and may be later. */
export function pendingMoves({ moves }: RecordFact): readonly MovedFile[] {
  return moves.filter(({ there }) => there !== undefined);
}
