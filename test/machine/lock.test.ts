import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openGuest } from '../../src/guest/open-guest.ts';
import { killIfAlive } from '../helpers/kill-if-alive.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../helpers/temporary.ts';

const OPEN_GUEST = join(import.meta.dirname, '../../src/guest/open-guest.ts');
/** A pid namespace of one's own needs root, or a kernel that gives every user one. */
const UNSHARE = ['unshare', '--map-root-user', '--pid', '--fork', '--mount-proc'] as const;
const canUnshare = spawnSync(UNSHARE[0], [...UNSHARE.slice(1), 'true']).status === 0;

function guestWith(files: Readonly<Record<string, string>> = {}) {
  const root = temporaryFolder();
  writeFiles(root, files);
  writeProgram(root, 'flock', 'exec flock "$@"');
  return { root, guest: openGuest({ root, env: {} }) };
}

function takeAndTell(root: string): string {
  return `
    const { openGuest } = await import(${JSON.stringify(OPEN_GUEST)});
    const guest = openGuest({ root: ${JSON.stringify(root)}, env: {} });
    const release = await guest.lock().catch(error => console.log(error.fault));
    if (release) console.log('held');`;
}

/** Another process that takes the lock, says so, and goes on with `then`. */
async function holder(
  root: string,
  then = 'await new Promise(() => setInterval(() => {}, 1000))',
  before: readonly string[] = [],
) {
  const script = `${takeAndTell(root)}\n${then}`;
  const [program = '', ...args] = [...before, process.execPath, '--input-type=module', '--eval', script];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  onTestFinished(() => killIfAlive(-(child.pid ?? 0)));
  await once(child.stdout, 'data');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

const busy = { fault: 'busy', remedy: expect.stringContaining('let it finish') };

test('one run at a time: a held lock is refused, a freed one is given', async () => {
  const { root, guest } = guestWith();
  const release = await guest.lock();
  expect(statSync(join(root, 'run/vgpu-guest/lock')).mode & 0o777).toBe(0o600);
  await expect(guest.lock()).rejects.toMatchObject({
    ...busy,
    message: expect.stringContaining(`process ${process.pid}`),
  });
  await release();
  const again = await guest.lock();
  await again();
});

test.each([
  ['names a process that is gone', JSON.stringify({ pid: 2 ** 22 + 1, namespace: 'pid:[1]' })],
  ['names a process that lives', JSON.stringify({ pid: process.pid })],
  ['was cut while it was written', '{"pid":'],
  ['holds more than a name', JSON.stringify({ pid: 1, namespace: 'x'.repeat(500) })],
])('a lock file that %s, and that nobody has open, keeps nobody out', async (_, text) => {
  const { root, guest } = guestWith({ 'run/vgpu-guest/lock': text });
  const release = await guest.lock();
  expect(JSON.parse(readFileSync(join(root, 'run/vgpu-guest/lock'), 'utf8')).pid).toBe(process.pid);
  await release();
});

test('a holder whose name is not written yet is told of without it', async () => {
  const { root, guest } = guestWith();
  const release = await guest.lock();
  writeFiles(root, { 'run/vgpu-guest/lock': '{"pid":' });
  await expect(guest.lock()).rejects.toMatchObject({
    ...busy,
    message: expect.stringMatching(/^another run of vgpu-guest holds/),
  });
  await release();
});

test('the lock of a run that is killed is free at once', async () => {
  const { root, guest } = guestWith();
  const other = await holder(root);
  await expect(guest.lock()).rejects.toMatchObject({
    ...busy,
    message: expect.stringContaining(`process ${other.pid}`),
  });
  await kill(other);
  const release = await guest.lock();
  await release();
});

test('an installer that outlives its killed run still keeps the next one out, and its end lets it in', async () => {
  const { root, guest } = guestWith();
  writeProgram(root, 'installer', 'echo $$ >"$GUEST_ROOT/pid"; while [ ! -e "$GUEST_ROOT/go" ]; do sleep 0.05; done');
  const other = await holder(root, `await guest.run(['installer'], { outlives: true });`);
  await expect.poll(() => guest.readText('/pid')).toMatch(/\d/);
  await kill(other);
  await expect(guest.lock()).rejects.toMatchObject({
    ...busy,
    message: expect.stringContaining('a program that it has begun'),
  });
  writeFiles(root, { go: '' });
  const taken = async () => {
    const release = await guest.lock().catch(() => undefined);
    await release?.();
    return release !== undefined;
  };
  await expect.poll(taken).toBe(true);
});

test('no other program is given the lock: a daemon that one starts would hold it for ever', async () => {
  const { root, guest } = guestWith();
  writeProgram(root, 'starter', 'sleep 60 >/dev/null 2>&1 & echo $! >"$GUEST_ROOT/pid"');
  const release = await guest.lock();
  await guest.run(['starter']);
  onTestFinished(() => killIfAlive(Number(readFileSync(join(root, 'pid'), 'utf8'))));
  await release();
  const again = await guest.lock();
  await again();
});

test.skipIf(!canUnshare)(
  'it holds in a container that shares /run, where process numbers are others (not run where unshare may not)',
  async () => {
    const { root, guest } = guestWith();
    await holder(root, undefined, UNSHARE);
    await expect(guest.lock()).rejects.toMatchObject({
      ...busy,
      message: expect.stringContaining('of another container'),
    });
  },
);

test.skipIf(!canUnshare)('a container does not get it either (not run where unshare may not)', async () => {
  const { root, guest } = guestWith();
  const release = await guest.lock();
  const [program, ...args] = UNSHARE;
  const take = () =>
    spawnSync(program, [...args, process.execPath, '--input-type=module', '--eval', takeAndTell(root)], {
      encoding: 'utf8',
    });
  expect(take().stdout).toBe('busy\n');
  await release();
  expect(take().stdout).toBe('held\n');
});

test('what a run starts leaves no core file, in which the caller’s proxy would be read', () => {
  const { root } = guestWith();
  writeProgram(root, 'prlimit', 'exec prlimit "$@"');
  writeProgram(root, 'teller', 'ulimit -S -c');
  const script = `${takeAndTell(root)}\nconsole.log((await guest.run(['teller'])).stdout);`;
  const argv = ['--core=1000:', process.execPath, '--input-type=module', '--eval', script];
  expect(spawnSync('prlimit', argv, { encoding: 'utf8' }).stdout).toBe('held\n0\n');
});

test('a link in its place is not followed', async () => {
  const { root, guest } = guestWith({ 'etc/victim': 'old', 'run/vgpu-guest/other': '' });
  symlinkSync('/etc/victim', join(root, 'run/vgpu-guest/lock'));
  await expect(guest.lock()).rejects.toThrow('/run/vgpu-guest/lock cannot be written: ELOOP');
  expect(readFileSync(join(root, 'etc/victim'), 'utf8')).toBe('old');
});

test('a flock that fails in a way of its own gives no lock', async () => {
  const { root, guest } = guestWith();
  writeProgram(root, 'flock', 'echo "flock: unrecognized option" >&2; exit 64');
  await expect(guest.lock()).rejects.toThrow('cannot be locked: flock ended with 64: flock: unrecognized option');
});

test('a guest without flock is told what is missing', async () => {
  const { root, guest } = guestWith();
  rmSync(join(root, 'usr/bin/flock'));
  await expect(guest.lock()).rejects.toMatchObject({
    message: expect.stringContaining('flock is not there'),
    remedy: expect.stringContaining('util-linux'),
  });
});
