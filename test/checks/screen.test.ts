import { describe, expect, test } from 'vitest';
import type { Facts } from '../../src/facts/facts.ts';
import { find, HEALTHY, kernelLog, noScreen, smi } from '../helpers/doctor.ts';

const CONF = '/etc/X11/xorg.conf';
const none = noScreen();
const device = (busId?: string) =>
  `Section "Device"\nIdentifier "gpu"\nDriver "nvidia"\n${busId === undefined ? '' : `BusID "${busId}"\n`}EndSection\n`;
const xorg = (text: string): Pick<Facts, 'xorg'> => ({ xorg: { ...none.xorg, conf: { path: CONF, text } } });
const graphical = { screen: { graphical: true, displayManager: 'inactive', xServers: [] } };
const X = { pid: 812, name: 'Xorg', kind: 'x' } as const;
const SHELL = { pid: 813, name: 'gnome-shell', kind: 'wayland' } as const;
const LOG = { path: '/var/log/Xorg.0.log', gpus: [], drivers: [], errors: [], fatal: false };
const shows = (given: Partial<Facts['graphics']>): Pick<Facts, 'graphics'> => ({
  graphics: { ...none.graphics, ...given },
});

describe('the configuration of X', () => {
  test('that X cannot read is named with the place', () => {
    expect(find('xorg-unreadable', { ...xorg(`${device('PCI:0:6:0')}Section "Device"`), ...graphical })).toMatchObject({
      severity: 'error',
      evidence: [{ at: CONF, shows: 'EndSection is missing (line 6, column 17)' }],
    });
    expect(find('xorg-unreadable', xorg(device()))).toBeUndefined();
    // one that is not about the GPU keeps X from starting all the same
    const keyboard = { path: '/etc/X11/xorg.conf.d/00-keyboard.conf', text: 'Section "InputClass"\n' };
    expect(find('xorg-unreadable', { xorg: { ...none.xorg, dropIns: [keyboard] } })).toMatchObject({
      summary: `X cannot read ${keyboard.path}`,
    });
  });

  test.each([
    ['PCI:0:10:0', 'Device "gpu" of /etc/X11/xorg.conf has the BusID "PCI:0:10:0", where no NVIDIA GPU is'],
    ['PCI:00:0a.0', 'Device "gpu" of /etc/X11/xorg.conf has the BusID "PCI:00:0a.0", where X finds nothing'],
    ['0000:00:06.0', 'Device "gpu" of /etc/X11/xorg.conf has the BusID "0000:00:06.0", where X finds nothing'],
  ])('with the BusID %s names the GPUs that there are', (busId, summary) => {
    const found = find('busid-wrong', { ...xorg(device(busId)), ...graphical });
    expect(found).toMatchObject({ severity: 'error', summary });
    expect(found?.evidence).toContainEqual({
      at: '/sys/bus/pci/devices',
      shows: '0000:00:06.0 [10de:2236], 0000:00:02.0 (not NVIDIA)',
    });
    expect(find('busid-wrong', xorg(device(busId)))).toMatchObject({ severity: 'warning' });
    expect(find('busid-wrong', { ...xorg(device(busId)), ...graphical, ...shows({ programs: [X] }) })).toMatchObject({
      severity: 'warning',
    });
  });

  test('with the right BusID has nothing wrong', () => {
    for (const id of ['busid-wrong', 'busid-ambiguous']) expect(find(id, xorg(device('PCI:0:6:0')))).toBeUndefined();
    expect(find('busid-wrong', { ...xorg(device('PCI:0:9:0')), gpus: [] })).toBeUndefined();
  });

  test('without a BusID is told of where there is more than one display', () => {
    const two = { gpus: [...HEALTHY.gpus, { ...HEALTHY.gpus[0]!, address: '0000:00:07.0' }] };
    expect(find('busid-ambiguous', { ...xorg(device()), ...two })).toMatchObject({
      remedy: expect.stringContaining(
        'set xorg.gpu to 0000:00:06.0 (PCI:0:6:0, index 0, NVIDIA A10-4Q, GPU-1) or 0000:00:07.0',
      ),
    });
    expect(find('busid-ambiguous', { ...xorg(device()), ...two }, { xorg: { gpu: '0000:00:07.0' } })).toBeUndefined();
    expect(find('busid-ambiguous', xorg(device()))).toMatchObject({
      remedy: expect.stringContaining('--only patch-xorg'),
    });
    expect(find('busid-ambiguous', { ...xorg(device()), ...shows({ otherDisplays: [] }) })).toBeUndefined();
  });
});

describe('a screen', () => {
  test.each([
    ['(EE) No devices detected.', /wrong BusID/],
    ['(EE) Failed to load module "nvidia" (module does not exist, 0)', /not there/],
    ['(EE) NVIDIA: Failed to initialize the NVIDIA kernel module. Please see the', /nouveau/],
    ['(EE) NVIDIA(0): API mismatch', /different versions/],
    ['(EE) Something else', /log says why/],
  ])('that X has given up for %j is explained', (line, cause) => {
    const log = { ...LOG, errors: [line], fatal: true };
    expect(find('x-fails', { ...shows({ log }), ...graphical })).toMatchObject({
      severity: 'error',
      cause: expect.stringMatching(cause),
      evidence: [{ at: LOG.path, shows: line }],
    });
    expect(find('x-fails', shows({ log, programs: [X] }))).toBeUndefined();
    expect(find('x-fails', shows({ log: { ...log, fatal: false } }))).toBeUndefined();
  });

  test('on no NVIDIA GPU is told of, with what draws there', () => {
    expect(find('screen-elsewhere', shows({ programs: [X], log: { ...LOG, drivers: ['modeset'] } }))).toMatchObject({
      severity: 'warning',
      cause: expect.stringContaining('X runs with modeset'),
      evidence: expect.arrayContaining([{ at: 'nvidia-smi -q -x', shows: '0000:00:06.0: no program draws' }]),
    });
    expect(find('screen-elsewhere', shows({ programs: [SHELL] }))).toMatchObject({
      remedy: expect.stringContaining('WaylandEnable'),
    });
    const silent = { smi: { answers: false, problem: 'x', code: 9 } } as const;
    expect(find('screen-elsewhere', { ...shows({ programs: [SHELL] }), ...silent })).toBeUndefined();
  });

  test('of Wayland is called that where somebody has set up X', () => {
    expect(find('wayland', { ...shows({ programs: [SHELL] }), ...xorg(device('PCI:0:6:0')) })).toMatchObject({
      severity: 'info',
    });
    expect(find('wayland', shows({ programs: [SHELL] }))).toBeUndefined();
    expect(find('wayland', { ...shows({ programs: [X] }), ...xorg(device('PCI:0:6:0')) })).toBeUndefined();
  });

  test('on the GPU beside an emulated display may be looked for at the wrong console', () => {
    const answer = smi('Licensed').smi;
    const drawing = answer.answers
      ? {
          smi: {
            ...answer,
            gpus: answer.gpus.map(gpu => ({ ...gpu, processes: [{ pid: 812, draws: true, name: 'Xorg' }] })),
          },
        }
      : {};
    expect(find('screen-unseen', { ...shows({ programs: [X] }), ...drawing })).toMatchObject({
      severity: 'info',
      remedy: expect.stringMatching(/virt-manager.*display=on.*Xvnc/),
    });
    expect(find('screen-unseen', { ...shows({ programs: [X], otherDisplays: [] }), ...drawing })).toBeUndefined();
  });

  test('may stay black where the driver has no interrupts, or where it was left', () => {
    const line = 'NVRM: GPU 0000:00:06.0: Failed to enable MSI; falling back to PCIe virtual-wire interrupts.';
    expect(find('msi-failed', kernelLog(line))).toMatchObject({ severity: 'warning', evidence: [{ shows: line }] });
    expect(find('msi-failed', {})).toBeUndefined();
    expect(
      find('screen-not-back', { screen: { graphical: false, displayManager: 'inactive', xServers: [], left: true } }),
    ).toMatchObject({
      severity: 'error',
    });
    expect(find('screen-not-back', {})).toBeUndefined();
  });
});
