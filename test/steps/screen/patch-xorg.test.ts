import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../src/change.ts';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import type { Facts } from '../../../src/facts/facts.ts';
import type { Gpu } from '../../../src/facts/gpu/gpus.ts';
import { parseNvidiaSmi, type SmiAnswer } from '../../../src/formats/gpu/nvidia-smi.ts';
import { parseXorgConf } from '../../../src/formats/screen/xorg-conf.ts';
import { patchXorg } from '../../../src/steps/screen/patch-xorg.ts';

type Manage = 'auto' | 'always' | 'never';

const CONF = '/etc/X11/xorg.conf';
const oneGpu = recorded('nvidia-xconfig-535-h200-1gpu.conf');
const twoGpus = recorded('nvidia-xconfig-535-h200-2gpu.conf');

function recorded(name: string): string {
  return readFileSync(new URL(`../../fixtures/xorg/${name}`, import.meta.url), 'utf8');
}

function smiOf(name: string): SmiAnswer {
  const reading = parseNvidiaSmi(readFileSync(new URL(`../../fixtures/nvidia-smi/${name}`, import.meta.url), 'utf8'));
  if (reading.is === 'unreadable') throw new Error(reading.problem);
  return reading;
}

function gpu(address: string): Gpu {
  return { address, device: '2335', kind: '3d', driver: undefined, mode: 'vgpu' };
}

const NO_SMI: Facts['smi'] = { answers: false, problem: 'there is no nvidia-smi', code: 127 };
const UUID_OF_SEVEN = 'GPU-aba85625-a4c1-3e15-29ac-adba2f481c57';
const OVERRIDE = '/etc/X11/xorg.conf.d/90-vgpu-guest.conf';
const TWO: Facts['smi'] = { answers: true, ...smiOf('h200x2-passthrough-580.159.04.xml') };
const SIX = gpu('0000:00:06.0');
const SEVEN = gpu('0000:00:07.0');

function device(busId?: string, more = ''): string {
  return `Section "Device"\n    Identifier "gpu"\n    Driver "nvidia"\n${busId === undefined ? '' : `    BusID  "${busId}"\n`}${more}EndSection\n`;
}

interface Given {
  readonly manage?: Manage;
  readonly xorg?: Settings['xorg'];
  readonly smi?: Facts['smi'];
  readonly nvidiaXconfig?: boolean;
  readonly ahead?: readonly string[];
}

function judge(gpus: readonly Gpu[], files: Readonly<Record<string, string>>, given: Manage | Given = 'auto'): Verdict {
  const {
    manage,
    xorg,
    smi = NO_SMI,
    nvidiaXconfig = false,
    ahead = [],
  }: Given = typeof given === 'string' ? { manage: given } : given;
  const conf = files[CONF] === undefined ? undefined : { path: CONF, text: files[CONF] };
  const dropIns = Object.entries(files).flatMap(([path, text]) => (path === CONF ? [] : [{ path, text }]));
  const facts = { gpus, smi, xorg: { conf, dropIns, nvidiaXconfig, changedUs: 0 } };
  return patchXorg.judge(
    configSchema.parse({ xorg: { ...(manage ? { manage } : {}), ...xorg } }),
    facts,
    new Set(ahead),
  );
}

/** The files as they are after the changes. */
function enacted(verdict: Verdict, files: Readonly<Record<string, string>>): Record<string, string> {
  const writes = (verdict.is === 'due' ? verdict.changes : []).flatMap(change =>
    change.kind === 'write' ? [change] : [],
  );
  return { ...files, ...Object.fromEntries(writes.map(({ path, text }) => [path, text])) };
}

/** Judged, changed, and judged again: it must be settled then. */
function patchedWith(gpus: readonly Gpu[], files: Readonly<Record<string, string>>, given: Manage | Given = 'auto') {
  const verdict = judge(gpus, files, given);
  const after = enacted(verdict, files);
  expect(verdict.is).toBe('due');
  expect(judge(gpus, after, given).is).toBe('settled');
  return { verdict, after };
}

describe('a guest that needs no patch', () => {
  it.each<[string, readonly Gpu[], Record<string, string>, Manage, string]>([
    [
      'is left alone when told so',
      [SIX],
      { [CONF]: device('PCI:9:9:9') },
      'never',
      'the configuration of X is left alone (xorg.manage: never)',
    ],
    [
      'has no GPU',
      [],
      { [CONF]: device('PCI:9:9:9') },
      'always',
      'no NVIDIA GPU is on the PCI bus, so there is no BusID to write',
    ],
    ['has no xorg.conf', [SIX], {}, 'auto', 'no configuration of X has an nvidia Device; X finds the GPU by itself'],
    [
      'has Devices of other drivers only',
      [SIX],
      {
        [CONF]: device('PCI:0:2:0').replace('nvidia', 'modesetting'),
        '/etc/X11/xorg.conf.d/a.conf': 'Section "Device"\nIdentifier "x"\nEndSection',
      },
      'auto',
      'no configuration of X has an nvidia Device; X finds the GPU by itself',
    ],
    [
      'has only what the driver ships',
      [SIX],
      {
        '/usr/share/X11/xorg.conf.d/nvidia-drm-outputclass.conf':
          'Section "OutputClass"\nIdentifier "nvidia"\nDriver "nvidia"\nEndSection',
      },
      'auto',
      'no configuration of X has an nvidia Device; X finds the GPU by itself',
    ],
    [
      'has the right BusID',
      [SIX],
      { [CONF]: device('PCI:0:6:0') },
      'auto',
      `the BusID of Device "gpu" of ${CONF} is that of an NVIDIA GPU`,
    ],
    [
      'has the right BusID in another form',
      [SIX],
      { [CONF]: device('00@0:06') },
      'always',
      `the BusID of Device "gpu" of ${CONF} is that of an NVIDIA GPU`,
    ],
    [
      'has the right BusID in a file with a quote that is not closed',
      [SIX],
      { [CONF]: device('PCI:0:6:0').replace('"gpu"', '"gpu') },
      'auto',
      `the BusID of Device "gpu" of ${CONF} is that of an NVIDIA GPU`,
    ],
    [
      'has several GPUs, and Devices for some of them',
      [SIX, SEVEN],
      { [CONF]: device('PCI:0:7:0'), '/etc/X11/xorg.conf.d/a.conf': device('PCI:0:6:0') },
      'auto',
      'the BusID of Device "gpu" of /etc/X11/xorg.conf.d/a.conf is that of an NVIDIA GPU',
    ],
    [
      'has two screens of one GPU',
      [SIX],
      { [CONF]: device('PCI:0:6:0', 'Screen 0\n') + device('PCI:0:6:0', 'Screen 1\n') },
      'auto',
      `the BusID of Device "gpu" of ${CONF} and of Device "gpu" of ${CONF} is that of an NVIDIA GPU`,
    ],
  ])('%s', (_what, gpus, files, manage, because) =>
    expect(judge(gpus, files, manage)).toEqual({ is: 'settled', because }),
  );

  it('is settled by what nvidia-xconfig wrote for its two GPUs', () => {
    expect(judge([SIX, SEVEN], { [CONF]: twoGpus }).is).toBe('settled');
  });

  it('has a broken file that is not about its GPU', () => {
    expect(judge([SIX], { '/etc/X11/xorg.conf.d/kbd.conf': 'Section "InputClass"' }).is).toBe('settled');
  });
});

describe('a guest with one GPU and one nvidia Device', () => {
  it('gets the BusID that is missing, in a file that otherwise stays as it is', () => {
    const { verdict } = patchedWith([SIX], { [CONF]: oneGpu });
    expect(verdict).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'write',
          path: CONF,
          text: oneGpu.replace('Driver         "nvidia"\n', '$&    BusID          "PCI:0:6:0"\n'),
          because: `Device "Device0" of ${CONF} has no BusID, and the GPU is at 0000:00:06.0`,
        },
      ],
    });
  });

  it.each([
    ['PCI:0:10:0', 'has the BusID "PCI:0:10:0", where no NVIDIA GPU is'],
    ['PCI:0:6:1', 'has the BusID "PCI:0:6:1", where no NVIDIA GPU is'],
    ['PCI:00:06.0', 'has the BusID "PCI:00:06.0", where X finds nothing'],
    ['@GPU_BUS_ID@', 'has the BusID "@GPU_BUS_ID@", where X finds nothing'],
    ['', 'has the BusID "", where X finds nothing'],
  ])('gets the right BusID in place of %j', (busId, complaint) => {
    const { verdict, after } = patchedWith([SIX], { [CONF]: device(busId) });
    expect(verdict).toMatchObject({
      changes: [{ because: `Device "gpu" of ${CONF} ${complaint}, and the GPU is at 0000:00:06.0` }],
    });
    expect(after).toEqual({ [CONF]: device('PCI:0:6:0') });
  });

  it('gets the new domain after its address has changed, as on Hyper-V', () => {
    const { after } = patchedWith([gpu('c5f5:00:00.0')], { [CONF]: device('PCI:0@1:0:0') });
    expect(after).toEqual({ [CONF]: device('PCI:0@50677:0:0') });
  });

  it('is patched where the Device is, and Devices of other drivers are not', () => {
    const dropIn = '/etc/X11/xorg.conf.d/20-nvidia.conf';
    const other = device('PCI:0:2:0').replace('nvidia', 'vmware');
    const { after } = patchedWith([SIX], {
      [dropIn]: other + device('PCI:1:0:0').replace('nvidia', 'NV_idia'),
      [CONF]: other,
    });
    expect(after).toEqual({ [dropIn]: other + device('PCI:0:6:0').replace('nvidia', 'NV_idia'), [CONF]: other });
  });

  it('has each screen of the one GPU patched', () => {
    const both = (busId: string) => device(busId, 'Screen 0\n') + device(busId, 'Screen 1\n');
    const { verdict, after } = patchedWith([SIX], {
      '/etc/X11/xorg.conf.d/a.conf': device('PCI:101:0:0'),
      [CONF]: both('PCI:101:0:0'),
    });
    expect(verdict).toMatchObject({ changes: [{ path: '/etc/X11/xorg.conf.d/a.conf' }, { path: CONF }] });
    expect(after).toEqual({ '/etc/X11/xorg.conf.d/a.conf': device('PCI:0:6:0'), [CONF]: both('PCI:0:6:0') });
    // one address, in two spellings
    const heads = (...busIds: readonly string[]) => busIds.map((busId, at) => device(busId, `Screen ${at}\n`)).join('');
    expect(patchedWith([SIX], { [CONF]: heads('PCI:101:0:0', 'pci:0101:00') }).after).toEqual({
      [CONF]: heads('PCI:0:6:0', 'PCI:0:6:0'),
    });
  });
});

describe('a guest that somebody must look at', () => {
  const never = 'or set xorg.manage: never in /etc/vgpu-guest/config.yaml';

  it('has two GPUs and a Device for neither', () => {
    expect(judge([SIX, SEVEN], { [CONF]: oneGpu })).toEqual({
      is: 'blocked',
      because: `Device "Device0" of ${CONF} has no BusID, and which GPU is meant cannot be told`,
      remedy: `set xorg.gpu in /etc/vgpu-guest/config.yaml to 0000:00:06.0 (PCI:0:6:0) or 0000:00:07.0 (PCI:0:7:0), ${never}`,
    });
  });

  it('has one GPU and Devices for two', () => {
    expect(judge([SIX], { [CONF]: twoGpus })).toEqual({
      is: 'blocked',
      because: `Device "Device1" of ${CONF} has the BusID "PCI:0:7:0", where no NVIDIA GPU is, and which GPU is meant cannot be told`,
      remedy: `set the BusID of Device "Device1" of ${CONF} to PCI:0:6:0 (0000:00:06.0), remove a Device that is not needed, ${never}`,
    });
  });

  it('has two screens without a BusID', () => {
    const text = twoGpus.replace(/^ +BusID.*\n/gm, '');
    expect(judge([SIX], { [CONF]: text }).is).toBe('blocked');
    expect(judge([SIX, SEVEN], { [CONF]: text }, { xorg: { gpu: 0 }, smi: TWO })).toMatchObject({
      is: 'blocked',
      remedy: `set the BusID of Device "Device0" of ${CONF} and Device "Device1" of ${CONF} to PCI:0:6:0 (0000:00:06.0) or PCI:0:7:0 (0000:00:07.0), remove a Device that is not needed, ${never}`,
    });
  });

  it.each([
    [
      'Section "Device"\n  Identifier "x"\n  Driver nvidia\nEndSection',
      'Driver needs a text in quotes (line 3, column 10)',
    ],
    [`${device('PCI:0:6:0')}Section "Screen"\n`, 'EndSection is missing (line 7, column 1)'],
  ])('has a file that X cannot read: %j', (text, fault) => {
    expect(judge([SIX], { [CONF]: text })).toEqual({
      is: 'blocked',
      because: `X cannot read ${CONF}: ${fault}`,
      remedy: `correct ${CONF}, ${never}`,
    });
  });

  it('has a quote that is not closed in the file that needs a patch', () => {
    expect(judge([SIX], { [CONF]: device('PCI:1:0:0').replace('"gpu"', '"gpu') })).toEqual({
      is: 'blocked',
      because: `Device "gpu" of ${CONF} has the BusID "PCI:1:0:0", where no NVIDIA GPU is, and a quote is not closed (line 2, column 16)`,
      remedy: `close the quote in ${CONF}, ${never}`,
    });
  });

  it('has the Device in a file of a package that a Screen names', () => {
    const path = '/usr/share/X11/xorg.conf.d/10-nvidia.conf';
    const screen = 'Section "Screen"\nIdentifier "s"\nDevice "gpu"\nEndSection\n';
    expect(judge([SIX], { [path]: device(), [CONF]: screen })).toEqual({
      is: 'blocked',
      because: `Device "gpu" of ${path} has no BusID, that file belongs to a package, and a Screen or a ServerLayout keeps another file from taking its place`,
      remedy: `move it into /etc/X11/xorg.conf.d and run this again, ${never}`,
    });
    expect(judge([SIX], { [path]: device('PCI:0:6:0'), [CONF]: screen }).is).toBe('settled');
  });
});

describe('a guest with its Device in a file of a package', () => {
  const path = '/usr/share/X11/xorg.conf.d/10-nvidia.conf';

  it('gets a file in /etc that takes its place, and the package keeps its own', () => {
    const text = device('PCI:1:0:0', '    Option "Coolbits" "4"\n');
    const { verdict, after } = patchedWith([SIX], { [path]: text }, { xorg: { virtual: '1920x1080' } });
    expect(verdict).toMatchObject({
      changes: [
        {
          path: OVERRIDE,
          mode: 0o644,
          because: expect.stringContaining(`${path} belongs to a package and stays as it is`),
        },
      ],
    });
    expect(after[path]).toBe(text);
    expect(after[OVERRIDE]).toBe(`# made by vgpu-guest, in place of the Device "gpu" of ${path}

Section "Device"
    Identifier "gpu of vgpu-guest"
    Driver "nvidia"
    BusID  "PCI:0:6:0"
    Option "Coolbits" "4"
EndSection

Section "Screen"
    Identifier     "Screen of vgpu-guest"
    Device         "gpu of vgpu-guest"
    SubSection     "Display"
        Virtual     1920 1080
    EndSubSection
EndSection
`);
    expect(judge([gpu('0001:00:06.0')], after)).toMatchObject({ is: 'due', changes: [{ path: OVERRIDE }] });
  });
});

describe('a guest with several GPUs, and a person who has said which one X is for', () => {
  const smi = TWO;

  it.each([
    ['0000:00:07.0'],
    ['00000000:00:07.0'],
    ['00:07.0'],
    [1],
    ['1'],
    [UUID_OF_SEVEN],
    [UUID_OF_SEVEN.toUpperCase()],
  ])('by %j', chosen => {
    const { verdict, after } = patchedWith([SIX, SEVEN], { [CONF]: oneGpu }, { xorg: { gpu: chosen }, smi });
    expect(verdict).toMatchObject({
      changes: [{ because: `Device "Device0" of ${CONF} has no BusID, and the GPU is at 0000:00:07.0` }],
    });
    expect(after[CONF]).toContain('BusID          "PCI:0:7:0"');
  });

  it('has a Device that is right for another GPU moved to it', () => {
    const { verdict, after } = patchedWith([SIX, SEVEN], { [CONF]: device('PCI:0:6:0') }, { xorg: { gpu: 1 }, smi });
    expect(verdict).toMatchObject({
      changes: [{ because: expect.stringContaining('has the BusID "PCI:0:6:0", where another NVIDIA GPU is') }],
    });
    expect(after[CONF]).toBe(device('PCI:0:7:0'));
  });

  it('keeps Devices for other GPUs as they are', () => {
    const astray = twoGpus.replace('PCI:0:7:0', 'PCI:0:9:0');
    const { after } = patchedWith([SIX, SEVEN], { [CONF]: astray }, { xorg: { gpu: 1 }, smi });
    expect(after[CONF]).toBe(twoGpus);
    expect(judge([SIX, SEVEN], { [CONF]: astray }, { xorg: { gpu: 0 }, smi })).toEqual({
      is: 'settled',
      because: `the BusID of Device "Device0" of ${CONF} is that of the GPU at 0000:00:06.0`,
      warnings: [`Device "Device1" of ${CONF} has the BusID "PCI:0:9:0", where no NVIDIA GPU is`],
    });
  });

  it('gets a file for that GPU', () => {
    const { after } = patchedWith([SIX, SEVEN], {}, { manage: 'always', xorg: { gpu: 1 }, smi });
    expect(after[CONF]).toContain('"PCI:0:7:0"');
  });

  it.each([
    [{ gpu: '0000:00:08.0' }, 'no NVIDIA GPU is at 0000:00:08.0'],
    [{ gpu: 2 }, 'nvidia-smi shows no GPU 2'],
    [{ gpu: UUID_OF_SEVEN.replace(/.$/, '0') }, `nvidia-smi shows no GPU ${UUID_OF_SEVEN.replace(/.$/, '0')}`],
  ])('is told what there is when %j is none of them', (xorg, because) => {
    const verdict = judge([SIX, SEVEN], { [CONF]: oneGpu }, { xorg, smi });
    expect(verdict).toMatchObject({ is: 'blocked', because });
    expect(verdict).toMatchObject({
      remedy: expect.stringContaining(
        `0000:00:06.0 (PCI:0:6:0, index 0, NVIDIA H200, GPU-7cb87390-070c-caf7-0085-ee35d0beed8d) or 0000:00:07.0`,
      ),
    });
  });

  it('waits for the driver where only that knows the GPU, and needs it', () => {
    const given = { xorg: { gpu: 1 } };
    expect(judge([SIX, SEVEN], { [CONF]: oneGpu }, { ...given, ahead: ['install-driver'] })).toMatchObject({
      is: 'settled',
      warnings: ['xorg.gpu is 1, which only nvidia-smi knows, and it does not answer yet'],
    });
    expect(judge([SIX, SEVEN], { [CONF]: oneGpu }, given)).toMatchObject({
      is: 'blocked',
      because: 'xorg.gpu is 1, which only nvidia-smi knows: there is no nvidia-smi',
    });
    expect(judge([SIX, SEVEN], {}, given).is).toBe('settled');
  });
});

describe('a Device that X does not show anything on', () => {
  it('is left as it is beside one that it does', () => {
    const text = `${device('PCI:9:0:0')}${oneGpu.replace('"nvidia"', '"nvidia"\n    BusID "PCI:0:6:0"')}`;
    expect(judge([SIX], { [CONF]: text })).toEqual({
      is: 'settled',
      because: `the BusID of Device "Device0" of ${CONF} is that of an NVIDIA GPU`,
    });
  });

  it('is patched where X takes it along, as beside the display of a hypervisor', () => {
    const text = `${device('PCI:0:2:0').replace('nvidia', 'modesetting').replace('gpu', 'vga')}${device('PCI:9:0:0')}`;
    const { after } = patchedWith([SIX], { [CONF]: text });
    expect(after[CONF]).toBe(text.replace('PCI:9:0:0', 'PCI:0:6:0'));
  });
});

describe('a guest without a monitor', () => {
  const xorg = { allowEmptyInitialConfiguration: true, hardDpms: false, virtual: '1920x1080' };

  it('gets the options that are asked for, once', () => {
    const { verdict, after } = patchedWith([SIX], { [CONF]: oneGpu }, { xorg });
    expect(verdict).toMatchObject({ changes: [{ path: CONF }] });
    expect(after[CONF]).toBe(
      oneGpu
        .replace(
          '"nvidia"\n',
          '$&    Option         "HardDPMS" "False"\n    Option         "AllowEmptyInitialConfiguration" "True"\n    BusID          "PCI:0:6:0"\n',
        )
        .replace('        Depth       24\n', '$&        Virtual     1920 1080\n'),
    );
  });

  it('has values changed where they stand, the first of each name, which is the one that counts', () => {
    const text = device(
      'PCI:0:6:0',
      '    Option "hard_dpms"\n    Option "HardDPMS" "on"\n    Option "AllowEmptyInitialConfiguration" "1" # c\n',
    );
    const { after } = patchedWith([SIX], { [CONF]: text }, { xorg: { ...xorg, virtual: undefined } });
    expect(after[CONF]).toBe(text.replace('"hard_dpms"', '"hard_dpms" "False"'));
  });

  it('has an Option changed in the Screen, whose word is the last', () => {
    const conf = (option: string, display = '') =>
      `${device('PCI:0:6:0', '    Option "HardDPMS" "True"\n')}Section "Screen" Identifier "s" Device "gpu" ${option} SubSection "Display" ${display} EndSubSection EndSection\n`;
    const wanted: Given = { xorg: { hardDpms: true } };
    for (const [before, after] of [
      [conf('Option "hard_dpms" "off"'), conf('Option "hard_dpms" "True"')],
      [
        conf('Option "HardDPMS" "True"', 'Option "HardDPMS" "False"'),
        conf('Option "HardDPMS" "True"', 'Option "HardDPMS" "True"'),
      ],
    ] as const) {
      expect(patchedWith([SIX], { [CONF]: before }, wanted)).toMatchObject({
        verdict: {
          changes: [
            {
              because: `the Screen of Device "gpu" of ${CONF} has not the Option "HardDPMS" as xorg.hardDpms asks for it`,
            },
          ],
        },
        after: { [CONF]: after },
      });
    }
    // as nvidia-xconfig writes it
    const right = conf('Option "HardDPMS" "True"').replace('    Option "HardDPMS" "True"\n', '');
    expect(judge([SIX], { [CONF]: right }, wanted).is).toBe('settled');
  });

  it('gets a Screen where there is none', () => {
    const { after } = patchedWith([SIX], { [CONF]: device('PCI:0:6:0') }, { xorg: { virtual: '800x600' } });
    expect(after[CONF]).toMatch(/Section "Screen"\n {4}Identifier {5}"gpu screen"\n {4}Device {9}"gpu"/);
  });

  it('has the Screen changed in the file where it is', () => {
    const screen = 'Section "Screen" Identifier "s" Device "GPU" EndSection\n';
    const { after } = patchedWith(
      [SIX],
      { '/etc/X11/xorg.conf.d/s.conf': screen, [CONF]: device('PCI:0:6:0') },
      { xorg: { virtual: '800x600' } },
    );
    expect(after['/etc/X11/xorg.conf.d/s.conf']).toBe(
      'Section "Screen" Identifier "s" Device "GPU" SubSection "Display" Virtual 800 600 EndSubSection EndSection\n',
    );
  });
});

describe('a guest that shall have an xorg.conf in any case', () => {
  const auto = 'or set xorg.manage: auto in /etc/vgpu-guest/config.yaml';

  it('gets a small one for its GPU', () => {
    const { verdict, after } = patchedWith([gpu('0001:00:1e.0')], {}, 'always');
    expect(verdict).toMatchObject({
      changes: [{ path: CONF, mode: 0o644, because: `there is no ${CONF}, and xorg.manage is always` }],
    });
    expect(parseXorgConf(after[CONF]!)).toMatchObject({
      devices: [{ identifier: 'Device0', driver: 'nvidia', busId: 'PCI:0@1:30:0' }],
    });
    expect(after[CONF]).toContain('Option         "AllowEmptyInitialConfiguration" "True"');
    const { after: asAsked } = patchedWith(
      [SIX],
      {},
      { manage: 'always', xorg: { allowEmptyInitialConfiguration: false, virtual: '800x600' } },
    );
    expect(asAsked[CONF]).toContain('"AllowEmptyInitialConfiguration" "False"');
    expect(asAsked[CONF]).toContain('Virtual     800 600');
  });

  it('has NVIDIA write it where its program is', () => {
    expect(judge([SIX], {}, { manage: 'always', nvidiaXconfig: true })).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'render-xorg',
          path: CONF,
          address: '0000:00:06.0',
          because: `there is no ${CONF}, and xorg.manage is always`,
        },
      ],
    });
  });

  it('keeps a Device in a drop-in as its own', () => {
    const { after } = patchedWith([SIX], { '/etc/X11/xorg.conf.d/a.conf': device() }, 'always');
    expect(Object.keys(after)).toEqual(['/etc/X11/xorg.conf.d/a.conf']);
  });

  it('has an xorg.conf for something else', () => {
    expect(judge([SIX], { [CONF]: '' }, 'always')).toEqual({
      is: 'blocked',
      because: `${CONF} has no nvidia Device, and only a missing xorg.conf can be created`,
      remedy: `give ${CONF} a Device with Driver "nvidia", move it away, ${auto}`,
    });
  });

  it('has two GPUs to choose from', () => {
    expect(judge([SIX, SEVEN], {}, 'always')).toEqual({
      is: 'blocked',
      because: `${CONF} is missing, and which of 2 NVIDIA GPUs it is for is not said`,
      remedy: `set xorg.gpu to 0000:00:06.0 (PCI:0:6:0) or 0000:00:07.0 (PCI:0:7:0), ${auto}`,
    });
  });
});
