import type { Report } from '../engine/apply.ts';
import type { Fault } from '../errors.ts';

/** The exit codes of the contract; 64, 75, 77 and 78 are those of sysexits(3). */
export const EXIT = {
  settled: 0,
  failed: 1,
  changes: 2,
  rebootNeeded: 3,
  blocked: 4,
  unlicensed: 5,
  usage: 64,
  busy: 75,
  notRoot: 77,
  config: 78,
} as const;

/** The same for a reader. */
export const EXIT_WORDS: readonly (readonly [string, string])[] = [
  ['0', 'settled: the guest is as asked for; the question was answered'],
  ['1', 'failed; it is safe to run it again'],
  ['2', 'with --detailed-exitcode only: changes are due (plan), changes were made (apply, revert)'],
  ['3', 'a reboot is needed to go on, or to complete a revert (or the code given with --reboot-exit-code)'],
  ['4', 'blocked: somebody must act first; the remedy is printed (doctor: a finding needs action)'],
  ['5', 'everything is in place, and no license arrived before the deadline'],
  ['64', 'wrong usage'],
  ['75', 'another run, or a package manager, holds its lock: try again'],
  ['77', 'not root'],
  ['78', 'configuration at fault'],
];

export function exitCodeOfFault(fault: Fault): number {
  switch (fault) {
    case 'failed':
      return EXIT.failed;
    case 'blocked':
      return EXIT.blocked;
    case 'busy':
      return EXIT.busy;
    case 'usage':
      return EXIT.usage;
    case 'not-root':
      return EXIT.notRoot;
    case 'config':
      return EXIT.config;
  }
}

export function exitCodeOfReport({ outcome, error }: Report, rebootExitCode: number, detailed: boolean): number {
  switch (outcome) {
    case 'settled':
      return EXIT.settled;
    case 'changed':
      return detailed ? EXIT.changes : EXIT.settled;
    case 'reboot-needed':
      return rebootExitCode;
    case 'blocked':
      return EXIT.blocked;
    case 'unlicensed':
      return EXIT.unlicensed;
    case 'failed':
      return exitCodeOfFault(error?.fault ?? 'failed');
  }
}
