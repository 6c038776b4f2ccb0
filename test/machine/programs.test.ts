import { chmodSync, existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openGuest } from '../../src/guest/open-guest.ts';
import { killIfAlive } from '../helpers/kill-if-alive.ts';
import { temporaryFolder, writeProgram } from '../helpers/temporary.ts';

function guestWith(name: string, script: string, env: NodeJS.ProcessEnv = {}, stop?: AbortSignal) {
  const root = temporaryFolder();
  writeProgram(root, name, script);
  return { root, guest: openGuest({ root, env, ...(stop ? { stop } : {}) }) };
}

test('only programs of the guest are found, and an absent one is code 127', async () => {
  const { guest } = guestWith('there', 'echo yes');
  expect(await guest.query(['there'])).toEqual({ code: 0, stdout: 'yes', stderr: '' });
  expect((await guest.query(['systemctl', '--version'])).code).toBe(127);
  expect((await guest.run(['systemctl', '--version'])).code).toBe(127);
});

test('children see the guest, the C locale and proxies, and nothing else of the caller', async () => {
  const caller = { SECRET: 'x', https_proxy: 'http://proxy:3128', LC_ALL: 'de_DE.UTF-8', PATH: '/somewhere' };
  const { root, guest } = guestWith('show', 'env | grep -v "^PWD=\\|^_=\\|^PATH=" | sort', caller);
  expect((await guest.query(['show'])).stdout.split('\n')).toEqual(
    [`GUEST_ROOT=${root}`, 'HOME=/root', 'LANG=C', 'LC_ALL=C', 'TERM=dumb', 'https_proxy=http://proxy:3128'].sort(),
  );
});

test('a look that hangs ends at its deadline as code 124, with everything that it started', async () => {
  const { guest } = guestWith('hang', 'sleep 60 & wait');
  expect((await guest.query(['hang'], 200)).code).toBe(124);
});

test('a deed that runs past its time is code 124, too', async () => {
  const { guest } = guestWith('hang', 'sleep 60 & wait');
  expect((await guest.run(['hang'], { timeoutMs: 200 })).code).toBe(124);
});

test('a file that cannot be run is code 126', async () => {
  const { root, guest } = guestWith('there', 'echo yes');
  chmodSync(join(root, 'usr/bin/there'), 0o644);
  expect((await guest.query(['there'])).code).toBe(126);
});

test('a deed that never stops talking is told up to a bound, and that it was cut', async () => {
  const { guest } = guestWith('talk', 'seq 60000');
  const told: string[] = [];
  await guest.run(['talk'], { onLine: line => void told.push(line) });
  expect([told.length, told.at(-2), told.at(-1)]).toEqual([
    50_001,
    '50000',
    'it says more than 50000 lines; the others are not told',
  ]);
});

test('a program never gets an answer from standard input', async () => {
  const { guest } = guestWith('ask', 'read -r answer || echo "no input"');
  expect((await guest.query(['ask'])).stdout).toBe('no input');
});

test('a deed tells each line of both streams as it comes, and keeps the last ones for its error', async () => {
  const { guest } = guestWith(
    'work',
    'i=0; while [ $i -lt 1000 ]; do echo "line $i"; i=$((i+1)); done; echo "no space" >&2; exit 3',
  );
  const lines: string[] = [];
  const outcome = await guest.run(['work'], { onLine: line => lines.push(line) });
  expect(outcome.code).toBe(3);
  expect(outcome.stderr).toBe('no space');
  expect(outcome.stdout.split('\n').at(-1)).toBe('line 999');
  expect(outcome.stdout.split('\n')).toHaveLength(400);
  expect(lines).toHaveLength(1001);
});

test('an argument is one argument, whatever is in it', async () => {
  const { guest } = guestWith('show', 'for a in "$@"; do echo "<$a>"; done');
  expect((await guest.query(['show', 'a b', '$(id)', '; rm -rf x', '*'])).stdout).toBe(
    '<a b>\n<$(id)>\n<; rm -rf x>\n<*>',
  );
});

test('an argument that no program can be given is code 126', async () => {
  const { root, guest } = guestWith('work', 'touch "$GUEST_ROOT/done"');
  const unable = { code: 126, stdout: '', stderr: 'an argument has a NUL byte in it' };
  expect([await guest.query(['work', 'a\0b']), await guest.run(['work', '\0'])]).toEqual([unable, unable]);
  expect(existsSync(join(root, 'done'))).toBe(false);
});

test('a follower gives lines until it is told to stop, and then leaves at once', async () => {
  const { guest } = guestWith('journal', 'echo one; echo two; exec sleep 60');
  const done = new AbortController();
  const seen: string[] = [];
  for await (const line of guest.follow(['journal'], done.signal)) {
    seen.push(line);
    if (seen.length === 2) done.abort();
  }
  expect(seen).toEqual(['one', 'two']);
});

/** proc(5): Z for a process that has ended, and nobody has taken note of it yet. */
function stateOf(pid: string): string {
  try {
    return /^State:\t(\w)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
  } catch {
    return 'gone';
  }
}

test('a stop of the run ends its programs, and what they were asked is not answered', async () => {
  const stop = new AbortController();
  const { guest } = guestWith('work', 'echo started; sleep 60 & wait', {}, stop.signal);
  const deed = guest.run(['work'], { onLine: () => stop.abort(new Error('stopped')) });
  const look = guest.query(['work']);
  const ends = await Promise.allSettled([deed, look]);
  expect(ends.map(end => end.status === 'rejected' && end.reason.message)).toEqual(['stopped', 'stopped']);
});

test('a stop lets a deed finish that must not be cut', async () => {
  const stop = new AbortController();
  const { root, guest } = guestWith('work', 'echo started; sleep 0.3; echo done >"$GUEST_ROOT/done"', {}, stop.signal);
  const deed = guest.run(['work'], { finishes: true, onLine: () => stop.abort(new Error('stopped')) });
  await expect(deed).rejects.toThrow('stopped');
  expect(existsSync(join(root, 'done'))).toBe(true);
});

test('a hurry ends it at once, with what it has started, though they do not listen', async () => {
  const [stop, hurry] = [new AbortController(), new AbortController()];
  const root = temporaryFolder();
  writeProgram(
    root,
    'work',
    'trap "" TERM; (trap "" TERM; sleep 60; echo late >"$GUEST_ROOT/late") & echo started; wait',
  );
  const guest = openGuest({ root, env: {}, stop: stop.signal, hurry: hurry.signal });
  const startedMs = performance.now();
  const onLine = () => {
    stop.abort(new Error('stopped'));
    hurry.abort(new Error('in a hurry'));
  };
  await expect(guest.run(['work'], { finishes: true, onLine })).rejects.toThrow('stopped');
  expect(performance.now() - startedMs).toBeLessThan(45_000);
});

test('what a deed has started is ended with it, though it does not listen and says nothing', async () => {
  const stop = new AbortController();
  const root = temporaryFolder();
  const child = `echo $$ >"$GUEST_ROOT/pid"; echo started; exec sleep 60 >/dev/null 2>&1`;
  const deaf = `(trap "" TERM; exec sh -c '${child}') & wait`;
  writeProgram(root, 'work', deaf);
  const guest = openGuest({ root, env: {}, stop: stop.signal, patience: 0.05 });
  const deed = guest.run(['work'], { onLine: () => stop.abort(new Error('stopped')) });
  await expect(deed).rejects.toThrow('stopped');
  const pid = readFileSync(join(root, 'pid'), 'utf8').trim();
  expect(['gone', 'Z']).toContain(stateOf(pid));
});

test('a look that is flooded is no answer, whatever its exit code', async () => {
  const { guest } = guestWith('flood', 'head -c 1000000000 /dev/zero; exit 0');
  expect(await guest.query(['flood'])).toEqual({
    code: expect.not.toBeOneOf([0]),
    stdout: '',
    stderr: 'printed more than 16777216 bytes',
  });
});

test('a deed that never ends its line is told what fits', async () => {
  const { guest } = guestWith('flood', 'head -c 30000000 /dev/zero | tr "\\0" x; exit 1');
  const { code, stdout } = await guest.run(['flood']);
  expect([code, stdout.length]).toEqual([1, 64 * 1024]);
});

test('a program that cannot be ended is not waited for', async () => {
  // out of its group, and with the pipe in its hand
  const { root, guest } = guestWith('hang', 'setsid sh -c \'echo $$ >"$GUEST_ROOT/pid"; exec sleep 60\'');
  onTestFinished(() => killIfAlive(Number(readFileSync(join(root, 'pid'), 'utf8'))));
  const startedMs = performance.now();
  expect(await guest.query(['hang'], 500)).toMatchObject({
    code: 124,
    stderr: expect.stringContaining('cannot be ended'),
  });
  expect(performance.now() - startedMs).toBeLessThan(45_000);
});

test('what puts something back runs also after the stop', async () => {
  const { guest } = guestWith('work', 'echo done', {}, AbortSignal.abort());
  expect((await guest.run(['work'], { evenWhenStopped: true })).stdout).toBe('done');
});

test('a follower that never ends its line costs no memory, and its next line is whole', async () => {
  const { guest } = guestWith('journal', 'head -c 30000000 /dev/zero | tr "\\\\0" x; echo; echo next; exec sleep 60');
  const done = new AbortController();
  const lengths: number[] = [];
  for await (const line of guest.follow(['journal'], done.signal)) {
    lengths.push(line.length);
    if (line === 'next') done.abort();
  }
  expect(lengths).toEqual([64 * 1024, 4]);
});

test('a follower that does not listen is ended all the same when it is told to stop', async () => {
  const { guest } = guestWith('tail', 'trap "" TERM; echo first; sleep 60; sleep 60');
  const stop = new AbortController();
  const lines: string[] = [];
  const startedMs = performance.now();
  for await (const line of guest.follow(['tail'], stop.signal)) {
    lines.push(line);
    stop.abort();
  }
  expect(lines).toEqual(['first']);
  expect(performance.now() - startedMs).toBeLessThan(45_000);
});

test('a follower that cannot be ended is let go of', async () => {
  const script = 'setsid sh -c \'echo $$ >"$GUEST_ROOT/pid"; echo first; exec sleep 60\'';
  const { root, guest } = guestWith('tail', script);
  onTestFinished(() => killIfAlive(Number(readFileSync(join(root, 'pid'), 'utf8'))));
  const stop = new AbortController();
  const lines: string[] = [];
  for await (const line of guest.follow(['tail'], stop.signal)) {
    lines.push(line);
    stop.abort();
  }
  expect(lines).toEqual(['first']);
});

test('a follower whose reader goes away is ended', async () => {
  const { guest } = guestWith('journal', 'echo one; exec sleep 60');
  for await (const _ of guest.follow(['journal'], new AbortController().signal)) break;
});

test('letters that two pieces share are not broken', async () => {
  const { guest } = guestWith('journal', "printf 'gr\\303'; sleep 0.1; printf '\\274n\\nlast'");
  const lines: string[] = [];
  for await (const line of guest.follow(['journal'], new AbortController().signal)) lines.push(line);
  expect(lines).toEqual(['grün', 'last']);
});

test('a program that a signal has ended has the code that a shell would give it', async () => {
  const { guest } = guestWith('work', 'kill -SEGV $$');
  expect((await guest.query(['work'])).code).toBe(139);
});

test('a program that is named by its path is the guest’s own, links followed inside the guest', async () => {
  const root = temporaryFolder();
  writeProgram(root, '../../opt/real/bin/tool', 'echo "$GUEST_ROOT has $1"');
  symlinkSync('/opt/real', join(root, 'opt/tool'));
  const guest = openGuest({ root, env: {} });
  const said = { code: 0, stdout: `${root} has it` };
  expect(await guest.query(['/opt/tool/bin/tool', 'it'])).toMatchObject(said);
  expect(await guest.run(['/opt/tool/bin/tool', 'it'])).toMatchObject(said);
  // there is one on this machine, and the guest has none
  expect((await guest.query(['/bin/sh', '-c', 'true'])).code).toBe(127);
});
