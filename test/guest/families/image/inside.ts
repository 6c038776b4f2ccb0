import { rmdir } from 'node:fs/promises';
import { execa } from 'execa';
import type { Argv } from '../../../../src/change.ts';

/** Runs a program in a root that is not booted. */
export type Inside = (argv: Argv) => Promise<void>;

/** For the slowest of them, dracut, on a busy machine. */
const LIMIT_MS = 10 * 60_000;
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', HOME: '/root' };

/** A network of its own, and nothing of this machine's rpm, zypp and dnf. */
export function openInside(root: string, name: string, signal: AbortSignal): Inside {
  const box = ['--quiet', '--register=no', '--keep-unit', '--as-pid2', '--pipe', '--private-network'];
  return async argv => {
    const env = Object.entries(ENVIRONMENT).map(([key, value]) => `--setenv=${key}=${value}`);
    try {
      await execa('systemd-nspawn', [...box, ...env, `--machine=${name}`, `--directory=${root}`, '--', ...argv], {
        stdin: 'ignore',
        timeout: LIMIT_MS,
        cancelSignal: signal,
      });
    } finally {
      // nspawn leaves it where /run is not a tmpfs
      await rmdir(`/run/systemd/nspawn/propagate/${name}`).catch(() => undefined);
    }
  };
}
