import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseXorgConf, type XorgSections } from '../../../src/formats/screen/xorg-conf.ts';
import { xorgUse } from '../../../src/formats/screen/xorg-layout.ts';

function sectionsOf(text: string): XorgSections {
  const conf = parseXorgConf(text);
  if (conf.is === 'faulty') throw new Error(conf.problem);
  return conf;
}

/** Names of the Devices by what they are used for. */
function useOf(...texts: readonly string[]) {
  const { shown, beside } = xorgUse(texts.map(sectionsOf));
  return {
    shown: shown.map(({ device, screen }) => `${device.identifier} on ${screen?.identifier ?? 'a screen of its own'}`),
    beside: beside.map(({ identifier }) => identifier),
  };
}

const shape = (name: string) =>
  readFileSync(new URL(`../../fixtures/xorg/shapes/${name}.conf`, import.meta.url), 'utf8');
const device = (name: string) => `Section "Device" Identifier "${name}" EndSection\n`;
const screen = (name: string, ...more: readonly string[]) =>
  `Section "Screen" Identifier "${name}" ${more.join(' ')} EndSection\n`;
const layout = (name: string, ...more: readonly string[]) =>
  `Section "ServerLayout" Identifier "${name}" ${more.join(' ')} EndSection\n`;

describe('the Devices that X puts to use', () => {
  it.each<[string, readonly string[], readonly string[], readonly string[]]>([
    ['none where there is none', [screen('s', 'Device "a"')], [], []],
    ['the first where nothing is said', [device('a'), device('b')], ['a on a screen of its own'], ['b']],
    [
      "that of the first Screen, whatever its name's spelling",
      [device('a'), device('b_1'), screen('s', 'Device "B1"'), screen('t', 'Device "a"')],
      ['b_1 on s'],
      ['a'],
    ],
    [
      'the first for a Screen that names none, or one that is not there',
      [device('a') + screen('s', 'Device "x"')],
      ['a on s'],
      [],
    ],
    ['the one without a name for a Screen that names none', [device('a') + device('') + screen('s')], [' on s'], ['a']],
    [
      'of two with one name the first',
      [device('a') + device('b'), `${device('A')}${screen('s', 'Device "a"')}`],
      ['a on s'],
      ['b', 'A'],
    ],
    [
      'those of the first layout',
      [
        device('a') + device('b') + device('c') + screen('s', 'Device "a"') + screen('t', 'Device "b"'),
        layout('l', 'Screen 0 "s" 0 0', 'Screen 1 "t" RightOf "s"') + layout('m', 'Screen "t"'),
      ],
      ['a on s', 'b on t'],
      [],
    ],
    [
      'those that a Screen or a layout takes along',
      [
        device('a') +
          device('b') +
          device('c') +
          device('d') +
          screen('s', 'Device "a" GPUDevice "b"') +
          layout('l', 'Screen "s" Inactive "d"'),
      ],
      ['a on s'],
      ['b', 'd'],
    ],
    [
      'those of the first Screen where the layout names none',
      [device('a') + device('b') + screen('s', 'Device "b"') + layout('l', 'Option "x"')],
      ['b on s'],
      ['a'],
    ],
  ])('are %s', (_what, texts, shown, beside) => expect(useOf(...texts)).toEqual({ shown, beside }));

  it('are those of the layout that is called default', () => {
    expect(useOf(shape('layout-chooses'))).toEqual({ shown: ['gpu1 on screen1'], beside: ['gpu0'] });
  });

  it.each<[string, string, readonly string[]]>([
    ['by the first of two Options', 'b', ['Option "DefaultServerLayout" "m" Option "default_serverlayout" "l"']],
    ['by the keyword rather than by an Option', 'b', ['Option "DefaultServerLayout" "l" DefaultServerLayout "m"']],
    ['by the last section alone', 'a', ['Option "DefaultServerLayout" "m"', 'Option "AIGLX" "off"']],
  ])('are those of the layout that is called default %s', (_how, shown, flags) => {
    const screens = device('a') + device('b') + screen('s', 'Device "a"') + screen('t', 'Device "b"');
    const files = flags.map(options => `Section "ServerFlags" ${options} EndSection\n`);
    const layouts = layout('l', 'Screen "s"') + layout('m', 'Screen "t"');
    for (const texts of [[screens + files.join('') + layouts], [screens, ...files, layouts]])
      expect(useOf(...texts).shown).toEqual([`${shown} on ${shown === 'a' ? 's' : 't'}`]);
  });

  it('are none of another seat, unless they are named', () => {
    const [other, own] = ['MatchSeat "seat1"', 'MatchSeat "seat_0"'];
    const elsewhere = `Section "Device" Identifier "x" ${other} EndSection\n`;
    const here = `Section "Device" Identifier "a" ${own} EndSection\n`;
    expect(useOf(elsewhere + here + device('b'))).toEqual({ shown: ['a on a screen of its own'], beside: ['b'] });
    expect(useOf(elsewhere + here + screen('s', other, 'Device "x"') + screen('t', 'Device "a"')).shown).toEqual([
      'a on t',
    ]);
    const screens = screen('s', 'Device "x"') + screen('t', 'Device "a"');
    const layouts = layout('l', other, 'Screen "s"') + layout('m', own, 'Screen "t"');
    expect(useOf(elsewhere + here + screens + layouts).shown).toEqual(['a on t']);
    expect(useOf(elsewhere + here + screens).shown).toEqual(['x on s']);
  });
});
