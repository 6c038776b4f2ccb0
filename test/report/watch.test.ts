import { expect, test } from 'vitest';
import type { StepReport } from '../../src/engine/apply.ts';
import { createWatcher, terminalFoot } from '../../src/report/watch.ts';
import type { Step } from '../../src/steps/step.ts';

const plain = (_: unknown, text: string) => text;
const step = { id: 'rebuild-initrd', title: 'x', reads: [], judge: () => ({ is: 'settled', because: '' }) } as Step;
const changed: StepReport = {
  id: 'rebuild-initrd',
  outcome: 'changed',
  because: 'the initrd is older than the nouveau blacklist',
  durationMs: 41_250,
};

function recordingLog() {
  const entries: string[] = [];
  return {
    entries,
    log: {
      write: (level: string, message: string) => void entries.push(`${level}: ${message}`),
      close: async () => {},
    },
  };
}

test('without a terminal a step is one plain line, with what it took', () => {
  const { entries, log } = recordingLog();
  const watcher = createWatcher(log, undefined, plain);
  watcher.stepBegins(step, 2, 10);
  watcher.stepEnds(changed, 2, 10);
  watcher.close();
  expect(entries).toEqual([
    'info:  3/10 rebuild-initrd  changed  the initrd is older than the nouveau blacklist  (41.3 s)',
  ]);
});

test.each([
  ['failed', 'error'],
  ['blocked', 'warn'],
  ['unlicensed', 'warn'],
  ['settled', 'info'],
] as const)('%s is said as %s, with its remedy', (outcome, level) => {
  const { entries, log } = recordingLog();
  const watcher = createWatcher(log, undefined, plain);
  watcher.stepEnds({ ...changed, outcome, because: 'first\nsecond', remedy: 'do this' }, 2, 10);
  watcher.close();
  expect(entries).toEqual([
    `${level}:  3/10 rebuild-initrd  ${outcome}  first\n      second  (41.3 s)`,
    `${level}:       → do this`,
  ]);
});

test('lines of a long child go to the log file, cleaned, and only the last three stay in sight', () => {
  const written: string[] = [];
  const stream = { columns: 40, write: (text: string) => written.push(text) > 0 } as unknown as NodeJS.WriteStream;
  const { entries, log } = recordingLog();
  const watcher = createWatcher(
    log,
    terminalFoot(stream, plain, text => text),
    plain,
  );
  watcher.stepBegins(step, 2, 10);
  for (const line of ['one', '\u001b[1mtwo\u001b[0m', '', 'three', 'four']) watcher.progress(line);
  watcher.info('the old initrd is kept');
  watcher.close();
  expect(entries).toEqual([
    'debug:       one',
    'debug:       two',
    'debug:       three',
    'debug:       four',
    'info:       the old initrd is kept',
  ]);
  expect(written.join('')).toContain('\n  two\n  three\n  four');
});

test('rows never wrap, and a line of the log takes their place', () => {
  const written: string[] = [];
  const stream = { columns: 20, write: (text: string) => written.push(text) > 0 } as unknown as NodeJS.WriteStream;
  const foot = terminalFoot(stream, plain, text => text);
  foot.show('a head that is longer than the terminal', ['row']);
  expect(written).toEqual(['a head that is long\n  row']);
  expect(foot.clear()).toBe('\u001b[1A\r\u001b[J');
  expect(foot.clear()).toBe('');
});
