import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allowUnsupportedModules, insertAtTop } from '../../src/formats/driver/modprobe-conf.ts';
import { excerpt } from '../../src/formats/excerpt.ts';
import { formatBusId, formatPciAddress, parseBusId, parsePciAddress } from '../../src/formats/gpu/pci-address.ts';
import { editGriddConf, markedKeys, readGriddConf } from '../../src/formats/license/gridd-conf.ts';
import { redact } from '../../src/formats/redact/redact.ts';
import { parseXorgConf } from '../../src/formats/screen/xorg-conf.ts';
import { booleanOption, setBusId, setOption } from '../../src/formats/screen/xorg-edit.ts';
import { unitText } from '../../src/formats/systemd-unit.ts';
import { harmless, harmlessJson } from '../../src/report/visible.ts';
import { anyText, damaged } from './arbitraries.ts';
import { runs } from './how-long.ts';
import { SUBJECTS } from './subjects.ts';

const of = (name: string) => SUBJECTS.find(subject => subject.name === name)!.samples;
const griddConf = fc.oneof(damaged(of('gridd.conf')), anyText);
const xorgConf = fc.oneof(fc.constantFrom(...of('xorg.conf')), damaged(of('xorg.conf')));
const KEYS = ['FeatureType', 'ServerAddress', 'EnableUI', 'LicenseInterval', 'ClientConfigTokenPath'];
const value = fc.stringMatching(/^[\w./:-]{0,12}$/);
const wantedKeys = fc.uniqueArray(fc.tuple(fc.constantFrom(...KEYS), fc.option(value, { nil: undefined })), {
  selector: ([key]) => key,
  maxLength: 4,
});

describe('an edit of gridd.conf', () => {
  test('gives each key what was asked for, and every other key what it had', () => {
    fc.assert(
      fc.property(griddConf, wantedKeys, (text, wanted) => {
        const [before, ours] = [readGriddConf(text), new Set(markedKeys(text))];
        const edited = editGriddConf(text, new Map(wanted));
        const after = readGriddConf(edited);
        for (const [key, asked] of wanted) {
          if (asked !== undefined) expect(after.get(key) ?? '').toBe(asked);
        }
        const touched = new Set([...wanted.map(([key]) => key), ...ours]);
        const rest = (keys: ReadonlyMap<string, string>) => [...keys].filter(([key]) => !touched.has(key));
        expect(rest(after)).toEqual(rest(before));
      }),
      runs(300),
    );
  });

  test('is done once: a second one changes nothing', () => {
    fc.assert(
      fc.property(griddConf, wantedKeys, (text, wanted) => {
        const once = editGriddConf(text, new Map(wanted), of('gridd.conf')[0]);
        expect(editGriddConf(once, new Map(wanted), of('gridd.conf')[0])).toBe(once);
      }),
      runs(300),
    );
  });
});

describe('an edit of xorg.conf', () => {
  const busId = fc.tuple(fc.nat(255), fc.nat(31), fc.nat(7)).map(numbers => `PCI:${numbers.join(':')}`);

  test('sets the BusID of that Device, and every other character stays', () => {
    fc.assert(
      fc.property(xorgConf, fc.nat(), busId, (text, which, id) => {
        const conf = parseXorgConf(text);
        if (conf.is === 'faulty' || conf.devices.length === 0) return;
        const at = which % conf.devices.length;
        const device = conf.devices[at]!;
        const edited = setBusId(text, device, id);
        expectOnePiece(text, edited, device.busId?.length ?? 0);
        const again = parseXorgConf(edited);
        expect(again.is === 'parsed' && again.devices.map(({ busId: found }) => found)).toEqual(
          conf.devices.map(({ busId: found }, index) => (index === at ? id : found)),
        );
      }),
      runs(300),
    );
  });

  test('sets an Option of that Device, and every other character stays', () => {
    fc.assert(
      fc.property(xorgConf, fc.nat(), fc.boolean(), (text, which, on) => {
        const conf = parseXorgConf(text);
        if (conf.is === 'faulty' || conf.devices.length === 0) return;
        const at = which % conf.devices.length;
        const edited = setOption(text, conf.devices[at]!, 'HardDPMS', String(on));
        expectOnePiece(text, edited, 100);
        const again = parseXorgConf(edited);
        expect(again.is === 'parsed' && booleanOption(again.devices[at]!, 'HardDPMS')).toBe(on);
      }),
      runs(300),
    );
  });
});

/** What is the same before and behind one piece is all that there was, but for what the piece takes the place of. */
function expectOnePiece(before: string, after: string, replaced: number): void {
  let start = 0;
  while (start < before.length && before[start] === after[start]) start++;
  let end = 0;
  while (end < before.length - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  expect(before.length - start - end).toBeLessThanOrEqual(replaced);
}

test('a PCI address is read back from each of its spellings', () => {
  const address = fc.record({
    domain: fc.nat(0xffff),
    bus: fc.nat(255),
    device: fc.nat(31),
    function: fc.nat(7),
  });
  fc.assert(
    fc.property(address, given => {
      expect(parsePciAddress(formatPciAddress(given))).toEqual(given);
      expect(parseBusId(formatBusId(given))).toEqual(given);
    }),
    runs(300),
  );
});

test('lines that go into a file of modprobe.d take nothing out of it', () => {
  fc.assert(
    fc.property(fc.oneof(anyText, damaged(of('modprobe.d'))), text => {
      const edited = insertAtTop(text, ['blacklist nouveau']);
      expect(edited.split(/\r?\n/).filter(line => line === 'blacklist nouveau')).not.toEqual([]);
      const start = [...text].findIndex((_, at) => !edited.startsWith(text.slice(0, at + 1)));
      expect(start < 0 || edited.endsWith(text.slice(start))).toBe(true);
      expect(allowUnsupportedModules(text).length).toBeLessThanOrEqual(text.length);
    }),
    runs(300),
  );
});

test('a command line is one line of its unit, whatever is in it', () => {
  fc.assert(
    fc.property(fc.array(anyText, { minLength: 1, maxLength: 3 }), argv => {
      const text = unitText('[Service]\nExecStart=x\nType=oneshot\n', argv);
      expect(text.split(/[\n\r\u0000]/)).toHaveLength(4);
    }),
    runs(200),
  );
});

describe('what goes to support', () => {
  const text = fc.oneof(anyText, damaged(of('what goes to support')));

  test('is cleaned once: a second time finds nothing', () => {
    fc.assert(
      fc.property(text, given => {
        const once = redact(given, ['pass-word-1']).text;
        expect(redact(once, ['pass-word-1']).text).toBe(once);
      }),
      runs(400),
    );
  });

  test('has no word that is known, wherever it stood', () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9._~+/-]{8,40}$/);
    fc.assert(
      fc.property(text, secret, text, (before, known, after) => {
        expect(redact(before + known + after, [known]).text).not.toContain(known);
      }),
      runs(300),
    );
  });

  test('is no longer than it may be', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, damaged(of('xorg.conf'))), fc.integer({ min: 100, max: 2_000 }), (given, limit) => {
        expect(excerpt(given, limit).text.length).toBeLessThanOrEqual(limit + 80);
      }),
      runs(200),
    );
  });
});

test('no text can do anything to a terminal, and JSON gives it back as it was', () => {
  fc.assert(
    fc.property(anyText, given => {
      expect(harmless(given)).not.toMatch(/[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/);
      expect(JSON.parse(harmlessJson(JSON.stringify(given)))).toBe(given);
    }),
    runs(300),
  );
});
