import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { buildExecutable, bundleForExecutable } from '../../scripts/release/executable.ts';
import { makeFolderGuest } from '../helpers/folder-guest.ts';
import { EXECUTABLE, RELEASE, run, shell } from './released.ts';

const VERSION = `${manifest.version}\n`;
const ARCHITECTURES = ['x64', 'arm64'] as const;
const releasedAs = (architecture: string) => join(RELEASE, `vgpu-guest-linux-${architecture}`);
/** Exit code 0: V8 starts the program with this code, and does not compile it once more. */
const TAKES = `const [program, code] = process.argv.slice(1).map(path => require('node:fs').readFileSync(path));
const options = { filename: 'vgpu-guest.cjs', cachedData: code };
process.exitCode = new (require('node:vm').Script)(program.latin1Slice(), options).cachedDataRejected ? 1 : 0;`;
const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

describe.each(ARCHITECTURES)('the executable for %s', architecture => {
  test('comes out the same, byte for byte, when it is built again elsewhere', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vgpu-guest-release-'));
    try {
      await bundleForExecutable(folder);
      expect(digest(await buildExecutable(folder, architecture))).toBe(digest(releasedAs(architecture)));
      if (architecture !== process.arch) return;
      const built = [join(folder, 'vgpu-guest.cjs'), join(folder, architecture, 'code')];
      expect(run([process.execPath, '--eval', TAKES, ...built]), 'what was compiled ahead').toMatchObject({ code: 0 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('asks for no later C library than 2.28, and has no symbol table', () => {
    const needs = run(['/usr/bin/readelf', '--version-info', '--wide', releasedAs(architecture)]).stdout;
    const versions = [...needs.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
    expect(Math.max(...versions)).toBeLessThanOrEqual(28);
    expect(run(['/usr/bin/readelf', '--sections', '--wide', releasedAs(architecture)]).stdout).not.toContain('.symtab');
  });
});

describe('where nothing else is', () => {
  test('it starts without any environment', () => {
    expect(run([EXECUTABLE, '--version'])).toEqual({ code: 0, stdout: VERSION, stderr: '' });
  });

  test.each([
    ['a dumb terminal', { TERM: 'dumb' }],
    ['a locale that is not there', { LANG: 'xx_XX.UTF-8', LC_ALL: 'xx_XX.UTF-8' }],
    ['a PATH that leads nowhere', { PATH: '/nowhere' }],
    ['orders to Node', { NODE_OPTIONS: '--require=/nowhere.js', NODE_PATH: '/nowhere' }],
  ])('it starts with %s', (_name, env) => {
    expect(run([EXECUTABLE, '--version'], env)).toEqual({ code: 0, stdout: VERSION, stderr: '' });
  });

  test.each(['<&-', '</dev/null', '2>&-', '<&- 2>&-'])('it answers with %s', redirection => {
    expect(shell(`"$1" --version ${redirection}`)).toMatchObject({ code: 0, stdout: VERSION });
  });

  test('nobody who listens is no crash', () => {
    expect(shell('"$1" --help >&-').stderr).not.toMatch(/defect|at .*:\d+:\d+/);
    expect(shell('"$1" schema report | :')).toMatchObject({ code: 0, stderr: '' });
    expect(shell('"$1" --help >/dev/full').stderr).not.toMatch(/defect|at .*:\d+:\d+/);
  });

  test('its options are not taken for those of Node', () => {
    expect(run([EXECUTABLE, '--inspect'])).toMatchObject({ code: 64, stderr: expect.stringContaining('--inspect') });
  });

  test.skipIf(process.getuid?.() !== 0)(
    'it runs on a read-only root with its libraries alone and 64 MB of /tmp',
    () => {
      const root = mkdtempSync(join(tmpdir(), 'vgpu-guest-bare-'));
      try {
        const libraries = [...run(['/usr/bin/ldd', EXECUTABLE]).stdout.matchAll(/(\/\S+) \(0x/g)].map(
          ([, path = '']) => path,
        );
        for (const path of libraries) {
          mkdirSync(join(root, dirname(path)), { recursive: true });
          copyFileSync(path, join(root, path));
        }
        for (const folder of ['tmp', 'proc', 'dev']) mkdirSync(join(root, folder));
        copyFileSync(EXECUTABLE, join(root, 'vgpu-guest'));
        const before = readdirSync(root, { recursive: true }).sort();
        const inside = `mount --make-rprivate / && mount --bind "$2" "$2" && mount -t tmpfs -o size=64m tmpfs "$2/tmp" &&
        mount -t proc proc "$2/proc" && mount -o remount,bind,ro "$2" && cd "$2" && umask 077 &&
        chroot "$2" /vgpu-guest "$3"`;
        const ask = (word: string) =>
          run(['/usr/bin/unshare', '--mount', '/bin/sh', '-c', inside, 'sh', EXECUTABLE, root, word], {
            PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
          });
        expect(ask('--version')).toEqual({ code: 0, stdout: VERSION, stderr: '' });
        expect(ask('status')).toMatchObject({ code: 0, stdout: expect.stringContaining('license       unknown') });
        expect(ask('doctor').stderr).not.toContain('defect');
        expect(ask('apply').stderr).not.toContain('defect');
        expect(readdirSync(root, { recursive: true }).sort()).toEqual(before);
      } finally {
        rmSync(root, { recursive: true });
      }
    },
  );
});

describe('on a guest in a folder', () => {
  test.each(['077', '000'])('what a journey writes has the same modes with umask %s', umask => {
    using guest = makeFolderGuest({ prerequisites: 'installed', nouveau: 'not-bound', license: { delayS: 0.2 } });
    const ran = shell(`umask ${umask}; exec "$1" apply --root '${guest.root}'`);
    expect(ran).toMatchObject({ code: expect.toSatisfy(code => code === 0 || code === 3) });
    const modeOf = (path: string) => run(['/usr/bin/stat', '-c', '%a', guest.at(path)]).stdout.trim();
    expect(['/var/lib/vgpu-guest', '/var/log/vgpu-guest.log', '/etc/modprobe.d/50-blacklist.conf'].map(modeOf)).toEqual(
      ['700', '640', '644'],
    );
  });
});

test('SHA256SUMS is right', () => {
  expect(() => execFileSync('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], { cwd: RELEASE })).not.toThrow();
});
