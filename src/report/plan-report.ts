import { createTwoFilesPatch } from 'diff';
import type { Change, Verdict } from '../change.ts';
import type { Plan } from '../engine/plan.ts';
import { indent, type Paint } from './text.ts';
import { visible } from './visible.ts';
import { describe } from './watch.ts';

/** `vgpu-guest/plan/1` of the contract. */
export interface PlanJson {
  readonly schema: 'vgpu-guest/plan/1';
  readonly changesDue: boolean;
  readonly steps: readonly { readonly id: string; readonly title: string; readonly verdict: object }[];
}

/** Texts of the files that the plan would write, as they stand; absent files are not in it. */
export type PresentTexts = ReadonlyMap<string, string>;

export function planJson(plan: Plan, present: PresentTexts): PlanJson {
  return {
    schema: 'vgpu-guest/plan/1',
    changesDue: plan.some(({ verdict }) => verdict.is === 'due'),
    steps: plan.map(({ step, verdict }) => ({
      id: step.id,
      title: step.title,
      verdict: verdictJson(verdict, present),
    })),
  };
}

/** A sentence per step; files as unified diffs. A sentence that was said already is not repeated. */
export function planText(plan: Plan, present: PresentTexts, paint: Paint): string {
  const said = new Set<string>();
  return plan
    .map(({ step, verdict }, index) => {
      const number = `${String(index + 1).padStart(String(plan.length).length)}/${plan.length}`;
      const head = `${number} ${paint('bold', step.id)}  ${paint(STYLES[verdict.is], verdict.is)}`;
      return [head, ...verdictLines(verdict, present, paint, said)].join('\n');
    })
    .join('\n');
}

const STYLES = { settled: 'dim', due: 'green', blocked: 'yellow' } as const;

function verdictJson(verdict: Verdict, present: PresentTexts): object {
  if (verdict.is !== 'due') return verdict;
  const because = [...new Set(verdict.changes.map(change => change.because))].join('; ');
  const changes = verdict.changes.map(change => changeJson(change, present));
  return { is: 'due', because, changes, ...(verdict.warnings ? { warnings: verdict.warnings } : {}) };
}

function changeJson(change: Change, present: PresentTexts): object {
  const diff = diffOf(change, present);
  if (diff === undefined) return change;
  if (change.kind !== 'write') return { ...change, diff };
  const { text: _text, ...rest } = change;
  return { ...rest, diff };
}

function verdictLines(verdict: Verdict, present: PresentTexts, paint: Paint, said: Set<string>): readonly string[] {
  if (verdict.is === 'settled') return [`      ${indent(verdict.because, '      ')}`, ...warningLines(verdict, paint)];
  if (verdict.is === 'blocked') {
    if (said.has(verdict.because)) return ['      for the same reason'];
    said.add(verdict.because);
    return [`      ${indent(verdict.because, '      ')}`, `      → ${indent(verdict.remedy, '        ')}`];
  }
  const lines = verdict.changes.flatMap(change => [
    `      ${visible(describe(change))}, because ${indent(change.because, '      ')}`,
    ...diffLines(diffOf(change, present), paint),
  ]);
  return [...lines, ...warningLines(verdict, paint)];
}

function warningLines({ warnings = [] }: { readonly warnings?: readonly string[] }, paint: Paint): readonly string[] {
  return warnings.map(warning => `      ${paint('yellow', '!')} ${indent(warning, '        ')}`);
}

/** undefined: it changes no text that may be shown. */
function diffOf(change: Change, present: PresentTexts): string | undefined {
  if (change.kind === 'write') return fileDiff(change, present);
  if (change.kind === 'restore') {
    const text = present.get(change.original);
    return text === undefined ? undefined : fileDiff({ path: change.path, text }, present);
  }
  const isShown = change.kind === 'remove' && change.isText && present.has(change.path);
  return isShown ? fileDiff({ path: change.path, text: '' }, present) : undefined;
}

function fileDiff({ path, text }: { readonly path: string; readonly text: string }, present: PresentTexts): string {
  const old = present.get(path);
  const patch = createTwoFilesPatch(
    old === undefined ? '/dev/null' : path,
    path,
    old ?? '',
    text,
    undefined,
    undefined,
    { context: 3 },
  );
  return patch.slice(patch.indexOf('--- '));
}

function diffLines(diff: string | undefined, paint: Paint): readonly string[] {
  if (diff === undefined) return [];
  return diff
    .trimEnd()
    .split('\n')
    .map(line => {
      const style = line.startsWith('+') ? 'green' : line.startsWith('-') ? 'red' : 'dim';
      return `        ${paint(style, line)}`;
    });
}
