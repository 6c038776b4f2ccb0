import { afterAll, expect, test } from 'vitest';
import { makeFolderGuest } from '../helpers/folder-guest.ts';

/** One that blocks the journey, and whose file names are not ASCII. */
const guest = makeFolderGuest({ gpus: 0, config: 'license: { token: /opt/schlüssel.tok }\n' });
afterAll(() => guest.dispose());

const C = { LANG: 'C.UTF-8', LC_ALL: 'C' };
const NONE = { LANG: '' };
const NOT_ASCII = /[^\0-\x7f]/;

test.each([
  ['plan'],
  ['apply'],
  ['apply', '--verbose'],
  ['doctor'],
  ['status'],
  ['license', 'wait'],
  ['license', 'watch'],
  ['token', 'inspect', '/opt/schlüssel.tok'],
  ['token', 'rotate', '/opt/schlüssel.tok'],
  ['frobnicate→'],
  ['--help'],
])('a reader in the C locale, or in none at all, is given ASCII: %s %s', async (...args) => {
  for (const env of [C, NONE]) {
    const { stdout, stderr } = await guest.vgpuGuest(args.filter(Boolean), env);
    expect(stdout + stderr).not.toMatch(NOT_ASCII);
  }
});

test('the arrow before a remedy is one that can be typed there', async () => {
  const { stdout } = await guest.vgpuGuest(['plan'], C);
  expect(stdout).toContain('-> assign a vGPU');
  expect(stdout).toContain('the token /opt/schl\\u00fcssel.tok is not there');
  expect((await guest.vgpuGuest(['plan'])).stdout).toMatch(/→ assign a vGPU[\s\S]*schlüssel\.tok/);
});

test('data stay as they are in every locale', async () => {
  const shown = await guest.vgpuGuest(['config', 'show'], C);
  expect(shown.stdout).toContain('schlüssel.tok');
  const plan = await guest.vgpuGuest(['plan', '--json'], C);
  expect(plan.stdout).toBe((await guest.vgpuGuest(['plan', '--json'])).stdout);
  expect(plan.stdout).toContain('schlüssel.tok');
});
