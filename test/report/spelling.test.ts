import { describe, expect, test } from 'vitest';
import { spellingFor } from '../../src/report/spelling.ts';

const TEXT = '→ “grün” … ✓ 👍';
const PLAIN = '-> "gr\\u00fcn" ... + \\ud83d\\udc4d';

describe('a text is written as it is where the locale says UTF-8', () => {
  test.each<NodeJS.ProcessEnv>([
    { LANG: 'en_US.UTF-8' },
    { LANG: 'C', LC_CTYPE: 'de_DE.utf8' },
    { LANG: 'C', LC_CTYPE: 'C', LC_ALL: 'C.UTF-8' },
    { LANG: 'de_DE.UTF-8@euro', LC_ALL: '' },
  ])('%o', env => {
    expect(spellingFor(env)(TEXT)).toBe(TEXT);
  });
});

describe('and in ASCII where it says anything else, or nothing', () => {
  test.each<NodeJS.ProcessEnv>([
    {},
    { LANG: '' },
    { LANG: 'C' },
    { LANG: 'en_US' },
    { LANG: 'de_DE.ISO-8859-1' },
    { LANG: 'C.UTF-8', LC_ALL: 'C' },
    { LANG: 'C.UTF-8', LC_CTYPE: 'POSIX' },
  ])('%o', env => {
    expect(spellingFor(env)(TEXT)).toBe(PLAIN);
  });
});
