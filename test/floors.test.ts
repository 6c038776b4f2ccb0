import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const SRC = resolve(import.meta.dirname, '../src');
/** Floors count from the ground; a file imports from its own floor and from lower ones only. */
const FLOORS: Readonly<Record<string, number>> = {
  '': 1, // change.ts, errors.ts; main.ts stands on the roof
  formats: 1,
  guest: 2,
  config: 3,
  facts: 3,
  checks: 4,
  steps: 4,
  engine: 5,
  report: 6,
  cli: 7,
};
const ROOF = 8;
/** The rooms of a floor know its hall and themselves; these look into others as well. */
const NEIGHBOURS: Readonly<Record<string, readonly string[]>> = {
  'formats/gpu': ['formats/driver'],
  'formats/screen': ['formats/gpu'],
  'facts/gpu': ['facts/driver'],
  'facts/screen': ['facts/gpu'],
  'steps/revert': ['steps/driver', 'steps/gpu', 'steps/screen'],
};

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(file => /(?<!\.d)\.ts$/.test(file));
const roomOf = (file: string) => (dirname(file) === '.' ? '' : dirname(file));
const nameOf = (file: string) => roomOf(file).split('/')[0] ?? '';
const floorOf = (file: string) => (file === 'main.ts' ? ROOF : (FLOORS[nameOf(file)] ?? Number.NaN));
const importsOf = (file: string) =>
  [...readFileSync(join(SRC, file), 'utf8').matchAll(/(?:from|import\()\s*'([^']+)'/g)].map(([, name]) => name ?? '');
const inner = (file: string) =>
  importsOf(file)
    .filter(name => name.startsWith('.') && name.endsWith('.ts'))
    .map(name => relative(SRC, resolve(SRC, dirname(file), name)));

test.each(files)('%s imports from its own floor and from lower ones only', file => {
  const allowed = (target: string) =>
    nameOf(target) === nameOf(file) || floorOf(target) < floorOf(file) || isSharedWord(target, file);
  expect(inner(file).filter(target => !allowed(target))).toEqual([]);
});

/** formats and the shared words lie on one floor, as do facts and the config that they look for. */
function isSharedWord(target: string, file: string): boolean {
  return (
    (nameOf(file) === 'formats' && nameOf(target) === '') || (nameOf(file) === 'facts' && nameOf(target) === 'config')
  );
}

test.each(files.filter(file => roomOf(file).includes('/')))('%s knows no room of its floor but its own', file => {
  const others = inner(file)
    .map(roomOf)
    .filter(room => room.startsWith(`${nameOf(file)}/`) && room !== roomOf(file));
  expect(others.filter(room => !NEIGHBOURS[roomOf(file)]?.includes(room))).toEqual([]);
});

test.each(files.filter(file => !['guest', 'report'].includes(nameOf(file)) && file !== 'main.ts'))(
  '%s leaves the operating system to the room guest',
  file => {
    const system = importsOf(file).filter(name =>
      /^node:(fs|child_process|os|net|http|process)|^execa$|^systeminformation$/.test(name),
    );
    expect(system).toEqual([]);
  },
);

test('winston is imported in one file', () => {
  expect(files.filter(file => importsOf(file).includes('winston'))).toEqual(['report/log.ts']);
});
