import { describe, expect, test } from 'vitest';
import {
  allowUnsupportedModules,
  blacklistedModules,
  insertAtTop,
  refusesUnsupportedModules,
} from '../../../src/formats/driver/modprobe-conf.ts';

describe('what modprobe.d keeps from being loaded by alias', () => {
  test.each([
    ['blacklist nouveau\n', ['nouveau']],
    ['  blacklist\tnouveau   # trailing words\n', ['nouveau']],
    ['blacklist nova-core\n', ['nova_core']],
    ['install nouveau /bin/false\n', ['nouveau']],
    ['install nouveau /usr/bin/true\n', ['nouveau']],
    ['blacklist \\\nnouveau\n', ['nouveau']],
    ['#blacklist nouveau\n', []],
    ['# blacklist nouveau\noptions nouveau modeset=0\n', []],
    ['install nouveau /sbin/modprobe --ignore-install nouveau\n', []],
    ['blacklistnouveau\nblacklist\n', []],
  ])('%j', (text, modules) => {
    expect([...blacklistedModules(text)]).toEqual(modules);
  });
});

describe('lines go into the upper part of a file', () => {
  const lines = ['blacklist nouveau'];

  test('an empty or absent file gets the lines and nothing else', () => {
    expect(insertAtTop('', lines)).toBe('blacklist nouveau\n');
  });

  test('a heading that a blank line sets off stays on top', () => {
    const text = '# Listing modules here\n# prevents loading.\n\n# framebuffers\nblacklist radeonfb\n';
    expect(insertAtTop(text, lines)).toBe(
      '# Listing modules here\n# prevents loading.\n\nblacklist nouveau\n\n# framebuffers\nblacklist radeonfb\n',
    );
  });

  test('a comment right above a directive stays with its directive', () => {
    expect(insertAtTop('# framebuffers\nblacklist radeonfb\n', lines)).toBe(
      'blacklist nouveau\n\n# framebuffers\nblacklist radeonfb\n',
    );
  });

  test('CRLF stays CRLF', () => {
    expect(insertAtTop('blacklist radeonfb\r\n', lines)).toBe('blacklist nouveau\r\n\r\nblacklist radeonfb\r\n');
  });

  test('every byte of the file is still there, in its order, without a newline at its end', () => {
    const text = '# top\n\nalias x y\n# end without newline';
    expect(insertAtTop(text, lines).replace('blacklist nouveau\n\n', '')).toBe(text);
  });
});

test.each([
  ['allow_unsupported_modules 0\n', true],
  ['# allow_unsupported_modules 0\n', false],
  ['allow_unsupported_modules 0\nallow_unsupported_modules 1\n', false],
  ['', false],
])('%j keeps unsupported modules out: %s', (text, refuses) => {
  expect(refusesUnsupportedModules(text)).toBe(refuses);
  expect(refusesUnsupportedModules(allowUnsupportedModules(text))).toBe(false);
});
