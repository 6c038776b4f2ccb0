import type { XorgScreen } from './xorg-conf.ts';
import type { Anchor, XorgDevice } from './xorg-device.ts';
import { bare, lineStart, sameXorgName, splice } from './xorg-tokens.ts';

/** A size of the screen in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The text with this BusID in one Device, which `parseXorgConf` has found in it. Every other character stays as it is. */
export function setBusId(text: string, device: XorgDevice, busId: string): string {
  if (device.busIdAt) return splice(text, device.busIdAt, busId);
  return addBehind(text, device.anchor, 'BusID', `"${busId}"`);
}

/** What can have Options. */
type Holder = Pick<XorgDevice | XorgScreen, 'options' | 'anchor'>;

/** The same for an Option: its value where it has one, a line of its own where there is no such Option. */
export function setOption(text: string, { options, anchor }: Holder, name: string, value: string): string {
  const option = options.find(found => sameXorgName(found.name, name));
  if (option?.valueAt) return splice(text, option.valueAt, value);
  if (option) return splice(text, { start: option.nameAt.end, end: option.nameAt.end }, ` "${value}"`);
  return addBehind(text, anchor, 'Option', `"${name}" "${value}"`);
}

export function hasOption({ options }: Pick<Holder, 'options'>, name: string): boolean {
  return options.some(found => sameXorgName(found.name, name));
}

/** What X makes of an Option that is yes or no; undefined: there is none, or X does not understand it (xf86getBoolValue). */
export function booleanOption({ options }: Pick<Holder, 'options'>, name: string): boolean | undefined {
  const option = options.find(found => sameXorgName(found.name, name));
  if (!option) return undefined;
  const value = bare(option.value ?? '');
  if (['', '1', 'on', 'true', 'yes'].includes(value)) return true;
  return ['0', 'off', 'false', 'no'].includes(value) ? false : undefined;
}

/** The text with this virtual resolution in every Display of one Screen; one without a Display is given one. */
export function setVirtual(text: string, screen: XorgScreen, { width, height }: Size): string {
  const words = `${width} ${height}`;
  if (screen.displays.length > 0) {
    // from the last to the first, so that the offsets of those before stay true
    return screen.displays.reduceRight(
      (edited, { virtual, end }) =>
        virtual
          ? splice(edited, virtual.at, words)
          : addBefore(edited, end.start, indent => [`${indent}    Virtual     ${words}`]),
      text,
    );
  }
  return addBefore(text, screen.end.start, indent => [
    `${indent}    SubSection     "Display"`,
    `${indent}        Virtual     ${words}`,
    `${indent}    EndSubSection`,
  ]);
}

/** A Screen for a Device that no Screen names, below all that the text has. */
export function addScreen(text: string, { identifier }: XorgDevice, { width, height }: Size): string {
  const eol = endOfLine(text);
  const lines = [
    'Section "Screen"',
    `    Identifier     "${identifier} screen"`,
    `    Device         "${identifier}"`,
    '    SubSection     "Display"',
    `        Virtual     ${width} ${height}`,
    '    EndSubSection',
    'EndSection',
    '',
  ];
  return `${text}${/[\r\n]$/.test(text) ? '' : eol}${eol}${lines.join(eol)}`;
}

/**
 * A file that takes the place of a Device which another file has: of two Devices with one name X takes the first that it reads, so that
 * this one has a name of its own, and a Screen that names it. `text` has the Device as it is to be.
 */
export function overridingConf(from: string, text: string, device: XorgDevice, virtual: Size | undefined): string {
  const name = `${device.identifier} of vgpu-guest`;
  const { start, end } = device.identifierAt;
  const section = `${text.slice(device.at.start, start)}${name}${text.slice(end, device.at.end)}`;
  const size =
    virtual &&
    `    SubSection     "Display"\n        Virtual     ${virtual.width} ${virtual.height}\n    EndSubSection\n`;
  return `# made by vgpu-guest, in place of the Device "${device.identifier}" of ${from}

${section.replace(/\r\n?/g, '\n')}

Section "Screen"
    Identifier     "Screen of vgpu-guest"
    Device         "${name}"
${size ?? ''}EndSection
`;
}

/** A file for one GPU and nothing else. */
export function minimalXorgConf(busId: string): string {
  return `# made by vgpu-guest, because xorg.manage is always

Section "ServerLayout"
    Identifier     "Layout0"
    Screen      0  "Screen0"
EndSection

Section "Device"
    Identifier     "Device0"
    Driver         "nvidia"
    BusID          "${busId}"
EndSection

Section "Screen"
    Identifier     "Screen0"
    Device         "Device0"
    DefaultDepth    24
EndSection
`;
}

/** A line of its own behind the anchor's line, or a piece within the line where that goes on. */
function addBehind(text: string, { keyword, value }: Anchor, word: string, given: string): string {
  const rest = /^([^\r\n]*)(\r\n|\n|\r)/.exec(text.slice(value.end));
  // the section goes on in the same line
  if (!rest || /^[ \t]*[^ \t#]/.test(rest[1]!))
    return splice(text, { start: value.end, end: value.end }, ` ${word} ${given}`);
  const indentation = /^[ \t]*/.exec(text.slice(lineStart(text, keyword.start)))![0];
  const lineEnd = value.end + rest[1]!.length;
  const line = `${rest[2]}${indentation}${word}${gap(text, { keyword, value }, word)}${given}`;
  return splice(text, { start: lineEnd, end: lineEnd }, line);
}

/** Lines before the keyword that ends a section, or words before it where it does not begin its line. */
function addBefore(text: string, offset: number, linesFor: (indent: string) => readonly string[]): string {
  const start = lineStart(text, offset);
  const before = text.slice(start, offset);
  if (/[^ \t]/.test(before)) {
    const words = linesFor('').map(line => line.trim().replace(/ +/g, ' '));
    return splice(text, { start: offset, end: offset }, `${words.join(' ')} `);
  }
  const eol = endOfLine(text);
  return splice(text, { start, end: start }, `${linesFor(before).join(eol)}${eol}`);
}

function endOfLine(text: string): string {
  return /\r\n|\n|\r/.exec(text)?.[0] ?? '\n';
}

/** The blanks before the new value, so that it stands below the one above. */
function gap(text: string, { keyword, value }: Anchor, word: string): string {
  const blanks = text.slice(keyword.end, value.start);
  if (!/^[ \t]+$/.test(blanks)) return ' ';
  return blanks.includes('\t') ? blanks : ' '.repeat(Math.max(1, value.start - keyword.start - word.length));
}
