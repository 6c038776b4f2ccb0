/** What `mokutil --test-key CERTIFICATE` says of a key; its exit codes have changed over the years, its words have not. */
export type Enrollment = 'enrolled' | 'requested' | 'not-enrolled' | 'blocked' | 'unknown';

const WORDS: readonly (readonly [RegExp, Enrollment])[] = [
  // good enough for what shim starts; a kernel refuses a module unless it knows the very certificate that it is signed with
  [/^CA of .* is already enrolled$/m, 'not-enrolled'],
  [/ is not enrolled$/m, 'not-enrolled'],
  [/ is blocked in /m, 'blocked'],
  [/ is already in the MokX enrollment request$/m, 'blocked'],
  [/ is already in the enrollment request$/m, 'requested'],
  [/ is already enrolled$| is already in (?:PK|KEK|db|the built-in|the kernel)\b/m, 'enrolled'],
];

export function parseTestKey(text: string): Enrollment {
  return WORDS.find(([pattern]) => pattern.test(text))?.[1] ?? 'unknown';
}

/** Serial numbers of the certificates that `mokutil --list-enrolled` or `--db` prints, as `keyNumber` writes them. */
export function parseSerialNumbers(text: string): ReadonlySet<string> {
  // OpenSSL prints a short one as `Serial Number: 1 (0x1)`, and a long one by its bytes in a line of its own
  const found = text.matchAll(/^ *Serial Number:(?: \d+ \(0x([0-9a-f]+)\)|\s+([0-9a-f:]+))$/gim);
  return new Set([...found].map(([, short, long]) => keyNumber(short ?? long ?? '')));
}

/** The number of a key, as modinfo prints it (`1C:29:…`, the serial number of the certificate), in one way of writing. */
export function keyNumber(text: string): string {
  return text.replaceAll(':', '').trim().toLowerCase().replace(/^0+/, '');
}
