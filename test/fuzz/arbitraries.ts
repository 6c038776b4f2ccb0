import fc from 'fast-check';

/** What breaks readers more often than chance finds it. */
export const UNITS: readonly string[] = [
  ...[
    'a',
    'A',
    '0',
    ' ',
    '\t',
    '\n',
    '\r',
    '\r\n',
    '"',
    "'",
    '\\',
    '=',
    '#',
    '-',
    '.',
    '/',
    ':',
    ',',
    ';',
    '@',
    '%',
    '&',
    '*',
    '?',
    '!',
    '|',
    '>',
  ],
  ...['(', ')', '[', ']', '{', '}', '<', '\0', '\u001b[', 'ä', '\u2028', '\ud800', '\ufeff', '𝒳'],
  ...[
    'a ',
    'a=',
    'a=b\n',
    '#a=',
    '#a=\n',
    '# ',
    'a: ',
    '- ',
    '"a" ',
    '""',
    '\\\n',
    '\\"',
    '://',
    'a.',
    'a-',
    'a_',
    '0.',
    '0:',
    '::',
    ', ',
    'a, ',
    ' (',
    '()',
  ],
  ...[
    '<a>',
    '</a>',
    '<a ',
    '<!--',
    '<![CDATA[',
    '&a;',
    '<gpu>',
    'eyJ',
    'eyJ.',
    'Section "',
    'EndSection\n',
    'Section "Device"\n',
    'Option "a" ',
    '0x',
  ],
  ...[
    'a: {',
    'a: [',
    '[[',
    '{{',
    '- - ',
    '? ',
    '&a ',
    '*a ',
    '!!a ',
    '"\\u',
    'token',
    'password=',
    '-----BEGIN ',
    'nvidia',
    'nvidia-',
    'ERROR: ',
    'GPU',
    'PCI:',
    'FeatureType=1\n',
    '# FeatureType is managed by vgpu-guest\nFeatureType=1\n',
    '#ServerPort=\n',
    'EnableUI=\n',
    'x /var ext4 rw 0 0\n',
    'blacklist a\n',
    '\\040',
  ],
];

/** Any text at all, with a liking for what means something. */
export const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 400 }),
  fc
    .array(fc.oneof(fc.constantFrom(...UNITS), fc.string({ unit: 'grapheme', maxLength: 8 })), { maxLength: 120 })
    .map(parts => parts.join('')),
  fc.uint8Array({ maxLength: 400 }).map(bytes => Buffer.from(bytes).toString('latin1')),
);

/** One of the samples after some damage: bytes, pieces and lines that are lost, doubled, swapped, or something else. */
export function damaged(samples: readonly string[]): fc.Arbitrary<string> {
  const place = fc.nat({ max: 1_000_000 });
  const blow = fc.tuple(
    fc.constantFrom('cut', 'lose', 'double', 'insert', 'byte', 'swap', 'repeat'),
    place,
    place,
    fc.oneof(fc.constantFrom(...UNITS), fc.string({ unit: 'binary', maxLength: 20 })),
  );
  return fc
    .tuple(fc.constantFrom(...samples), fc.array(blow, { minLength: 1, maxLength: 8 }))
    .map(([sample, blows]) =>
      blows.reduce((text, [kind, from, to, piece]) => strike(text, kind, from, to, piece), sample),
    );
}

function strike(text: string, kind: string, from: number, to: number, piece: string): string {
  const at = from % (text.length + 1);
  const end = at + (to % 80);
  switch (kind) {
    case 'cut':
      return text.slice(0, at);
    case 'lose':
      return text.slice(0, at) + text.slice(end);
    case 'double':
      return text.slice(0, end) + text.slice(at);
    case 'insert':
      return text.slice(0, at) + piece + text.slice(at);
    case 'byte':
      return text.slice(0, at) + String.fromCharCode(to % 256) + text.slice(at + 1);
    case 'swap': {
      const lines = text.split('\n');
      const [one, other] = [from % lines.length, to % lines.length];
      [lines[one], lines[other]] = [lines[other]!, lines[one]!];
      return lines.join('\n');
    }
    default:
      return text.slice(0, at) + piece.repeat(1 + (to % 200)) + text.slice(at);
  }
}
