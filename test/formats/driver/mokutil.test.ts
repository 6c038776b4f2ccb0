import { expect, test } from 'vitest';
import { keyNumber, parseSerialNumbers, parseTestKey } from '../../../src/formats/driver/mokutil.ts';

// The sentences of mokutil 0.4 to 0.6, from its own strings.
test.each([
  ['/k/mok.pub is already enrolled\n', 'enrolled'],
  ['CA of /k/mok.pub is already enrolled\n', 'not-enrolled'],
  ['/k/mok.pub is not enrolled\n', 'not-enrolled'],
  ['/k/mok.pub is already in the enrollment request\n', 'requested'],
  ['/k/mok.pub is already in the MokX enrollment request\n', 'blocked'],
  ['/k/mok.pub is blocked in MokListX\n', 'blocked'],
  ['EFI variables are not supported on this system\n', 'unknown'],
  ['', 'unknown'],
])('%j is %s', (text, state) => {
  expect(parseTestKey(text)).toBe(state);
});

// two certificates of OpenSSL 3.0, one with a serial number of its own choice and one with the number 1, between mokutil's own lines
const ENROLLED = `[key 1]
SHA1 Fingerprint: 53:61:0c:f8:1f:bd:7e:0c:eb:67:91:3c:9e:f3:e7:94:a9:63:3e:cb
Certificate:
    Data:
        Version: 3 (0x2)
        Serial Number:
            1c:29:95:15:c5:8d:93:d5:ff:51:d6:0b:8a:72:8f:c2:37:91:68:83
        Signature Algorithm: sha256WithRSAEncryption
        Issuer: CN=DKMS module signing key

[key 2]
Certificate:
    Data:
        Version: 3 (0x2)
        Serial Number: 1 (0x1)
        Signature Algorithm: sha256WithRSAEncryption
`;

test('the numbers of enrolled keys are those that modinfo has for a signature', () => {
  const numbers = parseSerialNumbers(ENROLLED);
  expect(numbers.size).toBe(2);
  for (const sigKey of ['1C:29:95:15:C5:8D:93:D5:FF:51:D6:0B:8A:72:8F:C2:37:91:68:83\n', '01']) {
    expect(numbers.has(keyNumber(sigKey))).toBe(true);
  }
  expect(parseSerialNumbers('MokListRT is empty\n').size).toBe(0);
});
