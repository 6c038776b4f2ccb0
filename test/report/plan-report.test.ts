import { expect, test } from 'vitest';
import { blocked, due, settled, type Verdict, warned } from '../../src/change.ts';
import type { Plan } from '../../src/engine/plan.ts';
import { planJson, planText } from '../../src/report/plan-report.ts';
import type { Step } from '../../src/steps/step.ts';

const planOf = (...verdicts: readonly Verdict[]): Plan =>
  verdicts.map((verdict, index) => ({
    step: { id: `step-${index + 1}`, title: `Step ${index + 1}`, reads: [], judge: () => verdict } as Step,
    verdict,
  }));
const plain = (_: unknown, text: string) => text;

const write = due({ kind: 'write', path: '/etc/nvidia/gridd.conf', text: 'A=1\nB=3\n', because: 'B is old' });
const present = new Map([['/etc/nvidia/gridd.conf', 'A=1\nB=2\n']]);
const DIFF = '--- /etc/nvidia/gridd.conf\n+++ /etc/nvidia/gridd.conf\n@@ -1,2 +1,2 @@\n A=1\n-B=2\n+B=3\n';

test('JSON: a write carries its path and a unified diff, and not the text', () => {
  expect(planJson(planOf(settled('all is well'), write), present)).toEqual({
    schema: 'vgpu-guest/plan/1',
    changesDue: true,
    steps: [
      { id: 'step-1', title: 'Step 1', verdict: { is: 'settled', because: 'all is well' } },
      {
        id: 'step-2',
        title: 'Step 2',
        verdict: {
          is: 'due',
          because: 'B is old',
          changes: [{ kind: 'write', path: '/etc/nvidia/gridd.conf', because: 'B is old', diff: DIFF }],
        },
      },
    ],
  });
});

test('a new file is a diff from nothing', () => {
  const json = JSON.stringify(planJson(planOf(write), new Map()));
  expect(json).toContain('--- /dev/null\\n+++ /etc/nvidia/gridd.conf\\n@@ -0,0 +1,2 @@\\n+A=1\\n+B=3\\n');
});

test('nothing due and nothing blocked is no change', () => {
  expect(planJson(planOf(settled('x')), new Map()).changesDue).toBe(false);
});

test('text: a sentence per step, and a remedy that was given once is not given again', () => {
  const full = blocked('the disk is full', 'make room');
  expect(planText(planOf(settled('all is well'), write, full, full), present, plain)).toBe(
    [
      '1/4 step-1  settled',
      '      all is well',
      '2/4 step-2  due',
      '      write /etc/nvidia/gridd.conf, because B is old',
      ...DIFF.trimEnd()
        .split('\n')
        .map(line => `        ${line}`),
      '3/4 step-3  blocked',
      '      the disk is full',
      '      → make room',
      '4/4 step-4  blocked',
      '      for the same reason',
    ].join('\n'),
  );
});

test('a token is never in a plan: only where it comes from and goes to', () => {
  const copy = due({
    kind: 'copy-secret',
    from: '/opt/a.tok',
    path: '/etc/nvidia/ClientConfigToken/a.tok',
    mode: 0o744,
    because: 'it is not there',
  });
  expect(planText(planOf(copy), new Map(), plain)).toContain(
    'copy /opt/a.tok to /etc/nvidia/ClientConfigToken/a.tok, because it is not there',
  );
});

test('a warning stands below what is due or settled, and in the JSON', () => {
  const plan = planOf(
    warned(settled('all is well'), ['X may be passed over']),
    warned(write, ['Y too']),
    warned(write, []),
  );
  expect(planText(plan, present, plain).split('\n')).toEqual(
    expect.arrayContaining(['      ! X may be passed over', '      ! Y too']),
  );
  expect(planJson(plan, present).steps.map(({ verdict }) => 'warnings' in verdict && verdict.warnings)).toEqual([
    ['X may be passed over'],
    ['Y too'],
    false,
  ]);
});
