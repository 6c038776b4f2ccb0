import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import type { SmiFact } from '../../../src/facts/gpu/smi.ts';
import { type GraphicsFact, shownBy } from '../../../src/facts/screen/graphics.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles } from '../../helpers/temporary.ts';

const collect = (root: string) => lookAt(openEyes({ root, env: {} }), configSchema.parse({})).fact('graphics');
const X_LOG = '[ 27.9] (II) NVIDIA(0): NVIDIA GPU NVIDIA A16-4Q (GA107GL-A) at PCI:0:6:0 (GPU-0)\n';

describe('what a guest shows', () => {
  it('is nothing without a display server', async () => {
    expect(await collect(temporaryFolder())).toEqual({
      programs: [],
      log: undefined,
      xSinceUs: undefined,
      otherDisplays: [],
    });
  });

  it('is an X session, and the shell in it is no compositor', async () => {
    const root = temporaryFolder();
    writeFiles(root, {
      'proc/812/comm': 'Xorg\n',
      'proc/990/comm': 'gnome-shell\n',
      'proc/991/comm': 'constructor\n',
      'proc/self/comm': 'Xorg\n',
      'tmp/.X0-lock': '       812\n',
      'var/log/Xorg.0.log': X_LOG,
      'var/log/Xorg.0.log.old': 'old',
      'sys/bus/pci/devices/0000:00:02.0/vendor': '0x1234\n',
      'sys/bus/pci/devices/0000:00:02.0/class': '0x030000\n',
      'sys/bus/pci/devices/0000:00:06.0/vendor': '0x10de\n',
      'sys/bus/pci/devices/0000:00:06.0/class': '0x030000\n',
      'sys/bus/pci/devices/0000:00:03.0/vendor': '0x1af4\n',
      'sys/bus/pci/devices/0000:00:03.0/class': '0x020000\n',
    });
    expect(await collect(root)).toMatchObject({
      programs: [{ pid: 812, name: 'Xorg', kind: 'x' }],
      log: { path: '/var/log/Xorg.0.log', gpus: ['0000:00:06.0'] },
      xSinceUs: expect.any(Number),
      otherDisplays: ['0000:00:02.0'],
    });
  });

  it('has its log where X does not run as root, and the newest one counts, if it is of this boot', async () => {
    const root = temporaryFolder();
    writeFiles(root, {
      'var/log/Xorg.0.log': 'x',
      'home/ann/.local/share/xorg/Xorg.1.log': X_LOG,
      'proc/uptime': '7200.00 1.00\n',
    });
    const ago = (hours: number) => new Date(Date.now() - hours * 3_600_000);
    utimesSync(join(root, 'var/log/Xorg.0.log'), ago(1), ago(1));
    expect((await collect(root)).log?.path).toBe('/home/ann/.local/share/xorg/Xorg.1.log');
    utimesSync(join(root, 'home/ann/.local/share/xorg/Xorg.1.log'), ago(3), ago(3));
    expect((await collect(root)).log?.path).toBe('/var/log/Xorg.0.log');
    utimesSync(join(root, 'var/log/Xorg.0.log'), ago(3), ago(3));
    expect((await collect(root)).log).toBeUndefined();
  });
});

describe('the GPU that shows it', () => {
  const x = { pid: 812, name: 'Xorg', kind: 'x' } as const;
  const log = { path: '/l', gpus: ['0000:00:07.0'], drivers: ['NVIDIA'], errors: [], fatal: false };
  const graphics = (given: Partial<GraphicsFact>): GraphicsFact => ({
    programs: [],
    log: undefined,
    xSinceUs: undefined,
    otherDisplays: [],
    ...given,
  });
  const smi = (...pids: readonly number[]): SmiFact => ({
    answers: true,
    driverVersion: '570.1',
    gpus: [
      {
        address: '0000:00:06.0',
        name: '',
        uuid: '',
        mode: 'vgpu',
        license: undefined,
        processes: pids.map(pid => ({ pid, draws: pid < 1_000, name: '' })),
      },
    ],
  });
  const silent: SmiFact = { answers: false, problem: '', code: 9 };

  it.each<[string, Partial<GraphicsFact>, SmiFact, unknown]>([
    ['none where nothing is shown', {}, smi(), { by: 'none', programs: [], gpus: [] }],
    ['that of nvidia-smi', { programs: [x], log }, smi(812), { by: 'x', programs: ['Xorg'], gpus: ['0000:00:06.0'] }],
    [
      "that of X's log where nvidia-smi lists none",
      { programs: [x], log },
      smi(),
      { by: 'x', programs: ['Xorg'], gpus: ['0000:00:07.0'] },
    ],
    [
      "that of X's log where nvidia-smi is silent",
      { programs: [x], log },
      silent,
      { by: 'x', programs: ['Xorg'], gpus: ['0000:00:07.0'] },
    ],
    ['unknown where neither is there', { programs: [x] }, silent, { by: 'x', programs: ['Xorg'], gpus: undefined }],
    [
      'none for a program that only computes',
      { programs: [{ ...x, pid: 2_000 }] },
      smi(2_000),
      { by: 'x', programs: ['Xorg'], gpus: [] },
    ],
    [
      'that of the compositor on Wayland, which is said plainly',
      {
        programs: [
          { pid: 5, name: 'gnome-shell', kind: 'wayland' },
          { pid: 6, name: 'Xwayland', kind: 'xwayland' },
        ],
        log,
      },
      smi(5),
      { by: 'wayland', programs: ['gnome-shell', 'Xwayland'], gpus: ['0000:00:06.0'] },
    ],
    [
      'none of an old log of X on Wayland',
      { programs: [{ pid: 5, name: 'gnome-shell', kind: 'wayland' }], log },
      smi(),
      { by: 'wayland', programs: ['gnome-shell'], gpus: [] },
    ],
  ])('is %s', (_what, given, answer, shown) => {
    expect(shownBy({ graphics: graphics(given), smi: answer })).toEqual(shown);
  });
});
