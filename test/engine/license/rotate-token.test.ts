import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../../../src/cli/settings.ts';
import { apply, type Watcher } from '../../../src/engine/apply.ts';
import { type RotationReport, rotateToken } from '../../../src/engine/license/rotate-token.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import type { Guest } from '../../../src/guest/guest.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { journey } from '../../../src/steps/index.ts';
import { licenseOf } from '../../../src/steps/license/await-license.ts';
import { isPowerCut, PowerCut, withPowerCut } from '../../helpers/cut.ts';
import { makeFolderGuest } from '../../helpers/folder-guest.ts';
import { makeRefusedToken } from '../../helpers/refused-token.ts';
import { makeToken } from '../../helpers/token.ts';

const DIRECTORY = '/etc/nvidia/ClientConfigToken';
const STATE = '/var/lib/vgpu-guest';
const NEVER = Number.POSITIVE_INFINITY;
const silent: Watcher = { stepBegins() {}, deedBegins() {}, stepEnds() {}, info() {}, warn() {}, progress() {} };
const stop = new AbortController().signal;
const resume = { settings: {}, only: [], skip: [], unitText: '[Unit]\n' };

const folder = makeFolderGuest({ family: 'debian', nouveau: 'not-bound', prerequisites: 'installed' });
afterAll(() => folder.dispose());
const OLD = folder.tokenText;
const GOOD = makeToken();
const BAD = makeRefusedToken();

const whole = openGuest({ root: folder.root, env: {} });
const { config } = await readConfig(whole, { root: folder.root, color: false }, {});

/** Licensed with the old token, whatever was done to the guest before. */
beforeEach(async () => {
  folder.setLicenseService({});
  for (const path of [`${STATE}/rotation`, `${STATE}/set-aside`]) folder.remove(path);
  const { outcome } = await apply({ guest: whole, config, steps: journey, watcher: silent, stop, resume });
  expect(['settled', 'changed']).toContain(outcome);
  folder.remove(`${STATE}/set-aside`);
  folder.write('/opt/good.tok', GOOD, 0o600);
  folder.write('/opt/bad.tok', BAD, 0o600);
});

async function rotate(token: string, guest: Guest = whole, watcher: Watcher = silent): Promise<RotationReport> {
  return await rotateToken({ guest, config, token, watcher, stop, resume });
}

/** undefined: the power went before it was over. */
async function rotateUntil(
  cutBefore: number,
  token: string,
): Promise<{ report: RotationReport | undefined; deeds: number }> {
  const { guest, done } = withPowerCut(whole, cutBefore);
  try {
    return { report: await rotate(token, guest), deeds: done() };
  } catch (error) {
    if (!isPowerCut(error)) throw error;
    return { report: undefined, deeds: done() };
  }
}

const textsIn = (path: string) => folder.list(path).map(name => folder.read(`${path}/${name}`) ?? '');
const filesBelow = (path: string) =>
  Object.entries(folder.manifest()).filter(([name, what]) => name.startsWith(`${path}/`) && what.startsWith('file '));
const isLicensed = async () => licenseOf(config, await lookAt(whole, config).fact('smi')).state === 'licensed';

describe('the power goes in a rotation', () => {
  test.each<[string, string, string]>([
    ['to a good token, and the next run has it in its place', '/opt/good.tok', GOOD],
    ['to a bad token, and the next run has the old one in its place again', '/opt/bad.tok', OLD],
  ])(
    '%s',
    async (_, token, expected) => {
      const record = folder.read(`${STATE}/changes.json`) ?? '';
      const { deeds } = await rotateUntil(NEVER, token);
      expect(deeds).toBeGreaterThan(5);
      // all of them take a minute
      const cuts = Array.from({ length: deeds }, (__, done) => done + 1).filter(
        cut => process.env.VGPU_GUEST_EVERY_CUT === '1' || cut % 5 === 0,
      );
      for (const cut of cuts) {
        await licensedWithOld();
        // as the first rotation met it
        folder.write(`${STATE}/changes.json`, record, 0o600);
        expect((await rotateUntil(cut, token)).report).toBeUndefined();
        const { restored } = await rotate(token);
        expect({ cut, restored, placed: textsIn(DIRECTORY), licensed: await isLicensed() }).toEqual({
          cut,
          restored: expected === OLD,
          placed: [expected],
          licensed: true,
        });
        // nothing is lost, and nothing waits to be put back
        expect(filesBelow(`${STATE}/rotation`)).toEqual([]);
        expect([...textsIn(DIRECTORY), ...textsIn(`${STATE}/set-aside`)]).toContain(OLD);
      }
    },
    240_000,
  );

  test('to a bad token, and a rotation to a good one ends it', async () => {
    await cutInTheWait('/opt/bad.tok');
    expect(await rotate('/opt/good.tok')).toMatchObject({ outcome: 'changed', restored: false });
    expect(textsIn(DIRECTORY)).toEqual([GOOD]);
    expect(filesBelow(`${STATE}/rotation`)).toEqual([]);
  });

  test('to a bad token, and one to another bad one goes back to the last that was good', async () => {
    await cutInTheWait('/opt/bad.tok');
    folder.write('/opt/worse.tok', makeRefusedToken(), 0o600);
    expect(await rotate('/opt/worse.tok')).toMatchObject({ outcome: 'unlicensed', restored: true });
    expect(textsIn(DIRECTORY)).toEqual([OLD]);
    expect(await isLicensed()).toBe(true);
  });

  test('to a bad token, and what apply has put in its place since is what it goes back to', async () => {
    await cutInTheWait('/opt/bad.tok');
    const given = { ...config, license: { ...config.license, token: '/opt/good.tok' } };
    await apply({ guest: whole, config: given, steps: journey, watcher: silent, stop, resume });
    expect(await rotate('/opt/bad.tok')).toMatchObject({ outcome: 'unlicensed', restored: true });
    expect(textsIn(DIRECTORY)).toEqual([GOOD]);
  });
});

describe('a token that the license service refuses', () => {
  /** It knows the old one. */
  const words: string[] = [];
  const watcher: Watcher = {
    ...silent,
    warn(text) {
      words.push(text);
      if (text.startsWith('the new token brings no license')) folder.setLicenseService({});
    },
  };
  const short = { ...config, license: { ...config.license, timeoutMs: 1_500 } };
  const rotateInShort = () =>
    rotateToken({ guest: whole, config: short, token: '/opt/good.tok', watcher, stop, resume });

  test('gives way to the old one', async () => {
    folder.setLicenseService({ answer: 'refuse' });
    expect(await rotateInShort()).toMatchObject({
      outcome: 'unlicensed',
      restored: true,
      license: { state: 'licensed' },
    });
    expect(words.at(-1)).toMatch(/the old one is put back: no license has come within 1.5 s: .*No pool features found/);
    expect(textsIn(DIRECTORY)).toEqual([OLD]);
  });

  test('gives way to the old one also where it was in its place when the power went', async () => {
    folder.setLicenseService({ answer: 'refuse' });
    await cutInTheWait('/opt/good.tok');
    expect(await rotateInShort()).toMatchObject({
      outcome: 'unlicensed',
      restored: true,
      license: { state: 'licensed' },
    });
    expect(textsIn(DIRECTORY)).toEqual([OLD]);
    expect(filesBelow(`${STATE}/rotation`)).toEqual([]);
  });
});

test('a guest whose old token has expired keeps the new one, even without a license', async () => {
  const [name = ''] = folder.list(DIRECTORY);
  folder.write(`${DIRECTORY}/${name}`, makeToken({ expired: true }), 0o744);
  folder.setLicenseService({ answer: 'refuse' });
  const short = { ...config, license: { ...config.license, timeoutMs: 300 } };
  const report = await rotateToken({
    guest: whole,
    config: short,
    token: '/opt/good.tok',
    watcher: silent,
    stop,
    resume,
  });
  expect(report).toMatchObject({ outcome: 'unlicensed', restored: false });
  expect(textsIn(DIRECTORY)).toEqual([GOOD]);
});

test('a guest without any token gets its first one', async () => {
  for (const name of folder.list(DIRECTORY)) folder.remove(`${DIRECTORY}/${name}`);
  expect(await rotate('/opt/good.tok')).toMatchObject({ outcome: 'changed', restored: false });
  expect(textsIn(DIRECTORY)).toEqual([GOOD]);
});

test('a token that brings no license gives way to the old one also where that brings none any more', async () => {
  folder.setLicenseService({ answer: 'refuse' });
  const short = { ...config, license: { ...config.license, timeoutMs: 300 } };
  const report = await rotateToken({
    guest: whole,
    config: short,
    token: '/opt/good.tok',
    watcher: silent,
    stop,
    resume,
  });
  expect(report).toMatchObject({ outcome: 'unlicensed', restored: true, license: { state: 'grace' } });
  expect(textsIn(DIRECTORY)).toEqual([OLD]);
  expect(filesBelow(`${STATE}/rotation`)).toEqual([]);
});

async function licensedWithOld(): Promise<void> {
  await apply({ guest: whole, config, steps: journey, watcher: silent, stop, resume });
  folder.remove(`${STATE}/rotation`);
  folder.remove(`${STATE}/set-aside`);
}

/** The new token lies in place, the daemon was restarted, and nobody knows yet what comes of it. */
async function cutInTheWait(token: string): Promise<void> {
  const run: Guest['run'] = async (...given) => {
    await whole.run(...given);
    throw new PowerCut('after the restart');
  };
  await expect(rotate(token, { ...whole, run })).rejects.toThrow(PowerCut);
}
