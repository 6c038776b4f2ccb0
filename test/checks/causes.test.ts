import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CAUSES, UNSEEN } from '../../src/checks/causes.ts';
import { evidence } from '../../src/checks/check.ts';
import { subjects } from '../../src/checks/index.ts';
import { brief, diagnose, HEALTHY, NO_SMI, smi, tokenFiles, versions } from '../helpers/doctor.ts';

const ROOT = join(import.meta.dirname, '../..');
const checks = subjects.flatMap(subject => subject.checks);
const numbers = Object.keys(CAUSES).map(Number);

test('every known cause has a check, or a sentence that says why no guest can see it', () => {
  const answered = new Set([...checks.flatMap(({ causes }) => causes), ...Object.keys(UNSEEN).map(Number)]);
  expect(numbers).toEqual(Array.from({ length: 38 }, (_, index) => index + 1));
  expect([...answered].toSorted((one, other) => one - other)).toEqual(numbers);
});

test('what cannot be seen has no check that claims to see it', () => {
  expect(checks.filter(({ causes }) => causes.some(cause => cause in UNSEEN))).toEqual([]);
  for (const why of Object.values(UNSEEN)) expect(why.length).toBeGreaterThan(40);
});

test('no two checks share a name', () => {
  const ids = checks.map(({ id }) => id);
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
});

test('the documented table is that of the code', () => {
  const rows = numbers.map(number => {
    const ids = checks.filter(({ causes }) => causes.includes(number)).map(({ id }) => `\`${id}\``);
    return `| ${number} | ${CAUSES[number]} | ${ids.join(', ') || `not seen: ${UNSEEN[number]}`} |`;
  });
  const documented = readFileSync(join(ROOT, 'src/checks/README.md'), 'utf8').split('\n');
  expect(documented.filter(line => /^\| \d/.test(line))).toEqual(rows);
});

test('every check is in the documentation', () => {
  const text = readFileSync(join(ROOT, 'src/checks/README.md'), 'utf8');
  expect(checks.filter(({ id }) => !text.includes(`\`${id}\``)).map(({ id }) => id)).toEqual([]);
});

test('a remedy names commands of this program that exist', () => {
  const known =
    /^vgpu-guest (?:plan|apply|status|doctor|reboot-required|revert --driver|config (?:validate|schema|show)|token (?:inspect|rotate) FILE|license (?:wait|watch))\b/;
  const folder = join(ROOT, 'src/checks');
  const texts = readdirSync(folder).map(name => readFileSync(join(folder, name), 'utf8'));
  const named = texts.flatMap(text => text.match(/(?<!\/|-)vgpu-guest [a-z][^;,)'`]*/g) ?? []);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter(command => !known.test(command))).toEqual([]);
});

test.each([
  ['a licensed vGPU', {}, undefined],
  [
    'a GPU by pass-through with a data-center driver, of which no license is asked',
    {
      gpus: [{ ...HEALTHY.gpus[0]!, mode: 'pass-through' as const }],
      ...smi(undefined, { name: 'NVIDIA H200', mode: 'pass-through' }),
      ...tokenFiles(),
      gridd: { ...HEALTHY.gridd, binary: false, conf: undefined, unit: { ...HEALTHY.gridd.unit, load: 'not-found' } },
      servers: [],
    },
    {},
  ],
])('%s has nothing wrong', (_, given, settings) => {
  expect(diagnose(given, settings ?? undefined)).toEqual([]);
});

test('on a bare guest the missing driver comes first', () => {
  const bare = {
    ...versions(undefined),
    ...NO_SMI,
    ...tokenFiles(),
    gpus: [{ ...HEALTHY.gpus[0]!, driver: undefined }],
    gridd: {
      ...HEALTHY.gridd,
      binary: false,
      conf: undefined,
      unit: { ...HEALTHY.gridd.unit, load: 'not-found', enabled: '' },
    },
  };
  expect(brief(diagnose(bare))).toEqual(['error driver-missing', 'error token-missing']);
});

test('evidence is one line of bounded length that moves no cursor and holds no token and no password', () => {
  const token = ['eyJhbGciOiJSUzI1NiIsInR5cCI6', 'eyJpc3MiOiJOTFMgU2VydmljZSJ9', 'c2lnbmF0dXJlc2lnbmF0dXJlc2ln'].join(
    '.',
  );
  const { shows } = evidence('x', `\u001b[31mone\ntwo ${token} http://user:secret@proxy:3128 ${'x'.repeat(1_000)}`);
  expect(shows).toMatch(/^one two \*\*\* http:\/\/\*\*\*@proxy:3128 x+ …$/);
  expect(shows.length).toBeLessThan(410);
});
