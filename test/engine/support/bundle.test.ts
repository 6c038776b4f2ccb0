import { expect, test } from 'vitest';
import { bugReport } from '../../../src/engine/support/bug-report.ts';
import { collectBundle } from '../../../src/engine/support/bundle.ts';
import type { Got, Source } from '../../../src/engine/support/source.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeProgram } from '../../helpers/temporary.ts';

const never = { stop: new AbortController().signal, deadline: new AbortController().signal };

function source(name: string, get: () => Promise<Got>, given: Partial<Source> = {}): Source {
  return { name, how: name, timeoutMs: 100, limit: 1_000, get, ...given };
}
const text = (words: string): Promise<Got> => Promise.resolve({ is: 'text', text: words });

test('one that fails, one that never ends and one that floods leave the others as they are', async () => {
  const lines = Array.from({ length: 10_000 }, (_, index) => `line ${index}`).join('\n');
  const files = await collectBundle(
    [
      source('fine', () => text('a\n')),
      source('fails', () => Promise.reject(new Error('read /x: password=hunter2'))),
      source('hangs', () => new Promise(() => {})),
      source('floods', () => text(lines)),
      source('absent', () => Promise.resolve({ is: 'absent', because: 'there is no such file' })),
    ],
    [],
    never,
  );
  expect(files.map(({ name, state, because }) => [name, state, because])).toEqual([
    ['fine', 'whole', undefined],
    ['fails', 'failed', 'read /x: password=<removed:password>'],
    ['hangs', 'failed', 'it was not done after 0.1 s, and could not be ended'],
    ['floods', 'cut', undefined],
    ['absent', 'absent', 'there is no such file'],
  ]);
  const flood = files[3]!.text;
  expect(flood).toMatch(/^line 0\n[\s\S]*are left out here\][\s\S]*line 9999$/);
  expect(flood.length).toBeLessThan(1_200);
});

test('when there is no time left, what has come is kept and the rest is named', async () => {
  const deadline = new AbortController();
  const hanging = () =>
    source(
      'hangs',
      () => {
        setTimeout(() => deadline.abort(), 20);
        return new Promise(() => {});
      },
      { timeoutMs: 60_000 },
    );
  const files = await collectBundle(
    [source('first', () => text('a')), ...Array.from({ length: 4 }, hanging), source('late', () => text('b'))],
    [],
    { ...never, deadline: deadline.signal },
  );
  expect(files.map(({ state }) => state)).toEqual(['whole', ...Array(5).fill('failed')]);
  expect(files.at(-1)?.because).toBe('there was no time left for it');
});

test('a run that is told to stop leaves no bundle', async () => {
  const stop = AbortSignal.abort(new Error('stopped by SIGTERM'));
  await expect(collectBundle([source('a', () => text('a'))], [], { ...never, stop })).rejects.toThrow('stopped');
});

test('all together has a bound: what comes when it is full is named', async () => {
  const most = 48 * 1024 * 1024;
  const large = `${'some words '.repeat(9)}\n`.repeat(12 * 10_486);
  const files = await collectBundle(
    Array.from({ length: 5 }, (_, index) => source(`large ${index}`, () => text(large), { limit: most })),
    [],
    never,
  );
  expect(files.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(40 * 1024 * 1024 + 200);
  expect(files.map(({ state }) => state)).toEqual(['whole', 'whole', 'whole', 'cut', 'failed']);
  expect(files.at(-1)?.because).toBe('the bundle was full');
});

test('JSON is cleaned value by value, and stays JSON', async () => {
  const lines = [
    '{"message":"password=hunter2\\nnext"}',
    '{"message":"-----BEGIN PRIVATE KEY-----"}',
    `{"message":"${'MIIE'.repeat(16)}"}`,
    '{"message":"-----END PRIVATE KEY-----"}',
    '{"message":"cut',
    '{"message":"after"}',
  ];
  const [data, log, whole] = await collectBundle(
    [
      source('data', () =>
        Promise.resolve({ is: 'data', value: { diff: '+password: a"b\n+x: y', secret: 'hunter2' } }),
      ),
      source('vgpu-guest.log', () => text(lines.join('\n'))),
      source('last-report.json', () => text(JSON.stringify({ steps: [{ because: 'password: a b' }] }, null, 2))),
    ],
    [],
    never,
  );
  expect(JSON.parse(data!.text)).toEqual({
    diff: '+password: <removed:password>\n+x: y',
    secret: '<removed:password>',
  });
  expect(log!.text.split('\n')).toEqual([
    '{"message":"password=<removed:password>\\nnext"}',
    '{"message":"<removed:private-key>"}',
    '{"message":"cut',
    '{"message":"after"}',
  ]);
  expect(JSON.parse(whole!.text)).toEqual({ steps: [{ because: 'password: <removed:password>' }] });
});

function guestWith(script: string) {
  const root = temporaryFolder();
  writeProgram(root, 'nvidia-bug-report.sh', script);
  return { root, guest: openGuest({ root }) };
}

test('a report of NVIDIA’s program that hangs is asked for once more in its safe mode', async () => {
  const { guest } = guestWith(
    'case $1 in --safe-mode) echo safe | gzip -c >"$GUEST_ROOT$3.gz"; exit 0 ;; esac\necho half >"$GUEST_ROOT$2"; sleep 60',
  );
  const got = await bugReport(guest, { fullMs: 200, safeMs: 10_000 }).get();
  expect(got).toEqual({ is: 'text', text: 'safe\n', isPart: false, note: 'it hung, so this is of --safe-mode' });
  expect(await guest.list('/run/vgpu-guest')).toEqual([]);
});

test('one that leaves nothing says how it ended, and half a file is worth reading', async () => {
  const { guest } = guestWith('echo "ERROR: no" >&2; exit 1');
  await expect(bugReport(guest).get()).rejects.toThrow('it left no file (exit code 1; ERROR: no)');
  const half = guestWith('seq 1 100000 | gzip -c | head -c 2000 >"$GUEST_ROOT$2.gz"; exit 3');
  expect(await bugReport(half.guest).get()).toMatchObject({
    text: expect.stringMatching(/^1\n2\n3\n/),
    note: 'exit code 3',
  });
  expect(await bugReport(openGuest({ root: temporaryFolder() })).get()).toMatchObject({ is: 'absent' });
});

test('a packed flood is unpacked to its last part only', async () => {
  const { guest } = guestWith(
    '(head -c 60000000 /dev/zero | tr "\\\\0" "x"; echo; echo last) | gzip -1 >"$GUEST_ROOT$2.gz"',
  );
  const got = (await bugReport(guest).get()) as Extract<Got, { is: 'text' }>;
  expect(got.isPart).toBe(true);
  expect(got.text.length).toBeLessThan(25 * 1024 * 1024);
  expect(got.text.endsWith('\nlast\n')).toBe(true);
});
