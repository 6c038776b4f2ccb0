import { expect, test } from 'vitest';
import { excerpt } from '../../src/formats/excerpt.ts';

test('a short text is as it was', () => {
  expect(excerpt('a\nb\n', 10)).toEqual({ text: 'a\nb\n', isCut: false });
});

test('of a long one the start and, mostly, the end are left, in whole lines', () => {
  const lines = Array.from({ length: 1_000 }, (_, index) => `line ${String(index).padStart(3, '0')}`);
  const { text, isCut } = excerpt(lines.join('\n'), 900);
  expect(isCut).toBe(true);
  const [first, last] = [text.split('\n').slice(0, 12), text.split('\n').slice(-80)];
  expect(first).toEqual(lines.slice(0, 12));
  expect(last).toEqual(lines.slice(-80));
  expect(text).toContain(' characters are left out here]');
});

test('a text that begins within a line begins with the next one: half a secret has no beginning to be known by', () => {
  expect(excerpt('ret=half\nwhole\n', 100, { isPart: true })).toEqual({ text: 'whole\n', isCut: true });
  expect(excerpt('half of one', 100, { isPart: true })).toEqual({ text: '', isCut: true });
});

test('a line without an end is cut at its start', () => {
  const { text, isCut } = excerpt(`a\n${'x'.repeat(100_000)}\nb`, 1_000_000);
  expect([isCut, text.length < 5_000, text.endsWith('[vgpu-guest: the line goes on]\nb')]).toEqual([true, true, true]);
});
