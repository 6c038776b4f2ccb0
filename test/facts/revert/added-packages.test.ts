import { describe, expect, test } from 'vitest';
import { FAMILIES } from '../../../src/facts/families.ts';
import { findRemovable, resolvePackage } from '../../../src/facts/revert/added-packages.ts';
import type { GuestView } from '../../../src/guest/guest.ts';

describe('a package on record is found again', () => {
  const installed = new Set([
    'gcc-7-3.9.1.x86_64',
    'gcc-c++-7-3.9.1.x86_64',
    'make-4.2.1-8.0.x86_64',
    'kernel-devel-5.14.0-503.14.1.el9_5.x86_64',
    'kernel-devel-5.14.0-570.1.1.el9_6.x86_64',
    'kernel-default-devel-6.4.0-150600.23.47.2.x86_64',
    'libc6-dev',
  ]);
  test.each([
    ['by its own name', 'libc6-dev', 'libc6-dev'],
    ['by what it was asked for', 'gcc', 'gcc-7-3.9.1.x86_64'],
    [
      'by what it was asked for with its version',
      'kernel-default-devel=6.4.0-150600.23.47',
      'kernel-default-devel-6.4.0-150600.23.47.2.x86_64',
    ],
    [
      'by what it was asked for with kernel and architecture',
      'kernel-devel-5.14.0-503.14.1.el9_5.x86_64',
      'kernel-devel-5.14.0-503.14.1.el9_5.x86_64',
    ],
    ['after an update', 'make-4.2.1-7.3.2.x86_64', 'make-4.2.1-8.0.x86_64'],
    ['not in the package of another kernel', 'kernel-devel-5.14.0-427.el9.x86_64', undefined],
    ['not in the one package of a newer kernel', 'kernel-default-devel-6.3.0-1.1.x86_64', undefined],
    ['not where it has gone', 'dkms-3.0.10-1.el9.x86_64', undefined],
    ['not in one whose name only begins so', 'libc6', undefined],
  ])('%s', (_, name, expected) => {
    expect(resolvePackage(name, installed)).toBe(expected);
  });
});

describe('what may go', () => {
  const debian = FAMILIES.find(({ id }) => id === 'debian')!;
  const rhel = FAMILIES.find(({ id }) => id === 'rhel')!;
  const answers = (answer: (argv: readonly string[]) => { code: number; stdout: string; stderr: string }) =>
    ({ query: async (argv: readonly string[]) => answer(argv) }) as unknown as GuestView;

  test('is everything where the solver takes nothing else along', async () => {
    const guest = answers(argv => ({
      code: 0,
      stdout: argv
        .slice(3)
        .map(name => `Remv ${name} [1]`)
        .join('\n'),
      stderr: '',
    }));
    expect(await findRemovable(guest, debian, ['gcc', 'make'])).toEqual({
      removable: ['gcc', 'make'],
      needed: [],
      problem: undefined,
    });
  });

  test('is not what others need, nor what that needs in turn', async () => {
    const users: Record<string, readonly string[]> = {
      gcc: ['build-essential'],
      cpp: ['gcc', 'build-essential'],
      make: [],
    };
    const guest = answers(argv => {
      const names = argv.slice(3);
      const going = new Set(names.flatMap(name => [name, ...(users[name] ?? [])]));
      return { code: 0, stdout: [...going].map(name => `Remv ${name} [1]`).join('\n'), stderr: '' };
    });
    expect(await findRemovable(guest, debian, ['gcc', 'cpp', 'make'])).toMatchObject({
      removable: ['make'],
      needed: [{ name: 'gcc', by: ['build-essential'] }, { name: 'cpp' }],
    });
  });

  test('is nothing where the solver would rather install another one', async () => {
    const guest = answers(() => ({ code: 0, stdout: 'Remv gcc [1]\nInst clang (1 Debian)\n', stderr: '' }));
    expect(await findRemovable(guest, debian, ['gcc'])).toMatchObject({
      removable: [],
      needed: [{ name: 'gcc', by: ['clang'] }],
    });
  });

  test('is nothing, with the words of the package manager, where it fails', async () => {
    const guest = answers(() => ({
      code: 1,
      stdout: '',
      stderr: 'error: rpmdb: BDB0113 Thread died\nerror: cannot open Packages database',
    }));
    expect(await findRemovable(guest, rhel, ['gcc-1-1.x86_64'])).toEqual({
      removable: [],
      needed: [],
      problem: 'rpm --erase --test … ended with exit code 1: error: cannot open Packages database',
    });
  });

  test('is read from what rpm says of dependencies', async () => {
    const guest = answers(argv =>
      argv.includes('gcc-1-1.x86_64')
        ? {
            code: 1,
            stdout: '',
            stderr: 'error: Failed dependencies:\n\tgcc >= 8 is needed by (installed) annobin-12.98-1.el9.x86_64\n',
          }
        : { code: 0, stdout: '', stderr: '' },
    );
    expect(await findRemovable(guest, rhel, ['gcc-1-1.x86_64', 'make-4-1.x86_64'])).toMatchObject({
      removable: ['make-4-1.x86_64'],
      needed: [{ name: 'gcc-1-1.x86_64', by: ['annobin-12.98-1.el9.x86_64'] }],
    });
  });
});
