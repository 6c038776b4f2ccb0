import { expect, test } from 'vitest';
import { defineSubject, type Subject, seen, unknown } from '../../src/checks/check.ts';
import { configSchema } from '../../src/config/schema.ts';
import { examine } from '../../src/engine/examine.ts';
import { lookAt } from '../../src/facts/facts.ts';
import { openEyes } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../helpers/temporary.ts';

const found =
  (severity: 'error' | 'warning' | 'info', summary = severity) =>
  () => ({
    severity,
    summary,
    cause: '',
    remedy: '',
    evidence: [],
  });

const screen = defineSubject({
  id: 'screen',
  title: 'the screen',
  reads: ['screen'],
  saw: () => seen('it is dark'),
  checks: [
    { id: 'a', causes: [], judge: found('info') },
    { id: 'b', causes: [], judge: found('error') },
  ],
}) as Subject;
const xorg = defineSubject({
  id: 'xorg',
  title: 'X',
  reads: ['xorg'],
  saw: (_, facts) => (facts.xorg.conf ? seen('there') : unknown('nobody looked')),
  checks: [{ id: 'c', causes: [], judge: found('warning') }],
}) as Subject;

function lookUnder(root: string, deadline: AbortSignal, stop = new AbortController().signal) {
  const guest = openEyes({ root, stop: AbortSignal.any([stop, deadline]) });
  return [lookAt(guest, configSchema.parse({})), { stop, deadline }] as const;
}

const NEVER = new AbortController().signal;

test('the gravest finding comes first, whatever was looked at first', async () => {
  const { findings, lookedAt } = await examine([xorg, screen], ...lookUnder(temporaryFolder(), NEVER));
  expect(findings.map(({ id }) => id)).toEqual(['b', 'c', 'a']);
  expect(lookedAt).toMatchObject([{ state: 'wrong' }, { state: 'wrong', saw: 'it is dark' }]);
});

test('what is unknown is said to be unknown, and never right', async () => {
  const { lookedAt } = await examine([{ ...xorg, checks: [] }], ...lookUnder(temporaryFolder(), NEVER));
  expect(lookedAt).toEqual([{ id: 'xorg', title: 'X', state: 'unknown', saw: 'nobody looked' }]);
});

test('a look that takes too long leaves the others alone', async () => {
  const root = temporaryFolder();
  writeProgram(root, 'systemctl', 'sleep 60 & wait');
  const startedMs = performance.now();
  const { findings, lookedAt } = await examine([screen, xorg], ...lookUnder(root, AbortSignal.timeout(300)));
  expect(performance.now() - startedMs).toBeLessThan(45_000);
  expect(lookedAt).toMatchObject([
    { id: 'screen', state: 'unknown', saw: 'it could not be seen in time' },
    { id: 'xorg', state: 'wrong' },
  ]);
  expect(findings.map(({ id }) => id)).toEqual(['c']);
});

test('a run that is told to stop stops', async () => {
  const root = temporaryFolder();
  writeProgram(root, 'systemctl', 'sleep 60 & wait');
  const stop = new AbortController();
  const examined = examine([screen], ...lookUnder(root, NEVER, stop.signal));
  stop.abort(new Error('stopped'));
  await expect(examined).rejects.toThrow('stopped');
});

test('a stop that comes with the deadline is a stop', async () => {
  const over = AbortSignal.abort(new Error('stopped'));
  await expect(examine([screen], ...lookUnder(temporaryFolder(), AbortSignal.abort(), over))).rejects.toThrow(
    'stopped',
  );
});

test('a file that is no such file is a finding, said once', async () => {
  const root = temporaryFolder();
  writeFiles(root, { 'etc/X11/xorg.conf': 'x'.repeat(1024 * 1024 + 1) });
  const { findings, lookedAt } = await examine([xorg, { ...xorg, id: 'again' }], ...lookUnder(root, NEVER));
  expect(findings).toMatchObject([
    {
      id: 'cannot-look',
      severity: 'warning',
      evidence: [{ shows: expect.stringContaining('/etc/X11/xorg.conf is larger') }],
    },
  ]);
  expect(lookedAt.map(({ state }) => state)).toEqual(['unknown', 'unknown']);
});
