import { describe, expect, test } from 'vitest';
import { parseDkmsStatus } from '../../../src/formats/driver/dkms-status.ts';

// Lines as the versions of DKMS print them, typed from the source of dkms at its tags.
const entry = {
  module: 'nvidia',
  version: '535.129.03',
  kernel: undefined,
  architecture: undefined,
  warning: undefined,
};
const built = { ...entry, kernel: '6.4.0-150600.23.47-default', architecture: 'x86_64' };

describe('dkms status', () => {
  test.each([
    [
      'since 2.8.7',
      'nvidia/535.129.03, 6.4.0-150600.23.47-default, x86_64: installed',
      { ...built, status: 'installed' },
    ],
    [
      'since 2.8.7, built only',
      'nvidia/535.129.03, 6.4.0-150600.23.47-default, x86_64: built',
      { ...built, status: 'built' },
    ],
    ['since 2.8.7, added only', 'nvidia/535.129.03: added', { ...entry, status: 'added' }],
    [
      'up to 2.8.5',
      'nvidia, 535.129.03, 6.4.0-150600.23.47-default, x86_64: installed',
      { ...built, status: 'installed' },
    ],
    ['up to 2.8.6, added only', 'nvidia, 535.129.03: added', { ...entry, status: 'added' }],
    ['since 3.0.13, source gone', 'nvidia/535.129.03: broken', { ...entry, status: 'broken' }],
    [
      'a weak module',
      'nvidia, 535.129.03, 6.4.0-150600.23.47-default, x86_64: installed-weak from 6.4.0-150600.21-default',
      { ...built, status: 'installed-weak' },
    ],
    [
      'with originals set aside',
      'nvidia/535.129.03, 6.4.0-150600.23.47-default, x86_64: installed (Original modules exist)',
      { ...built, status: 'installed', warning: 'Original modules exist' },
    ],
    [
      'with two remarks',
      'nvidia/535.129.03, 6.4.0-150600.23.47-default, x86_64: installed (Original modules exist) (Differences between built and installed modules)',
      {
        ...built,
        status: 'installed',
        warning: 'Original modules exist; Differences between built and installed modules',
      },
    ],
    [
      'an older remark',
      'nvidia, 535.129.03, 6.4.0-150600.23.47-default, x86_64: installed (WARNING! Diff between built and installed module!)',
      { ...built, status: 'installed', warning: 'WARNING! Diff between built and installed module!' },
    ],
  ])('a line %s is read', (_when, line, expected) => {
    expect(parseDkmsStatus(`${line}\n`)).toEqual([expected]);
  });

  test('errors and empty lines are no modules', () => {
    const text = [
      'Error! nvidia/470.63.01: Missing the module source directory or the symbolic link pointing to it.',
      'Manual intervention is required!',
      '',
      'nvidia/470.63.01: broken',
      'zfs/2.1.5, 5.15.0-91-generic, x86_64: installed',
    ].join('\n');
    expect(parseDkmsStatus(text).map(({ module, status }) => `${module} ${status}`)).toEqual([
      'nvidia broken',
      'zfs installed',
    ]);
  });

  test('a guest without modules in DKMS has none', () => {
    expect(parseDkmsStatus('')).toEqual([]);
  });
});
