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
