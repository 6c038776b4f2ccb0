import type { Rpm } from './rpm.ts';

/**
 * What rpm's own generator says that the C libraries of RHEL 9 provide (glibc 2.34, GCC 11), so that a package with a program in it is
 * installed because they are there, or not at all. SLES 15 SP6 has these and later ones.
 */
export function libraries(release: string): readonly Rpm[] {
  return [
    {
      name: 'glibc',
      version: `2.34-${release}`,
      provides: [
        ...provided('libc.so.6', 'GLIBC_', [...OLD, ...minors(5, 18), ...minors(22, 34)]),
        ...provided('libm.so.6', 'GLIBC_', ['2.2.5', '2.4', '2.15', '2.18', ...minors(23, 29), '2.31', '2.32']),
        ...provided('libdl.so.2', 'GLIBC_', ['2.2.5', '2.3.3', '2.3.4']),
        ...provided('libpthread.so.0', 'GLIBC_', [
          ...OLD.filter(version => version !== '2.3'),
          ...['2.11', '2.12', '2.18', '2.28', '2.30', '2.31'],
        ]),
        ...provided('ld-linux-x86-64.so.2', 'GLIBC_', ['2.2.5', '2.3', '2.4', '2.34']),
        'rtld(GNU_HASH)',
      ],
    },
    {
      name: 'libgcc',
      version: `11.5.0-${release}`,
      provides: provided('libgcc_s.so.1', 'GCC_', [
        ...['3.0', '3.3', '3.3.1', '3.4', '3.4.2', '3.4.4', '4.0.0', '4.2.0', '4.3.0', '4.7.0', '4.8.0', '7.0.0'],
      ]),
    },
    {
      name: 'libstdc++',
      version: `11.5.0-${release}`,
      provides: [
        ...provided('libstdc++.so.6', 'GLIBCXX_', ['3.4', ...patches('3.4', 29)]),
        ...provided('libstdc++.so.6', 'CXXABI_', ['1.3', ...patches('1.3', 13)]),
      ],
    },
  ];
}

const OLD = ['2.2.5', '2.2.6', '2.3', '2.3.2', '2.3.3', '2.3.4', '2.4'];

function provided(library: string, prefix: string, versions: readonly string[]): readonly string[] {
  return [`${library}()(64bit)`, ...versions.map(version => `${library}(${prefix}${version})(64bit)`)];
}

function minors(first: number, last: number): readonly string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => `2.${first + index}`);
}

function patches(version: string, last: number): readonly string[] {
  return Array.from({ length: last }, (_, index) => `${version}.${index + 1}`);
}
