import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ADDED_BY, editGriddConf, readGriddConf } from '../../src/formats/gridd-conf.ts';

const TEMPLATE = readFileSync(new URL('../fixtures/gridd/gridd.conf.template', import.meta.url), 'utf8');

type Wanted = Readonly<Record<string, string | undefined>>;
const edit = (text: string, wanted: Wanted, template?: string) =>
  editGriddConf(text, new Map(Object.entries(wanted)), template);
const read = (text: string) => Object.fromEntries(readGriddConf(text));

describe('what gridd.conf says', () => {
  it.each<[string, string, Record<string, string>]>([
    ['is nothing in an empty file', '', {}],
    ['is read without blanks, wherever they are', '  Feature Type =\t2 \r\nA = b c', { FeatureType: '2', A: 'bc' }],
    ['tells upper case from lower case', 'featuretype=2\nFeatureType=4', { featuretype: '2', FeatureType: '4' }],
    ['is not in a comment, indented or not', '#A=1\n  # A=2', {}],
    ['takes a # after the value for a part of it', 'A=1 # one', { A: '1#one' }],
    ['is the last line of a key', 'A=1\nA=2', { A: '2' }],
    ['passes over an empty value, which is the default', 'A=\nB=1\nB=', { B: '1' }],
    ['keeps quotes and later equals signs', 'A="x=y"', { A: '"x=y"' }],
    ['is not in a line without a key', '=1\nA\n', {}],
  ])('%s', (_title, text, said) => {
    expect(read(text)).toEqual(said);
  });
});

describe('a key in gridd.conf', () => {
  it.each<[string, string, Wanted, string]>([
    ['is rewritten on its line', 'X=1\nA=1\nY=2\n', { A: '2' }, 'X=1\nA=2\nY=2\n'],
    ['stays as it was typed when it says so already', ' A =\t2\n', { A: '2' }, ' A =\t2\n'],
    [
      'has its extra lines commented out, and the last one counts',
      'A=1\n A=3\nA=2\n',
      { A: '2' },
      '#A=1\n# A=3\nA=2\n',
    ],
    ['takes the place of its commented line', '# about A\n#A=10\nB=1\n', { A: '5' }, '# about A\nA=5\nB=1\n'],
    ['takes the place of a commented line with a blank', '# A = 10\n', { A: '5' }, 'A=5\n'],
    [
      'leaves prose about itself alone',
      '# A=1 is what most people take\n',
      { A: '5' },
      `# A=1 is what most people take\n\n${ADDED_BY}\nA=5\n`,
    ],
    ['leaves a key with a longer name alone', 'AB=1\n#BA=1\n', { A: '2' }, `AB=1\n#BA=1\n\n${ADDED_BY}\nA=2\n`],
    ['is appended with others under one line', 'X=1\n', { A: '1', B: '2' }, `X=1\n\n${ADDED_BY}\nA=1\nB=2\n`],
    [
      'joins keys that were appended before',
      `X=1\n\n${ADDED_BY}\nA=1\n\nY=2`,
      { B: '2' },
      `X=1\n\n${ADDED_BY}\nA=1\nB=2\n\nY=2`,
    ],
    ['begins an empty file', '', { A: '1' }, `${ADDED_BY}\nA=1\n`],
    [
      'keeps the Windows line ends of the file',
      'A=1\r\nB=1\r\n',
      { A: '2', C: '3' },
      `A=2\r\nB=1\r\n\r\n${ADDED_BY}\r\nC=3\r\n`,
    ],
    ['keeps a file that ends without a newline', 'B=1\nA=1', { A: '2' }, 'B=1\nA=2'],
    ['leaves mixed line ends mixed', 'A=1\r\nB=1\n', { C: '2' }, `A=1\r\nB=1\n\r\n${ADDED_BY}\r\nC=2\r\n`],
    ['ends the last line before it is appended', 'B=1', { A: '2' }, `B=1\n\n${ADDED_BY}\nA=2\n`],
    ['is taken away by a comment sign without a template', 'A=1\nB=1\n', { A: undefined }, '#A=1\nB=1\n'],
    ['stays away when it is not there', '#A=1\nB=1\n', { A: undefined }, '#A=1\nB=1\n'],
  ])('%s', (_title, text, wanted, edited) => {
    expect(edit(text, wanted)).toBe(edited);
  });

  it.each<[string, string, Wanted, string]>([
    [
      'goes back to the template’s active line',
      'ServerAddress=10.0.0.1\n',
      { ServerAddress: undefined },
      'ServerAddress=\n',
    ],
    [
      'goes back to the template’s commented line',
      'LingerInterval=99\n',
      { LingerInterval: undefined },
      '#LingerInterval=10\n',
    ],
    [
      'is commented out when the template’s line is there too',
      '#LingerInterval=10\nLingerInterval=99\n',
      { LingerInterval: undefined },
      '#LingerInterval=10\n#LingerInterval=99\n',
    ],
    ['rests when it is empty', 'ServerAddress =\n', { ServerAddress: undefined }, 'ServerAddress =\n'],
    ['rests at the template’s own value', 'FeatureType=0\n', { FeatureType: undefined }, 'FeatureType=0\n'],
  ])('%s', (_title, text, wanted, edited) => {
    expect(edit(text, wanted, TEMPLATE)).toBe(edited);
  });

  it('finds its place in the template, which keeps every other byte', () => {
    const wanted = { ServerAddress: '10.5.8.208', ServerPort: '7070', FeatureType: '2', ClientConfigTokenPath: '/t' };
    const before = TEMPLATE.split('\n');
    const after = edit(TEMPLATE, wanted).split('\n');
    const changed = before.flatMap((line, index) => (line === after[index] ? [] : [`${line} → ${after[index]}`]));
    expect(changed).toEqual([
      'ServerAddress= → ServerAddress=10.5.8.208',
      '#ServerPort= → ServerPort=7070',
      'FeatureType=0 → FeatureType=2',
    ]);
    expect(after.slice(before.length - 1)).toEqual(['', ADDED_BY, 'ClientConfigTokenPath=/t', '']);
  });

  it('comes and goes, and the template is as it was', () => {
    const wanted = { ServerAddress: '10.5.8.208', ServerPort: '7070', BackupServerAddress: 'b', BackupServerPort: '1' };
    const gone = {
      ServerAddress: undefined,
      ServerPort: undefined,
      BackupServerAddress: undefined,
      BackupServerPort: undefined,
    };
    expect(edit(edit(TEMPLATE, wanted), gone, TEMPLATE)).toBe(TEMPLATE);
  });
});

/** A small generator with a fixed seed, so that a failure can be seen again. */
function generator(seed: number) {
  let state = seed;
  const below = (limit: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * limit);
  };
  return { below, pick: <T>(from: readonly T[]): T => from[below(from.length)]! };
}

describe('editing any gridd.conf', () => {
  const KEYS = ['A', 'B', 'FeatureType'];
  const PIECES = [
    '',
    ' ',
    '#',
    '# ',
    '\t',
    'A',
    'B',
    'FeatureType',
    '=',
    ' = ',
    '1',
    '2',
    'x y',
    ADDED_BY,
    '\r',
    '\ufeff',
    'ß',
    '==',
    '"1"',
  ];
  const cases = Array.from({ length: 3000 }, (_, seed) => {
    const { below, pick } = generator(seed + 1);
    const line = () =>
      below(3) === 0
        ? `${pick(KEYS)}=${pick(['', '1', '2'])}`
        : Array.from({ length: below(5) }, () => pick(PIECES)).join('');
    const end = pick(['\n', '\r\n']);
    const file = () => Array.from({ length: below(8) }, line).join(end) + pick(['', end]);
    const wanted = Object.fromEntries(
      KEYS.flatMap(key => (below(4) === 0 ? [] : [[key, pick(['1', '2', 'c d', undefined])]])),
    );
    return { text: file(), template: file(), wanted };
  });
  const counted = (text: string) =>
    text.split('\n').filter(line => line.replace(/[ \t\r\v\f]/g, '').startsWith('FeatureType='));

  it('twice is editing once', () => {
    for (const { text, template, wanted } of cases) {
      const once = edit(text, wanted, template);
      expect(edit(once, wanted, template)).toBe(once);
    }
  });

  it('leaves each wanted key with its value, on one active line', () => {
    for (const { text, template, wanted } of cases) {
      const edited = edit(text, wanted, template);
      for (const [key, value] of Object.entries(wanted)) {
        if (value !== undefined) expect(read(edited)[key]).toBe(value.replace(' ', ''));
      }
      if (wanted.FeatureType !== undefined) expect(counted(edited)).toHaveLength(1);
    }
  });

  it('says of every other key what it said before', () => {
    for (const { text, template, wanted } of cases) {
      const others = (said: Record<string, string>) =>
        Object.entries(said).filter(([key]) => !Object.hasOwn(wanted, key));
      expect(others(read(edit(text, wanted, template)))).toEqual(others(read(text)));
    }
  });

  it('keeps every line that is not about a wanted key, byte by byte and in order', () => {
    for (const { text, template, wanted } of cases) {
      const isAbout = (line: string) => Object.keys(wanted).some(key => line.includes(key));
      const others = (whole: string) =>
        whole.split(/(?<=\n)/).filter(line => !isAbout(line) && line.trim() !== '' && line.trim() !== ADDED_BY);
      const ends = (lines: readonly string[]) => lines.map(line => line.replace(/[\r\n]+$/, ''));
      expect(ends(others(edit(text, wanted, template)))).toEqual(ends(others(text)));
    }
  });
});
