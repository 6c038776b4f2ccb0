import fc from 'fast-check';

/** Texts that the X server reads, in every spelling that its scanner allows. */
export const xorgText: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: files(gap()) },
  { weight: 1, arbitrary: files(fc.constant(' ')) },
);

/** Pieces of such texts in any order, most of which X refuses. */
export const xorgScraps: fc.Arbitrary<string> = fc
  .array(
    fc.constantFrom(
      ...[
        'Section',
        '"Device"',
        'EndSection',
        'SubSection "Display"',
        'EndSubSection',
        'Identifier "a"',
        'Driver "nvidia"',
      ],
      ...[
        'BusID "PCI:1:0:0"',
        'busid',
        '"',
        '#',
        '\n',
        '\r\n',
        '\r',
        ' ',
        '\t',
        '0x1f',
        '017',
        '-',
        ',',
        '_',
        'é',
        'Option "b"',
      ],
      ...[
        'Virtual 1 2',
        '"Screen"',
        'Device "a"',
        '"ServerLayout"',
        'Screen 0 "s"',
        '\u0000',
        'Section "Device"',
        '-hsync',
      ],
    ),
    { maxLength: 30 },
  )
  .map(pieces => pieces.join(''));

/** Blanks, ends of lines and comments between two tokens; never empty. */
function gap(): fc.Arbitrary<string> {
  const blank = fc.constantFrom(' ', '  ', '\t', '\n', '\r\n', '\r', '\n    ', ' \t ');
  const words = fc.constantFrom('', ' c', ' BusID "PCI:9:9:9"', ' "', '# EndSection', ' \tDriver "nvidia"', ' é');
  const comment = fc.tuple(words, fc.constantFrom('\n', '\r\n', '\r')).map(([text, end]) => ` #${text}${end}`);
  const piece = fc.oneof({ weight: 5, arbitrary: blank }, { weight: 1, arbitrary: comment });
  return fc.array(piece, { minLength: 1, maxLength: 3 }).map(pieces => pieces.join(''));
}

function files(between: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const word = (text: string) =>
    fc.tuple(fc.constantFrom('plain', 'lower', 'upper', 'underscored'), fc.nat(text.length)).map(([how, at]) => {
      if (how === 'lower') return text.toLowerCase();
      if (how === 'upper') return text.toUpperCase();
      return how === 'underscored' ? `${text.slice(0, at)}_${text.slice(at)}` : text;
    });
  const string = (text: fc.Arbitrary<string>) => text.map(inner => `"${inner}"`);
  const name = fc.constantFrom('a', 'A', 'b_', 'c d', '', '# no comment', 'EndSection');
  const busId = fc.constantFrom('PCI:1:0:0', 'PCI:0@50677:0:0', '01@2:3', '', 'pci:256:1:0', '@BUS@', '00:1e.0');
  const number = fc.constantFrom('0', '1', '017', '0x1f', '230.5');
  const key = (keyword: string, ...values: readonly fc.Arbitrary<string>[]) => joined(word(keyword), ...values);
  const option = (of: fc.Arbitrary<string>) =>
    fc.oneof(
      key('Option', string(of)),
      key('Option', string(of), string(fc.constantFrom('on', 'False', '0', 'x', ''))),
    );

  const device = section(
    'Device',
    key('Identifier', string(name)),
    fc.oneof(
      key('Driver', string(fc.constantFrom('nvidia', 'NV_idia', 'modesetting'))),
      key('BusID', string(busId)),
      key('Screen', number),
      key('VendorName', string(name)),
      key('Clocks', number, number),
      key('VideoRam', number),
      option(fc.constantFrom('BusID', 'HardDPMS', 'hard_dpms', 'Coolbits')),
    ),
  );
  const display = joined(
    word('SubSection'),
    fc.constant('"Display"'),
    joined(
      key('Depth', fc.constantFrom('8', '24')),
      fc.oneof(
        key('Virtual', fc.constantFrom('640'), fc.constantFrom('480')),
        key('Modes', fc.constant('"nvidia-auto-select"')),
      ),
    ),
    word('EndSubSection'),
  );
  const screen = section(
    'Screen',
    key('Identifier', string(name)),
    fc.oneof(key('Device', string(name)), key('GPUDevice', string(name)), key('DefaultDepth', number), display),
  );
  const layout = section(
    'ServerLayout',
    key('Identifier', string(name)),
    fc.oneof(
      key('Screen', string(name)),
      key('Screen', number, string(name)),
      key('Screen', string(name), word('RightOf'), string(name)),
      key('Inactive', string(name)),
    ),
  );
  const other = fc.oneof(
    section('ServerFlags', option(fc.constantFrom('DefaultServerLayout', 'AIGLX')), option(fc.constant('x'))),
    section('OutputClass', key('Identifier', string(name)), key('Driver', fc.constant('"nvidia"'))),
    section('Files', key('FontPath', fc.constant('"/a"')), key('FontPath', fc.constant('"/b"'))),
  );
  const all = fc.array(fc.oneof({ weight: 3, arbitrary: device }, screen, layout, other), {
    minLength: 1,
    maxLength: 5,
  });
  return fc
    .tuple(
      fc.constantFrom('', '\n', '# first\n'),
      all.chain(sections => joined(...sections.map(text => fc.constant(text)))),
      fc.constantFrom('', '\n', '\r\n', ' # last'),
    )
    .map(parts => parts.join(''));

  function section(kind: string, first: fc.Arbitrary<string>, rest: fc.Arbitrary<string>): fc.Arbitrary<string> {
    const body = fc
      .tuple(first, fc.array(rest, { maxLength: 6 }), fc.nat(6))
      .chain(([one, others, at]) => joined(...others.toSpliced(at, 0, one).map(text => fc.constant(text))));
    return joined(word('Section'), string(word(kind)), body, word('EndSection'));
  }

  function joined(...parts: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> {
    return fc
      .tuple(fc.tuple(...parts), fc.array(between, { minLength: parts.length, maxLength: parts.length }))
      .map(([texts, gaps]) => texts.map((text, at) => (at === 0 ? text : gaps[at] + text)).join(''));
  }
}
