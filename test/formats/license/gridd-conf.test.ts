import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  editGriddConf,
  markedKeys,
  markOf,
  namedKeys,
  readGriddConf,
} from '../../../src/formats/license/gridd-conf.ts';
import { generator } from '../../helpers/generator.ts';

const TEMPLATE = readFileSync(new URL('../../fixtures/gridd/gridd.conf.template', import.meta.url), 'utf8');

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

const MARK = markOf('A');

describe('a key in gridd.conf', () => {
  it.each<[string, string, Wanted, string]>([
    ['is rewritten on its line', 'X=1\nA=1\nY=2\n', { A: '2' }, `X=1\n${MARK}\nA=2\nY=2\n`],
    ['stays as it was typed when it says so already', ' A =\t2\n', { A: '2' }, ' A =\t2\n'],
    ['is rewritten once more below its mark', `${MARK}\nA=1\n`, { A: '2' }, `${MARK}\nA=2\n`],
    [
      'has its extra lines commented out, and the last one counts',
      'A=1\n A=3\nA=2\n',
      { A: '2' },
      '#A=1\n# A=3\nA=2\n',
    ],
    ['gives way where somebody has set it further down', `${MARK}\nA=1\nA=2\n`, { A: '2' }, 'A=2\n'],
    ['takes the place of its commented line', '# about A\n#A=10\nB=1\n', { A: '5' }, `# about A\n${MARK}\nA=5\nB=1\n`],
    ['takes the place of a commented line with a blank', '# A = 10\n', { A: '5' }, `${MARK}\nA=5\n`],
    ['comes back below its mark where somebody commented it out', `${MARK}\n#A=5\n`, { A: '5' }, `${MARK}\nA=5\n`],
    [
      'leaves prose about itself alone',
      '# A=1 is what most people take\n',
      { A: '5' },
      `# A=1 is what most people take\n${MARK}\nA=5\n`,
    ],
    ['leaves a key with a longer name alone', 'AB=1\n#BA=1\n', { A: '2' }, `AB=1\n#BA=1\n${MARK}\nA=2\n`],
    [
      'is appended below a line that says who wrote it',
      'X=1\n',
      { A: '1', B: '2' },
      `X=1\n${MARK}\nA=1\n${markOf('B')}\nB=2\n`,
    ],
    ['begins an empty file', '', { A: '1' }, `${MARK}\nA=1\n`],
    [
      'keeps the Windows line ends of the file',
      'A=1\r\nB=1\r\n',
      { A: '2', C: '3' },
      `${MARK}\r\nA=2\r\nB=1\r\n${markOf('C')}\r\nC=3\r\n`,
    ],
    ['keeps a file that ends without a newline', 'B=1\nA=1', { A: '2' }, `B=1\n${MARK}\nA=2`],
    ['leaves mixed line ends mixed', 'A=1\r\nB=1\n', { A: '2' }, `${MARK}\r\nA=2\r\nB=1\n`],
    ['ends the last line before it is appended', 'B=1', { A: '2' }, `B=1\n${MARK}\nA=2\n`],
    ['is taken away by a comment sign without a template', 'A=1\nB=1\n', { A: undefined }, '#A=1\nB=1\n'],
    ['stays away when it is not there', '#A=1\nB=1\n', { A: undefined }, '#A=1\nB=1\n'],
    ['is left out by a comment sign and a mark', 'A=\nA=1\nA=2\nB=1\n', { A: '' }, `A=\n#A=1\n${MARK}\n#A=2\nB=1\n`],
    ['is left out where it says nothing already', 'A=\n#A=1\n', { A: '' }, 'A=\n#A=1\n'],
    ['is left out below its mark', `${MARK}\nA=1\n`, { A: '' }, `${MARK}\n#A=1\n`],
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
    expect(after.slice(before.length - 1 + 3)).toEqual([
      markOf('ClientConfigTokenPath'),
      'ClientConfigTokenPath=/t',
      '',
    ]);
    const inPlace = after.slice(0, before.length - 1 + 3).filter(line => !line.endsWith('is managed by vgpu-guest'));
    const changed = before.flatMap((line, index) =>
      line === (inPlace[index] ?? '') ? [] : [`${line} → ${inPlace[index]}`],
    );
    expect(changed).toEqual([
      'ServerAddress= → ServerAddress=10.5.8.208',
      '#ServerPort= → ServerPort=7070',
      'FeatureType=0 → FeatureType=2',
    ]);
  });
});

describe('a key that is not asked for any more', () => {
  it.each<[string, string, string]>([
    [
      'goes back to the template’s active line',
      `X=1\n${markOf('FeatureType')}\nFeatureType=2\n`,
      'X=1\nFeatureType=0\n',
    ],
    ['goes back to it from being left out', `${markOf('FeatureType')}\n#FeatureType=2\nX=1\n`, 'FeatureType=0\nX=1\n'],
    [
      'goes back to the template’s commented line',
      `${markOf('LingerInterval')}\nLingerInterval=9\n`,
      '#LingerInterval=10\n',
    ],
    ['goes away where the template does not know it', `X=1\r\n${MARK}\r\nA=1\r\nY=1\r\n`, 'X=1\r\nY=1\r\n'],
    [
      'goes away where the template’s line is there too',
      `#LingerInterval=10\n${markOf('LingerInterval')}\nLingerInterval=9\n`,
      '#LingerInterval=10\n',
    ],
    [
      'goes away where somebody has set it elsewhere',
      `FeatureType=4\n${markOf('FeatureType')}\nFeatureType=2\n`,
      'FeatureType=4\n',
    ],
    ['loses its mark where somebody has commented it out', `X=1\n${MARK}\n#A=1\n`, 'X=1\n#A=1\n'],
    ['stays where somebody else has set it', 'FeatureType=2\nA=1\n', 'FeatureType=2\nA=1\n'],
    ['stays below the mark of another key', `${MARK}\nFeatureType=2\n`, `${MARK}\nFeatureType=2\n`],
  ])('%s', (_title, text, edited) => {
    expect(edit(text, {}, TEMPLATE)).toBe(edited);
  });

  it('comes and goes, and the template is as it was', () => {
    const wanted = {
      ServerAddress: '10.5.8.208',
      ServerPort: '7070',
      BackupServerAddress: 'b',
      FeatureType: '',
      LingerInterval: '5',
      ClientConfigTokenPath: '/t',
      IgnoreSP: 'TRUE',
    };
    const set = edit(TEMPLATE, wanted, TEMPLATE);
    expect(markedKeys(set).toSorted()).toEqual(Object.keys(wanted).toSorted());
    expect(edit(set, {}, TEMPLATE)).toBe(TEMPLATE);
  });

  it('comes and goes with Windows line ends, and they stay', () => {
    const template = TEMPLATE.replaceAll('\n', '\r\n');
    const set = edit(template, { FeatureType: '2', IgnoreSP: 'TRUE' }, TEMPLATE);
    expect(set.match(/[^\r]\n/g)).toBeNull();
    expect(edit(set, {}, TEMPLATE)).toBe(template);
  });
});

it('the template names the keys that it knows, active or not', () => {
  expect([...namedKeys(TEMPLATE)]).toEqual([
    'ServerAddress',
    'ServerPort',
    'BackupServerAddress',
    'BackupServerPort',
    'FeatureType',
    'EnableUI',
    'LingerInterval',
  ]);
});

const KEYS = ['A', 'B', 'FeatureType'];

describe('editing any gridd.conf', () => {
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
    '\r',
    '\ufeff',
    'ß',
    '==',
    '"1"',
  ];
  const cases = Array.from({ length: 5000 }, (_, seed) => {
    const { below, pick } = generator(seed + 1);
    const line = () => {
      const kind = below(4);
      if (kind === 0) return `${pick(['', '', '#', '# '])}${pick(KEYS)}=${pick(['', '1', '2'])}`;
      if (kind === 1) return markOf(pick(KEYS));
      return Array.from({ length: below(5) }, () => pick(PIECES)).join('');
    };
    const end = pick(['\n', '\r\n']);
    const file = () => Array.from({ length: below(10) }, line).join(end) + pick(['', end]);
    const wanted: Wanted = Object.fromEntries(
      KEYS.flatMap(key => (below(4) === 0 ? [] : [[key, pick(['1', '2', 'c d', '', undefined])]])),
    );
    return { text: file(), template: file(), wanted, end };
  });
  const activeLines = (text: string, key: string) =>
    text.split('\n').filter(line => line.replace(/[ \t\r\v\f]/g, '').startsWith(`${key}=`));

  it('twice is editing once', () => {
    for (const { text, template, wanted } of cases) {
      const once = edit(text, wanted, template);
      expect(edit(once, wanted, template)).toBe(once);
    }
  });

  it('leaves each wanted key with its value, on one active line', () => {
    for (const { text, template, wanted } of cases) {
      const edited = edit(text, wanted, template);
      for (const [key, value] of Object.entries(wanted).filter(([, value]) => value)) {
        expect(read(edited)[key]).toBe(value?.replace(' ', ''));
        expect(activeLines(edited, key)).toHaveLength(1);
      }
    }
  });

  it('leaves a key that is left out without a value', () => {
    for (const { text, template, wanted } of cases) {
      const said = read(edit(text, wanted, template));
      for (const [key, value] of Object.entries(wanted)) if (value === '') expect(said[key]).toBeUndefined();
    }
  });

  it('says of every other key that is not its own what was said before', () => {
    for (const { text, template, wanted } of cases) {
      const ours = markedKeys(text);
      const others = (said: Record<string, string>) =>
        Object.entries(said).filter(([key]) => !Object.hasOwn(wanted, key) && !ours.includes(key));
      expect(others(read(edit(text, wanted, template)))).toEqual(others(read(text)));
    }
  });

  it('keeps every line that is about none of these keys, byte by byte and in order', () => {
    for (const { text, template, wanted } of cases) {
      const touched = [...Object.keys(wanted), ...markedKeys(text)];
      const others = (whole: string) =>
        whole.split(/(?<=\n)/).filter(line => line !== '' && !touched.some(key => line.includes(key)));
      const before = others(text);
      const after = others(edit(text, wanted, template));
      if (after.join('') === before.join('')) continue;
      // a last line without an end gets one when something is appended below it
      const end = /\r?\n/.exec(text)?.[0] ?? '\n';
      expect(after).toEqual([...before.slice(0, -1), `${before.at(-1)}${end}`]);
    }
  });

  it('never mixes line ends', () => {
    for (const { text, template, wanted, end } of cases) {
      const bare = (whole: string) => whole.match(/(?<!\r)\n/g)?.length ?? 0;
      if (end === '\r\n' && bare(text) === 0 && text.includes('\n')) expect(bare(edit(text, wanted, template))).toBe(0);
    }
  });
});

describe('editing any template', () => {
  const cases = Array.from({ length: 2000 }, (_, seed) => {
    const { below, pick, shuffle } = generator(seed + 1);
    const end = pick(['\n', '\r\n']);
    const blocks = shuffle(KEYS)
      .filter(() => below(4) > 0)
      .map(key => ['# Description: about it', `${pick(['', '#', '# '])}${key}=${pick(['', '0', '7'])}`, '']);
    const template = blocks
      .flat()
      .map(line => line + end)
      .join('');
    const wanted: Wanted = Object.fromEntries(KEYS.map(key => [key, pick(['1', '2', '7', ''])]));
    return { template, wanted };
  });

  it('and no longer asking for anything is the template again', () => {
    for (const { template, wanted } of cases) {
      expect(edit(edit(template, wanted, template), {}, template)).toBe(template);
    }
  });

  it('by way of other values is editing it at once', () => {
    for (const [index, { template, wanted }] of cases.entries()) {
      const others = cases[(index + 1) % cases.length]!.wanted;
      const said = read(edit(edit(template, others, template), wanted, template));
      expect(said).toEqual(read(edit(template, wanted, template)));
    }
  });
});
