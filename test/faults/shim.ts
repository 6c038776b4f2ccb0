import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from './tree.ts';

/** A system call that changes something: which one, on what, and the how-manieth of these. */
export interface Site {
  readonly op: string;
  readonly path: string;
  readonly nth: number;
}

type Errno = 'ENOSPC' | 'EROFS' | 'EIO' | 'EACCES' | 'EPERM';

/** What happens instead of the call; `lasting`: and to every later one that it can happen to. */
export type Fault =
  | { readonly is: 'killed-before' | 'killed-half-way' }
  | { readonly is: 'error'; readonly code: Errno; readonly lasting: boolean };

const NAMES = ['mkdir', 'rename', 'link', 'unlink', 'rmdir', 'symlink', 'open'];
/** Which calls can end so; a file system that has become read-only still takes what is written to open files into its cache. */
const OPS_OF: Readonly<Record<Errno, readonly string[]>> = {
  ENOSPC: ['open', 'write', 'copy', 'mkdir', 'link', 'symlink', 'rename', 'fsync'],
  EROFS: [...NAMES, 'chmod', 'chown', 'truncate'],
  EIO: [...NAMES, 'write', 'copy', 'fsync', 'chmod', 'chown', 'truncate'],
  EACCES: NAMES,
  EPERM: ['chmod', 'chown', 'unlink', 'rename'],
};

export function faultsAt({ op }: Site): readonly Fault[] {
  const codes = (Object.keys(OPS_OF) as Errno[]).filter(code => OPS_OF[code].includes(op));
  return [
    { is: 'killed-before' },
    ...(op === 'write' ? [{ is: 'killed-half-way' } as const] : []),
    ...codes.flatMap(code => [false, true].map(lasting => ({ is: 'error', code, lasting }) as const)),
  ];
}

export function nameOf(fault: Fault): string {
  if (fault.is !== 'error') return fault.is;
  return fault.lasting ? `${fault.code} from then on` : fault.code;
}

/** How the program is started so that its calls are seen. */
export interface Shim extends Disposable {
  /** The environment for a run on the guest below `root`. */
  env(root: string, fault?: Fault, site?: Site): Readonly<Record<string, string>>;
  /** The calls of the last run on that guest, in order. */
  sites(root: string): readonly Site[];
  /** Digests of all that was put in place by a rename in it. */
  placed(root: string): ReadonlySet<string>;
}

export function buildShim(): Shim {
  const folder = mkdtempSync(join(tmpdir(), 'vgpu-guest-faults-'));
  const library = join(folder, 'shim.so');
  const source = join(import.meta.dirname, 'shim.c');
  execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror', '-o', library, source, '-ldl'], {
    stdio: 'inherit',
  });
  const traceOf = (root: string) => join(folder, `${root.split('/').at(-1)}.trace`);
  const keptOf = (root: string) => join(folder, `${root.split('/').at(-1)}.kept`);
  return {
    env(root, fault, site) {
      rmSync(traceOf(root), { force: true });
      mkdirSync(keptOf(root), { recursive: true });
      const seen = { LD_PRELOAD: library, FAULTS_ROOT: root, FAULTS_TRACE: traceOf(root) };
      if (!fault || !site) return { ...seen, FAULTS_KEPT: keptOf(root) };
      const { op, path, nth } = site;
      return { ...seen, FAULTS_AT: `${op}\t${path}\t${nth}`, ...orders(fault) };
    },
    sites(root) {
      const counted = new Map<string, number>();
      const lines = readFileSync(traceOf(root), 'utf8').split('\n').filter(Boolean);
      return lines.map(line => {
        const nth = (counted.get(line) ?? 0) + 1;
        counted.set(line, nth);
        const [op = '', path = ''] = line.split('\t');
        return { op, path, nth };
      });
    },
    placed(root) {
      return new Set(readdirSync(keptOf(root)).map(name => digestOf(join(keptOf(root), name))));
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function orders(fault: Fault): Readonly<Record<string, string>> {
  if (fault.is !== 'error') return { FAULTS_DO: fault.is === 'killed-before' ? 'kill' : 'half' };
  const number = String(constants.errno[fault.code]);
  return { FAULTS_DO: number, ...(fault.lasting ? { FAULTS_OPS: OPS_OF[fault.code].join(' ') } : {}) };
}
