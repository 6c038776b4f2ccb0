/** Signals of Linux by their numbers, the same on x86_64 and aarch64 (signal(7)). */
const SIGNALS: Readonly<Record<number, string>> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  3: 'SIGQUIT',
  4: 'SIGILL',
  5: 'SIGTRAP',
  6: 'SIGABRT',
  7: 'SIGBUS',
  8: 'SIGFPE',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  13: 'SIGPIPE',
  14: 'SIGALRM',
  15: 'SIGTERM',
  24: 'SIGXCPU',
  25: 'SIGXFSZ',
  31: 'SIGSYS',
};

export function nameOfSignal(number: number): string {
  return SIGNALS[number] ?? `signal ${number}`;
}

/** `exit code 1`; a shell's way to tell that a signal ended the program: `exit code 137 (SIGKILL)`. */
export function exitCodeWords(code: number): string {
  const name = code > 128 ? SIGNALS[code - 128] : undefined;
  return `exit code ${code}${name === undefined ? '' : ` (${name})`}`;
}
