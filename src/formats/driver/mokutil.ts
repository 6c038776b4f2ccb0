/** What `mokutil --test-key CERTIFICATE` says of a key; its exit codes have changed over the years, its words have not. */
export type Enrollment = 'enrolled' | 'requested' | 'not-enrolled' | 'blocked' | 'unknown';

const WORDS: readonly (readonly [RegExp, Enrollment])[] = [
  [/ is not enrolled$/m, 'not-enrolled'],
  [/ is blocked in /m, 'blocked'],
  [/ is already in the MokX enrollment request$/m, 'blocked'],
  [/ is already in the enrollment request$/m, 'requested'],
  [/ is already enrolled$| is already in (?:PK|KEK|db|the built-in|the kernel)\b/m, 'enrolled'],
];

export function parseTestKey(text: string): Enrollment {
  return WORDS.find(([pattern]) => pattern.test(text))?.[1] ?? 'unknown';
}
