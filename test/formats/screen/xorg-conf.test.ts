import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseXorgConf } from '../../../src/formats/screen/xorg-conf.ts';
import type { XorgDevice } from '../../../src/formats/screen/xorg-device.ts';
import { minimalXorgConf, setBusId } from '../../../src/formats/screen/xorg-edit.ts';
import { sameXorgName } from '../../../src/formats/screen/xorg-tokens.ts';

const NEW = 'PCI:0@50677:6:0';
const RECORDED = new URL('../../fixtures/xorg/', import.meta.url);
const recorded = (name: string) => readFileSync(new URL(name, RECORDED), 'utf8');

function devicesOf(text: string): readonly XorgDevice[] {
  const conf = parseXorgConf(text);
  if (conf.is === 'faulty') throw new Error(`${conf.problem} at ${conf.at.line}:${conf.at.column}`);
  return conf.devices;
}

const meaningOf = (text: string) => devicesOf(text).map(({ identifier, driver, busId }) => [identifier, driver, busId]);
const patched = (text: string, index = 0) => setBusId(text, devicesOf(text)[index]!, NEW);
const section = (...lines: readonly string[]) => ['Section "Device"', ...lines, 'EndSection', ''].join('\n');

describe('what X reads in a file', () => {
  it.each<[string, string, unknown]>([
    ['nothing', '', []],
    ['comments alone', '# Section "Device"\n#\tBusID "PCI:1:0:0"', []],
    [
      'a section in one line',
      'Section "Device" Identifier "x" Driver "nvidia" BusID "PCI:1:0:0" EndSection',
      [['x', 'nvidia', 'PCI:1:0:0']],
    ],
    [
      'a section without blanks after quotes',
      'Section "Device"Identifier "x"Driver "nvidia"EndSection#',
      [['x', 'nvidia', undefined]],
    ],
    ['a word a line', 'Section\n"Device"\nIdentifier\n"x"\nDriver\n"nvidia"\nEndSection', [['x', 'nvidia', undefined]]],
    [
      'a comment between a keyword and its value',
      section('Identifier "x"', 'BusID # "PCI:9:9:9"', '"PCI:1:0:0"'),
      [['x', undefined, 'PCI:1:0:0']],
    ],
    [
      'CRLF',
      'Section "Device"\r\n\tIdentifier "x"\r\n\tBusID "PCI:1:0:0"\r\nEndSection\r\n',
      [['x', undefined, 'PCI:1:0:0']],
    ],
    [
      'a comment that a lone CR ends',
      'Section "Device" # c\rIdentifier "x"\rEndSection',
      [['x', undefined, undefined]],
    ],
    [
      'keywords in any case, with underscores',
      'section "DE_vice"\nidentifier "x"\n_Bus_ID_ "PCI:1:0:0"\nEnd_Section',
      [['x', undefined, 'PCI:1:0:0']],
    ],
    [
      'the last of two BusIDs',
      section('Identifier "x"', 'BusID "PCI:1:0:0"', 'BusID "PCI:2:0:0"'),
      [['x', undefined, 'PCI:2:0:0']],
    ],
    [
      'an Option of that name as an Option',
      section('Identifier "x"', 'Option "BusID" "PCI:1:0:0"'),
      [['x', undefined, undefined]],
    ],
    [
      'Options with and without a value',
      section('Identifier "x"', 'Option "A"', 'Option "B" "c"', 'Driver "nvidia"'),
      [['x', 'nvidia', undefined]],
    ],
    [
      'numbers',
      section('Clocks 25.1 28.3', 'VideoRam 0x1000', 'Screen 1', 'DacSpeed 230', 'Identifier "x"'),
      [['x', undefined, undefined]],
    ],
    [
      'a # and a \\ inside quotes',
      section('Identifier "a # b\\"', 'Driver "nvidia"'),
      [['a # b\\', 'nvidia', undefined]],
    ],
    ['an empty BusID', section('Identifier "x"', 'BusID ""'), [['x', undefined, '']]],
    [
      'EndSection in quotes',
      section('Identifier "EndSection"', 'Driver "nvidia"'),
      [['EndSection', 'nvidia', undefined]],
    ],
    [
      'Devices only, past the sections and subsections of others',
      `Section "Screen"\nIdentifier "s"\nDevice "x"\nSubSection "Display"\nModes "1x1" "2x2"\nEndSubSection\nEndSection\n${section('Identifier "x"')}` +
        'Section "OutputClass"\nIdentifier "o"\nDriver "nvidia"\nEndSection',
      [['x', undefined, undefined]],
    ],
  ])('%s', (_what, text, meaning) => expect(meaningOf(text)).toEqual(meaning));

  it('is as nvidia-xconfig wrote it on a guest with two GPUs', () => {
    expect(meaningOf(recorded('nvidia-xconfig-535-h200-2gpu.conf'))).toEqual([
      ['Device0', 'nvidia', 'PCI:0:6:0'],
      ['Device1', 'nvidia', 'PCI:0:7:0'],
    ]);
  });

  it.each([
    ['nvidia', 'NVIDIA', true],
    ['é', 'É', false],
    ['nvidia', 'n_Vi dia\t', true],
    ['nvidia', 'nvidia2', false],
    ['nvidia', '', false],
  ])('%j and %j: the same name is %s', (one, other, same) => expect(sameXorgName(one, other)).toBe(same));

  it('ends a string with its line, and the place of that quote is known', () => {
    const text = section('    Identifier "x', '    Driver "nvidia"');
    expect(meaningOf(text)).toEqual([['x', 'nvidia', undefined]]);
    expect(parseXorgConf(text)).toMatchObject({ unclosedQuote: { line: 2, column: 16 } });
    expect(parseXorgConf(section('Identifier "x" # "'))).toMatchObject({ unclosedQuote: undefined });
  });
});

describe('a file that X refuses', () => {
  it.each<[string, string, number, number]>([
    ['Section "Device"\n  Identifier "x"\n', 'EndSection is missing', 3, 1],
    ['Section "Files"', 'EndSection is missing', 1, 16],
    ['Section "Device"\nIdentifier "x"\n\nSection "Screen"\nEndSection', 'EndSection is missing', 4, 1],
    ['Section "Monitor"\r\nIdentifier "x"\r\n\tSection "Screen"\r\nEndSection', 'EndSection is missing', 3, 2],
    ['Section "Screen"\nSubSection "Display"\nEndSection', 'EndSubSection is missing', 3, 1],
    ['ection "Device"\nEndSection', 'ection stands outside of every section', 1, 1],
    ['EndSection', 'EndSection stands outside of every section', 1, 1],
    ['# x\n"Device"', '"Device" stands outside of every section', 2, 1],
    ['\uFEFFSection "Device"\nEndSection', '\uFEFFSection stands outside of every section', 1, 1],
    ['Section Device\nEndSection', 'Section needs a name in quotes', 1, 9],
    ['Section', 'Section needs a name in quotes', 1, 8],
    ['Section "Devices"\nEndSection', 'X knows no section "Devices"', 1, 9],
    [section('Identifier "x"', '  Frobnicate "y"'), 'X knows no Frobnicate in a Device', 3, 3],
    [section('constructor "y"'), 'X knows no constructor in a Device', 2, 1],
    [section('Identifier "x"', 'Option "a" "b" "c"'), 'X knows no "c" in a Device', 3, 16],
    [section('Identifier "x"', 'BusID PCI:1:0:0'), 'BusID needs a text in quotes', 3, 7],
    [section('Identifier "x"', 'BusID 1:0:0'), 'BusID needs a text in quotes', 3, 7],
    [section('Identifier "x"', 'BusID"PCI:1:0:0"'), 'X knows no BusID"PCI:1:0:0" in a Device', 3, 1],
    [section('Identifier "x"', 'Screen "0"'), 'Screen needs a number', 3, 8],
    [section('Identifier "x"', 'Identifier "y"'), 'a Device has one Identifier, and this is a second', 3, 1],
    [section('Driver "nvidia"'), 'this Device has no Identifier', 3, 1],
    ['# x\n# a\0b\nSection "Device"\nEndSection', 'a NUL byte hides the rest of its line from X', 2, 4],
  ])('%j: %s', (text, problem, line, column) => {
    expect(parseXorgConf(text)).toEqual({ is: 'faulty', problem, at: { line, column } });
  });
});

it('is small for a guest that has none, and every section of it is read', () => {
  expect(meaningOf(minimalXorgConf('PCI:0:6:0'))).toEqual([['Device0', 'nvidia', 'PCI:0:6:0']]);
});

describe('a patch', () => {
  it.each([
    [
      'replaces the text between the quotes and nothing else',
      section('\tBusID\t \t"PCI:1:0:0"\t# was "PCI:2:0:0"', 'Identifier "x"'),
      section(`\tBusID\t \t"${NEW}"\t# was "PCI:2:0:0"`, 'Identifier "x"'),
    ],
    [
      'leaves a missing final newline missing',
      'Section "Device" Identifier "x" BusID "" EndSection',
      `Section "Device" Identifier "x" BusID "${NEW}" EndSection`,
    ],
    [
      'leaves a commented BusID and an Option alone',
      section('Identifier "x"', '# BusID "PCI:1:0:0"', 'Option "BusID" "a"', 'bus_id "b"'),
      section('Identifier "x"', '# BusID "PCI:1:0:0"', 'Option "BusID" "a"', `bus_id "${NEW}"`),
    ],
    [
      'changes the last of two BusIDs, which is the one that counts',
      section('Identifier "x"', 'BusID "a"', 'BusID "b"'),
      section('Identifier "x"', 'BusID "a"', `BusID "${NEW}"`),
    ],
    [
      'adds a line below Driver, in its columns',
      section('    Identifier     "x"', '    Driver         "nvidia" # c', '    VendorName     "y"'),
      section(
        '    Identifier     "x"',
        '    Driver         "nvidia" # c',
        `    BusID          "${NEW}"`,
        '    VendorName     "y"',
      ),
    ],
    [
      'adds a line with the tabs of Driver',
      section('\tIdentifier\t"x"', '\tDriver\t\t"nvidia"'),
      section('\tIdentifier\t"x"', '\tDriver\t\t"nvidia"', `\tBusID\t\t"${NEW}"`),
    ],
    [
      'adds a line that ends as the others do',
      'Section "Device"\r\n Identifier "x"\r\n Driver "nvidia"\r\nEndSection\r\n',
      `Section "Device"\r\n Identifier "x"\r\n Driver "nvidia"\r\n BusID  "${NEW}"\r\nEndSection\r\n`,
    ],
    [
      'adds a line after a lone CR',
      'Section "Device"\r Identifier "x"\r EndSection',
      `Section "Device"\r Identifier "x"\r BusID      "${NEW}"\r EndSection`,
    ],
    [
      'adds to a section in one line within the line',
      'Section "Device" Identifier "x" Driver "nvidia" EndSection # c\n',
      `Section "Device" Identifier "x" Driver "nvidia" BusID "${NEW}" EndSection # c\n`,
    ],
    [
      'adds to a line that goes on within the line',
      section('Identifier "x" Driver "nvidia"Option "a"'),
      section(`Identifier "x" Driver "nvidia" BusID "${NEW}"Option "a"`),
    ],
    [
      'adds a line where Driver ends a line',
      section('Identifier "x" Driver "nvidia"', 'Option "a"'),
      section('Identifier "x" Driver "nvidia"', `BusID  "${NEW}"`, 'Option "a"'),
    ],
    [
      'adds below a Driver of two lines',
      section('  Identifier "x"', '  Driver # "c"', '     "nvidia"'),
      section('  Identifier "x"', '  Driver # "c"', '     "nvidia"', `  BusID "${NEW}"`),
    ],
  ])('%s', (_what, before, after) => {
    expect(patched(before)).toBe(after);
    expect(patched(after)).toBe(after);
  });

  it('changes one Device and leaves the other', () => {
    const text = recorded('nvidia-xconfig-535-h200-2gpu.conf');
    expect(patched(text, 1)).toBe(text.replace('PCI:0:7:0', NEW));
  });

  it('adds one line to the file that nvidia-xconfig wrote on a guest with one GPU', () => {
    const text = recorded('nvidia-xconfig-535-h200-1gpu.conf');
    const driver = '    Driver         "nvidia"\n';
    expect(patched(text)).toBe(text.replace(driver, `${driver}    BusID          "${NEW}"\n`));
  });

  it('is exact for every shape of a section', () => {
    const endings = ['\n', '\r\n', ' ', '\t', ' # "c" BusID "x"\n', '\n\n  '];
    const keys = [
      'Driver "nvidia"',
      'Bus_ID "PCI:1:0:0"',
      'Option "BusID" "PCI:9:9:9"',
      'Screen 0',
      'busid\n"PCI:2:0:0"',
    ];
    for (let shape = 0; shape < 6 ** 3 * 2 ** 5; shape++) {
      const ending = (n: number) => endings[Math.floor(shape / 6 ** n) % 6]!;
      const chosen = keys.filter((_, index) => (Math.floor(shape / 6 ** 3) >> index) % 2 === 1);
      const text = `Section "Device"${ending(0)}Identifier "x"${ending(1)}${chosen.map(key => key + ending(2)).join('')}EndSection`;
      expectExact(text);
    }
  });
});

describe('the shapes that files can have', () => {
  const SHAPES = new URL('shapes/', RECORDED);
  const shapes = readdirSync(SHAPES);

  it.each(shapes)('%s is patched exactly, or refused', name => {
    const text = readFileSync(new URL(name, SHAPES), 'utf8');
    if (name.startsWith('refused')) expect(parseXorgConf(text).is).toBe('faulty');
    else expectExact(text);
  });
});

const corpus = process.env.VGPU_GUEST_XORG_CORPUS;

describe.skipIf(!corpus)('the files that people use', () => {
  const names = corpus ? readdirSync(corpus).filter(name => name.endsWith('.conf')) : [];

  it('are many', () => expect(names.length).toBeGreaterThan(0));

  it.each(names)('%s is patched exactly, or refused', name => {
    const text = readFileSync(join(corpus!, name), 'utf8');
    const refused = { '021': { line: 65, column: 1 }, '035': { line: 1, column: 1 } }[name.slice(0, 3)];
    if (refused) expect(parseXorgConf(text)).toMatchObject({ is: 'faulty', at: refused });
    else expectExact(text);
  });
});

/** Patching each Device: only its BusID means something else, a second patch changes nothing, and all other characters stay. */
function expectExact(text: string): void {
  const before = devicesOf(text);
  for (const [index, device] of before.entries()) {
    const after = setBusId(text, device, NEW);
    expect(meaningOf(after)).toEqual(before.map((d, i) => [d.identifier, d.driver, i === index ? NEW : d.busId]));
    expect(patched(after, index)).toBe(after);

    const { start, end } = devicesOf(after)[index]!.busIdAt!;
    const [head, tail] = [after.slice(0, start), after.slice(end)];
    const added = /(?:(?:\r\n|\n|\r)[ \t]*| )BusID[ \t]+"$/.exec(head);
    expect(device.busIdAt ? head + device.busId + tail : head.slice(0, added!.index) + tail.slice(1)).toBe(text);
  }
}
