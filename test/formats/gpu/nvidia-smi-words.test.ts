import { expect, test } from 'vitest';
import { refusalOf } from '../../../src/formats/gpu/nvidia-smi-words.ts';

// The first two are recorded answers of nvidia-smi -e, the next two those for clocks and driver models; the last is made.
test.each([
  ['Disabled ECC support for GPU 00000000:00:05.0.\nAll done.\nReboot required.\n', undefined],
  ['Enabled ECC support for GPU 00000000:09:00.0.\nAll done.\nReboot required.\n', undefined],
  [
    'Setting applications clocks is not supported for GPU 0000:01:00.0.\nTreating as warning and moving on.\nAll done.\n',
    'Setting applications clocks is not supported for GPU 0000:01:00.0.',
  ],
  [
    'Unable to set driver model for GPU 00000000:01:00.0: Not Supported\nTreating as warning and moving on.\nAll done.\n',
    'Unable to set driver model for GPU 00000000:01:00.0: Not Supported',
  ],
  ['Something of tomorrow.\nTreating as warning and moving on.\nAll done.\n', 'Something of tomorrow.'],
  ['', undefined],
])('nvidia-smi that says %j refuses: %s', (text, line) => {
  expect(refusalOf(text)).toBe(line);
});
