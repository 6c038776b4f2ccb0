import { expect, test } from 'vitest';
import { duration, printable } from '../../src/report/text.ts';

test.each([
  [4.4, '4 ms'],
  [999, '999 ms'],
  [41_250, '41.3 s'],
  [125_000, '2 min 5 s'],
])('%d ms reads as %s', (ms, words) => {
  expect(duration(ms)).toBe(words);
});

test('foreign text reaches a terminal without escape sequences and control characters', () => {
  expect(printable('\u001b[31mred\u001b[0m\u001b]0;title\u0007 a\tb\u0000\r\u009b2J end')).toBe('red a b end');
});
