import { expect, test } from 'vitest';
import type { Finding } from '../../src/checks/check.ts';
import { doctorJson, doctorText } from '../../src/report/doctor-report.ts';

const FINDING: Finding = {
  id: 'token-expired',
  severity: 'error',
  summary: 'the token /a.tok has expired',
  cause: 'its time is over',
  remedy: 'get a new one',
  evidence: [{ at: '/a.tok', shows: 'exp 2026-11-20T10:00:00Z' }],
};
const LOOKED = [
  { id: 'token', title: 'the token', state: 'wrong', saw: '/a.tok' },
  { id: 'log', title: 'the log', state: 'unknown', saw: 'there is none' },
  { id: 'gpu', title: 'the GPU', state: 'right', saw: '0000:00:06.0' },
] as const;
const plain = (_style: unknown, text: string) => text;

test('a tired operator reads what is wrong, how that is seen, why, and what to do', () => {
  expect(
    doctorText(
      { findings: [FINDING, { ...FINDING, severity: 'warning' }, { ...FINDING, severity: 'info' }], lookedAt: LOOKED },
      plain,
    ),
  ).toMatch(
    /^1 error, 1 warning, 1 to know\n\nerror the token \/a\.tok has expired {2}token-expired\n {4}\/a\.tok: exp 2026-11-20T10:00:00Z\n {2}because its time is over\n {2}→ get a new one\n\nwarning the token/,
  );
});

test('where nothing is wrong, it says what was looked at, and what is unknown', () => {
  expect(doctorText({ findings: [], lookedAt: LOOKED }, plain)).toBe(
    [
      'nothing wrong was found',
      '',
      'looked at',
      '✗ the token  /a.tok',
      '? the log    unknown: there is none',
      '✓ the GPU    0000:00:06.0',
    ].join('\n'),
  );
});

test('its JSON has the name of its kind and version', () => {
  expect(doctorJson({ findings: [FINDING], lookedAt: LOOKED })).toEqual({
    schema: 'vgpu-guest/doctor/1',
    findings: [FINDING],
    lookedAt: LOOKED,
  });
});
