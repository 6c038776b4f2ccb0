import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AgentError } from '../../src/errors.ts';
import { anyText, damaged, UNITS } from './arbitraries.ts';
import { isLong, runs } from './how-long.ts';
import { SUBJECTS, type Subject } from './subjects.ts';

/** Every reader of this program stops at a mebibyte, or reads line by line. */
const LONGEST = isLong ? 1024 * 1024 : 32 * 1024;
/** Of computing, so that a busy machine does not count. What looks at all of it some times over is far below, what does so for each character far above. */
const MOST_CPU_MS = isLong ? 15_000 : 400;
/** What is done with a short one in no time is not asked for the long one, unless there is time for it. */
const SHORT = 8 * 1024;
const SHORT_CPU_MS = isLong ? 0 : 20;
/** Behind a lead every so manyth unit is tried, unless there is time for all. */
const STRIDE = isLong ? 1 : 5;

test('every format is looked at', () => {
  const formats = readdirSync(join(import.meta.dirname, '../../src/formats'), { recursive: true, encoding: 'utf8' });
  const files = formats.filter(file => file.endsWith('.ts')).map(file => basename(file, '.ts'));
  expect(new Set(files).size).toBe(files.length); // they are told apart by their names alone
  expect(new Set(SUBJECTS.flatMap(subject => subject.files))).toEqual(new Set(files));
});

describe.each(SUBJECTS.map(subject => [subject.name, subject] as const))('%s', (_, subject) => {
  test('no text makes it fail in a way that nobody foresaw', () => {
    fc.assert(
      fc.property(anyText, text => void attempt(subject, text)),
      runs(150),
    );
  });

  test('nor does a damaged one of its kind', () => {
    fc.assert(
      fc.property(damaged(subject.samples), text => void attempt(subject, text)),
      runs(60),
    );
  });

  test('a long text takes no longer than a long text takes', { timeout: isLong ? 3_600_000 : 300_000 }, () => {
    const slow = [];
    const mostMs = MOST_CPU_MS * (subject.patience ?? 1);
    for (const lead of ['', ...(subject.leads ?? [])]) {
      for (const [index, unit] of UNITS.entries()) {
        if (lead !== '' && index % STRIDE !== 0) continue;
        for (const end of isLong ? ['', '\u0001'] : ['\u0001']) {
          const made = (length: number) => lead + unit.repeat(length / unit.length) + end;
          if (cpuMsOf(subject, made(SHORT)) < SHORT_CPU_MS) continue;
          const text = made(LONGEST);
          const ms = cpuMsOf(subject, text);
          // once more, since something else may have been done meanwhile
          if (ms > mostMs && cpuMsOf(subject, text) > mostMs) slow.push({ lead, unit, end, ms });
        }
      }
    }
    expect(slow).toEqual([]);
  });
});

function attempt({ read }: Subject, text: string): unknown {
  try {
    return read(text);
  } catch (error) {
    if (error instanceof AgentError) return undefined;
    throw error;
  }
}

function cpuMsOf(subject: Subject, text: string): number {
  const before = process.cpuUsage();
  attempt(subject, text);
  return process.cpuUsage(before).user / 1_000;
}
