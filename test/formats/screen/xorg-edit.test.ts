import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseXorgConf, type XorgConf, type XorgSections } from '../../../src/formats/screen/xorg-conf.ts';
import type { XorgDevice } from '../../../src/formats/screen/xorg-device.ts';
import { booleanOption, setBusId, setOption, setVirtual } from '../../../src/formats/screen/xorg-edit.ts';
import { xorgScraps, xorgText } from '../../helpers/xorg-text.ts';

const NEW = 'PCI:0@50677:6:0';
const RUNS = { numRuns: 300 };

function sectionsOf(text: string): XorgSections {
  const conf = parseXorgConf(text);
  if (conf.is === 'faulty')
    throw new Error(`${conf.problem} at ${conf.at.line}:${conf.at.column} of ${JSON.stringify(text)}`);
  return conf;
}

/** All that is said, without the places where it stands. */
function meaningOf(text: string): unknown {
  return JSON.parse(
    JSON.stringify(sectionsOf(text), (key, value) => (/^(?:at|end|start|anchor)$|At$/.test(key) ? undefined : value)),
  );
}

/** The same with another value at a path. */
function changed(meaning: unknown, path: readonly (string | number)[], value: unknown): unknown {
  const copy = structuredClone(meaning) as Record<string | number, never>;
  const parent = path.slice(0, -1).reduce<Record<string | number, never>>((at, key) => at[key]!, copy);
  parent[path.at(-1)!] = value as never;
  return copy;
}

const withDevice = xorgText.filter(text => sectionsOf(text).devices.length > 0);
const patched = (text: string, index: number) => setBusId(text, sectionsOf(text).devices[index]!, NEW);

/** What `after` has more than `before`, when it is one piece: everything around it must be the same. */
function inserted(before: string, after: string, at: number): string {
  const length = after.length - before.length;
  expect(after.slice(0, at) + after.slice(at + length)).toBe(before);
  return after.slice(at, at + length);
}

describe('a BusID that is set in any file', () => {
  it('is that of its Device, and everything else means what it meant', () => {
    fc.assert(
      fc.property(withDevice, text => {
        for (const index of sectionsOf(text).devices.keys()) {
          expect(meaningOf(patched(text, index))).toEqual(changed(meaningOf(text), ['devices', index, 'busId'], NEW));
        }
      }),
      RUNS,
    );
  });

  it('leaves every other character as it is', () => {
    fc.assert(
      fc.property(withDevice, text => {
        for (const [index, { busIdAt }] of sectionsOf(text).devices.entries()) {
          const after = patched(text, index);
          const { start, end } = sectionsOf(after).devices[index]!.busIdAt!;
          if (busIdAt) {
            expect(after.slice(0, start) + after.slice(end)).toBe(
              text.slice(0, busIdAt.start) + text.slice(busIdAt.end),
            );
          } else {
            const from = /(?:(?:\r\n|\n|\r)[ \t]*| )BusID[ \t]+"$/.exec(after.slice(0, start))!.index;
            expect(inserted(text, after, from)).toBe(after.slice(from, end + 1));
          }
        }
      }),
      RUNS,
    );
  });

  it('is set once: a second patch changes nothing', () => {
    fc.assert(
      fc.property(withDevice, text => {
        for (const index of sectionsOf(text).devices.keys()) {
          const once = patched(text, index);
          expect(patched(once, index)).toBe(once);
        }
      }),
      RUNS,
    );
  });
});

describe('an Option that is set in any file', () => {
  it('has its value afterwards, and the other Options theirs', () => {
    fc.assert(
      fc.property(withDevice, fc.boolean(), (text, wanted) => {
        const value = wanted ? 'True' : 'False';
        for (const [index, device] of sectionsOf(text).devices.entries()) {
          const after = setOption(text, device, 'HardDPMS', value);
          const found = sectionsOf(after).devices[index]!;
          expect(booleanOption(found, 'HardDPMS')).toBe(wanted);
          expect(setOption(after, found, 'HardDPMS', value)).toBe(after);
          expect(meaningWithoutOption(after, index)).toEqual(meaningWithoutOption(text, index));
        }
      }),
      RUNS,
    );
  });

  it.each([
    ['Option "HardDPMS"', true],
    ['Option "HardDPMS" ""', true],
    ['Option "hard_ dpms" "Yes"', true],
    ['Option "HardDPMS" "o_ff"', false],
    ['Option "HardDPMS" "no" Option "HardDPMS" "yes"', false],
    ['Option "HardDPMS" "perhaps"', undefined],
    ['Option "Hard" "no"', undefined],
  ])('%s is %s to X', (line, value) => {
    expect(
      booleanOption(sectionsOf(`Section "Device" Identifier "x" ${line} EndSection`).devices[0]!, 'HardDPMS'),
    ).toBe(value);
  });

  function meaningWithoutOption(text: string, index: number): unknown {
    const { options } = sectionsOf(text).devices[index]!;
    const first = options.findIndex(({ name }) => /^hard_? ?dpms$/i.test(name));
    const others = options.filter((_, at) => at !== first).map(({ name, value }) => [name, value]);
    // one that is added stands before the others
    return [changed(meaningOf(text), ['devices', index, 'options'], []), others];
  }
});

describe('a virtual resolution that is set in any file', () => {
  it('is that of each Display of its Screen, and everything else means what it meant', () => {
    fc.assert(
      fc.property(
        xorgText.filter(text => sectionsOf(text).screens.length > 0),
        text => {
          for (const [index, screen] of sectionsOf(text).screens.entries()) {
            const after = setVirtual(text, screen, { width: 1920, height: 1080 });
            const { displays } = sectionsOf(after).screens[index]!;
            expect(displays).toHaveLength(Math.max(1, screen.displays.length));
            expect(displays.every(({ virtual }) => virtual?.width === 1920 && virtual.height === 1080)).toBe(true);
            expect(setVirtual(after, sectionsOf(after).screens[index]!, { width: 1920, height: 1080 })).toBe(after);
            const path = ['screens', index, 'displays'];
            expect(changed(meaningOf(after), path, [])).toEqual(changed(meaningOf(text), path, []));
          }
        },
      ),
      RUNS,
    );
  });
});

it('reads any text, or says where X stumbles', () => {
  fc.assert(
    fc.property(fc.oneof(xorgScraps, fc.string({ unit: 'binary' })), text => {
      const conf: XorgConf = parseXorgConf(text);
      const lines = text.split(/\r\n|\n|\r/);
      if (conf.is === 'faulty') {
        expect(conf.at.line).toBeLessThanOrEqual(lines.length);
        expect(conf.at.column).toBeLessThanOrEqual(lines[conf.at.line - 1]!.length + 1);
        return;
      }
      for (const device of conf.devices satisfies readonly XorgDevice[]) {
        expect(text.slice(device.at.start, device.at.end)).toMatch(/^Section[\s\S]*EndSection$/i);
        expect(text.slice(device.identifierAt.start, device.identifierAt.end)).toBe(device.identifier);
        if (device.busIdAt) expect(text.slice(device.busIdAt.start, device.busIdAt.end)).toBe(device.busId);
      }
    }),
    RUNS,
  );
});
