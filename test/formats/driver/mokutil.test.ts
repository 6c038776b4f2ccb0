import { expect, test } from 'vitest';
import { parseTestKey } from '../../../src/formats/driver/mokutil.ts';

// The sentences of mokutil 0.4 to 0.6, from its own strings.
test.each([
  ['/k/mok.pub is already enrolled\n', 'enrolled'],
  ['CA of /k/mok.pub is already enrolled\n', 'enrolled'],
  ['/k/mok.pub is not enrolled\n', 'not-enrolled'],
  ['/k/mok.pub is already in the enrollment request\n', 'requested'],
  ['/k/mok.pub is already in the MokX enrollment request\n', 'blocked'],
  ['/k/mok.pub is blocked in MokListX\n', 'blocked'],
  ['EFI variables are not supported on this system\n', 'unknown'],
  ['', 'unknown'],
])('%j is %s', (text, state) => {
  expect(parseTestKey(text)).toBe(state);
});
