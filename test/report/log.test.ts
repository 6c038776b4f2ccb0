import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLog } from '../../src/report/log.ts';
import { ownSequence } from '../../src/report/visible.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const quiet = { terminal: 'quiet', line: () => '' } as const;

test('the log file has a JSON line for each entry, without a terminal’s colors, for root and its group only', async () => {
  const file = join(temporaryFolder(), 'vgpu-guest.log');
  const log = openLog({ file, ...quiet });
  log.write('debug', `${ownSequence('\u001b[32m')}changed${ownSequence('\u001b[39m')}  the initrd`, {
    step: 'rebuild-initrd',
  });
  log.write('info', 'done');
  await log.close();
  const entries = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line));
  expect(entries).toMatchObject([
    { level: 'debug', message: 'changed  the initrd', step: 'rebuild-initrd' },
    { level: 'info', message: 'done' },
  ]);
  expect(entries[0].timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(statSync(file).mode & 0o777).toBe(0o640);
});

test('a later run goes on in the same file', async () => {
  const file = join(temporaryFolder(), 'vgpu-guest.log');
  for (const message of ['first', 'second']) {
    const log = openLog({ file, ...quiet });
    log.write('info', message);
    await log.close();
  }
  expect(readFileSync(file, 'utf8').trimEnd().split('\n')).toHaveLength(2);
});

test('a log that can no longer be written does not keep the run from ending, and is told', async () => {
  const file = join(temporaryFolder(), 'vgpu-guest.log');
  mkdirSync(file);
  const said: string[] = [];
  const log = openLog({ file, terminal: 'quiet', line: (_, message) => `${said.push(message)}` });
  log.write('info', 'goes nowhere');
  await log.close();
  expect(said).toEqual([`${file} was not written to its end`]);
});

test('a disk that is full when the last words are written does not bring the run down', async () => {
  const file = '/dev/full';
  const said: string[] = [];
  const log = openLog({ file, terminal: 'normal', line: (_, message) => `${said.push(message)}` });
  log.write('info', 'last words');
  await log.close();
  expect(said).toEqual(['last words', `${file} is not written any more: ENOSPC: no space left on device, write`]);
});

test('a log that has become a link is not followed', async () => {
  const folder = temporaryFolder();
  const [file, target] = [join(folder, 'vgpu-guest.log'), join(folder, 'shadow')];
  writeFileSync(target, 'precious\n');
  symlinkSync(target, file);
  const said: string[] = [];
  const log = openLog({ file, terminal: 'normal', line: (_, message) => `${said.push(message)}` });
  log.write('info', 'first words');
  await log.close();
  expect(readFileSync(target, 'utf8')).toBe('precious\n');
  expect(said.at(-1)).toBe(`${file} was not written to its end`);
});
