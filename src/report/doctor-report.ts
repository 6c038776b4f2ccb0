import type { Finding } from '../checks/check.ts';
import type { Diagnosis, LookedAt } from '../engine/examine.ts';
import { indent, type Paint } from './text.ts';
import { visible } from './visible.ts';

/** `vgpu-guest/doctor/1` of the contract; `lookedAt` says what the findings do not speak of. */
export function doctorJson({ findings, lookedAt }: Diagnosis): object {
  return { schema: 'vgpu-guest/doctor/1', findings, lookedAt };
}

/** The gravest first, each with what to do; then everything that was looked at. */
export function doctorText(diagnosis: Diagnosis, paint: Paint): string {
  const { findings, lookedAt } = diagnosis;
  return [
    headline(findings),
    ...findings.map(finding => findingText(finding, paint)),
    sightsText(lookedAt, paint),
  ].join('\n\n');
}

/** A finding: what is wrong, how that is seen, why, and what to do. */
export function findingText({ id, severity, summary, cause, remedy, evidence }: Finding, paint: Paint): string {
  return [
    `${paint(STYLES[severity], severity)} ${paint('bold', visible(summary))}  ${paint('dim', id)}`,
    ...evidence.map(({ at, shows }) => `    ${paint('dim', `${visible(at)}:`)} ${visible(shows)}`),
    `  because ${indent(cause, '    ')}`,
    `  → ${indent(remedy, '    ')}`,
  ].join('\n');
}

const STYLES = { error: 'red', warning: 'yellow', info: 'cyan' } as const;

function headline(findings: readonly Finding[]): string {
  const counts = (['error', 'warning', 'info'] as const).flatMap(severity => {
    const count = findings.filter(finding => finding.severity === severity).length;
    return count === 0 ? [] : [`${count} ${NOUNS[severity]}${count === 1 || severity === 'info' ? '' : 's'}`];
  });
  return counts.length === 0 ? 'nothing wrong was found' : counts.join(', ');
}

const NOUNS = { error: 'error', warning: 'warning', info: 'to know' } as const;

function sightsText(lookedAt: readonly LookedAt[], paint: Paint): string {
  const width = Math.max(...lookedAt.map(({ title }) => title.length));
  const rows = lookedAt.map(({ title, state, saw }) => {
    const word = visible(state === 'unknown' ? `unknown: ${saw}` : saw);
    return `${paint(MARKS[state].style, MARKS[state].mark)} ${title.padEnd(width)}  ${word}`;
  });
  return ['looked at', ...rows].join('\n');
}

const MARKS = {
  right: { mark: '✓', style: 'green' },
  wrong: { mark: '✗', style: 'red' },
  unknown: { mark: '?', style: 'yellow' },
} as const;
