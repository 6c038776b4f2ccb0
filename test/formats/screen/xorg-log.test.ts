import { expect, test } from 'vitest';
import { parseXorgLog } from '../../../src/formats/screen/xorg-log.ts';

// lines of X server 21.1 as Debian 12 has it; those of NVIDIA's driver are typed after the ones that people publish
const HEAD = `[   691.396] X.Org X Server 1.21.1.7
[   691.396] Markers: (--) probed, (**) from config file, (==) default setting,
	(++) from command line, (!!) notice, (II) informational,
	(WW) warning, (EE) error, (NI) not implemented, (??) unknown.
[   691.397] (--) PCI: (0@0:2:0) 1234:1111:0000:0000 rev 0
[   691.397] (--) PCI: (0@0:6:0) 10de:2236:0000:0000 rev 0
`;

test('an X server on NVIDIA names the GPUs that it has taken', () => {
  const log =
    parseXorgLog(`${HEAD}[    27.912] (II) NVIDIA(0): NVIDIA GPU NVIDIA A16-4Q (GA107GL-A) at PCI:2:1:0 (GPU-0)
[    27.912] (--) NVIDIA(0): Memory: 4194304 kBytes
[    27.913] (II) NVIDIA(GPU-1): NVIDIA GPU NVIDIA A16-4Q (GA107GL-A) at PCI:0@50677:0:0 (GPU-1)
[    28.100] (II) NVIDIA(0): Virtual screen size determined to be 1920 x 1080
`);
  expect(log).toEqual({
    gpus: ['0000:02:01.0', 'c5f5:00:00.0'],
    drivers: ['NVIDIA'],
    errors: [],
    fatal: false,
  });
});

test('an X server without a device says so and ends', () => {
  const log = parseXorgLog(`${HEAD}[   691.529] (EE) No devices detected.
[   691.529] (EE) 
Fatal server error:
[   691.529] (EE) no screens found(EE) 
[   691.529] (EE) Server terminated with error (1). Closing log file.
`);
  expect(log).toEqual({
    gpus: [],
    drivers: [],
    errors: [
      '(EE) No devices detected.',
      '(EE) no screens found(EE)',
      '(EE) Server terminated with error (1). Closing log file.',
    ],
    fatal: true,
  });
});

test('another driver is named by its own name', () => {
  expect(
    parseXorgLog('[  1.0] (II) modeset(0): using drv /dev/dri/card0\n[  1.0] (II) DUMMY: Driver for Dummy\n').drivers,
  ).toEqual(['modeset']);
  expect(parseXorgLog('')).toEqual({ gpus: [], drivers: [], errors: [], fatal: false });
});
