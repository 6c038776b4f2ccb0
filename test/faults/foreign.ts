/** What can be wrong with a program that is not ours. */
export interface Ailment {
  readonly name: string;
  /** What stands in its place; undefined: nothing. */
  readonly script: string | undefined;
}

const sh = (...lines: readonly string[]) => ['#!/bin/sh', 'PATH=/usr/bin:/bin', ...lines, ''].join('\n');

export const AILMENTS: readonly Ailment[] = [
  { name: 'is missing', script: undefined },
  { name: 'ends with exit code 1', script: sh('exit 1') },
  { name: 'is killed by a signal', script: sh('kill -SEGV $$') },
  { name: 'hangs', script: sh("trap '' TERM", 'sleep 600') },
  { name: 'floods its output with 1 GB', script: sh('exec head -c 1000000000 /dev/zero') },
  {
    name: 'prints bytes that mean nothing',
    script: sh(String.raw`printf '\377\376\000\001<xml\033[2J\302 %s%n {"a":\n\n\200=\t'`, 'exit 0'),
  },
  {
    name: 'speaks another language',
    script: sh("echo 'Datei oder Verzeichnis nicht gefunden; Dienst läuft nicht: aktiviert'", 'exit 0'),
  },
];

/** Before every other folder in which programs are looked for. */
export const FIRST_FOLDER = '/usr/local/sbin';
export const FOLDERS = [FIRST_FOLDER, '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
