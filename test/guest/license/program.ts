import assert from 'node:assert/strict';
import type { LicenseBed } from './bed.ts';

/** What `vgpu-guest apply` said and did. */
export interface Answer {
  readonly code: number;
  readonly outcome: string;
  readonly changed: boolean;
  readonly license: { readonly state: string; readonly product?: string };
  /** Of the step that decided: the first one with this outcome. */
  readonly because: string;
  readonly remedy: string;
  /** What a person saw. */
  readonly talk: string;
}

interface StepReport {
  readonly outcome: string;
  readonly because: string;
  readonly remedy?: string;
}

export async function apply({ guest }: LicenseBed, ...flags: readonly string[]): Promise<Answer> {
  const { code, stdout, stderr } = await guest.execute(['vgpu-guest', 'apply', '--json', ...flags]);
  assert.notEqual(stdout, '', stderr);
  const report = JSON.parse(stdout) as Pick<Answer, 'outcome' | 'changed' | 'license'> & { steps: StepReport[] };
  const step = report.steps.find(({ outcome }) => outcome === report.outcome);
  return { ...report, code, because: step?.because ?? '', remedy: step?.remedy ?? '', talk: stderr };
}

/** What doctor says first of a guest that has just failed, `error token-missing`. */
export async function assertFound({ guest }: LicenseBed, expected: string): Promise<void> {
  const { code, stdout, stderr } = await guest.execute(['vgpu-guest', 'doctor', '--json']);
  assert.notEqual(stdout, '', stderr);
  const { findings } = JSON.parse(stdout) as { findings: readonly { id: string; severity: string; summary: string }[] };
  const [first] = findings.filter(({ severity }) => severity !== 'info');
  const all = findings.map(({ id, severity, summary }) => `${severity} ${id}: ${summary}`).join('\n');
  assert.equal(`${first?.severity} ${first?.id}`, expected, all);
  assert.equal(code, first?.severity === 'error' ? 4 : 0, all);
}

/** Everything is as asked for, and the license is of this product. */
export function assertLicensed(answer: Answer, product: string): void {
  const { code, license } = answer;
  assert.deepEqual([code, license.state, license.product], [0, 'licensed', product], inFull(answer));
}

/** Everything is in place, and no license came in time. */
export function assertUnlicensed(answer: Answer, because: RegExp, remedy: RegExp): void {
  assertEnd(answer, [5, 'unlicensed'], because, remedy);
}

/** Nothing was changed, since somebody must act first. */
export function assertBlocked(answer: Answer, because: RegExp, remedy: RegExp): void {
  assertEnd(answer, [4, 'blocked'], because, remedy);
  assert.equal(answer.changed, false, inFull(answer));
}

export function assertFailed(answer: Answer, because: RegExp, remedy: RegExp): void {
  assertEnd(answer, [1, 'failed'], because, remedy);
}

function assertEnd(answer: Answer, end: readonly [number, string], because: RegExp, remedy: RegExp): void {
  assert.deepEqual([answer.code, answer.outcome], end, inFull(answer));
  assert.match(answer.because, because, inFull(answer));
  assert.match(answer.remedy, remedy, inFull(answer));
}

function inFull({ talk, because, remedy }: Answer): string {
  return `${talk}\nbecause: ${because}\nremedy: ${remedy}`;
}
