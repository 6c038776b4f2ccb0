import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../src/change.ts';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import type { Facts } from '../../../src/facts/facts.ts';
import { asksForLicense, virtualization } from '../../../src/facts/license/licensing.ts';
import { editGriddConf, markOf, readGriddConf } from '../../../src/formats/license/gridd-conf.ts';
import { configureGridd } from '../../../src/steps/license/configure-gridd.ts';

const TEMPLATE = readFileSync(new URL('../../fixtures/gridd/gridd.conf.template', import.meta.url), 'utf8');
const NOW_US = 1_800_000_000_000_000;
const TOKEN: Settings = { license: { token: '/opt/a.tok' } };
const SERVER: Settings = { license: { server: { address: '10.5.8.208', backupAddress: 'backup.example.com' } } };

type Seen = Pick<Facts, 'gridd' | 'smi' | 'gpus' | 'driver' | 'driverPackage' | 'system'>;
type Mode = 'vgpu' | 'pass-through' | 'none' | 'unknown';

interface Given {
  readonly conf?: string;
  readonly template?: string;
  readonly changedUs?: number;
  readonly binary?: boolean;
  /** What nvidia-smi says; without it there is no driver. */
  readonly smi?: Mode;
  readonly pci?: 'vgpu' | 'pass-through' | undefined;
  readonly onDisk?: string;
  readonly packaged?: string;
}

function seen({
  conf,
  template,
  changedUs = NOW_US - 1,
  binary = true,
  smi,
  pci,
  onDisk = '550.90.07',
  packaged,
}: Given): Seen {
  const gpu = { address: '0000:00:06.0', name: 'NVIDIA A40-2Q', uuid: 'GPU-1', license: undefined };
  const driver = { installed: onDisk, onDisk, loaded: onDisk, dkms: undefined } as unknown as Facts['driver'];
  const system = { nowUs: NOW_US } as unknown as Facts['system'];
  const driverPackage = (
    packaged ? { is: 'present', version: packaged } : { is: 'not-asked-for' }
  ) as Facts['driverPackage'];
  return {
    gridd: {
      binary,
      conf: conf === undefined ? undefined : { text: conf, changedUs },
      template,
    } as unknown as Facts['gridd'],
    smi: smi
      ? { answers: true, driverVersion: onDisk, gpus: [{ ...gpu, mode: smi }] }
      : { answers: false, problem: 'there is no nvidia-smi', code: 127 },
    gpus: [{ address: '0000:00:06.0', device: '2235', kind: '3d', driver: undefined, mode: pci }],
    driver,
    driverPackage,
    system,
  };
}

const judge = (settings: Settings, given: Given, ...ahead: readonly string[]): Verdict =>
  configureGridd.judge(configSchema.parse(settings), seen(given), new Set(ahead));

/** What gridd.conf says after the one write that is due, after which nothing may be due any more. */
function writtenBy(settings: Settings, given: Given): { readonly text: string; readonly said: Record<string, string> } {
  const verdict = judge(settings, given);
  if (verdict.is !== 'due') throw new Error(`not due: ${verdict.because}`);
  const [change, ...more] = verdict.changes;
  expect(more).toEqual([]);
  if (change.kind !== 'write') throw new Error(change.kind);
  expect(change.path).toBe('/etc/nvidia/gridd.conf');
  expect(judge(settings, { ...given, conf: change.text }).is).toBe('settled');
  return { text: change.text, said: Object.fromEntries(readGriddConf(change.text)) };
}

describe('a guest with a token', () => {
  it('has gridd.conf made from the template, with the token directory and without a server', () => {
    const { text, said } = writtenBy(TOKEN, { template: TEMPLATE, smi: 'vgpu' });
    expect(said).toEqual({ ClientConfigTokenPath: '/etc/nvidia/ClientConfigToken', FeatureType: '0' });
    expect(text.startsWith(TEMPLATE)).toBe(true);
  });

  it('has the legacy server taken out of an edited gridd.conf, and all else kept', () => {
    const conf = TEMPLATE.replace('\nServerAddress=', '\nServerAddress=10.0.0.1')
      .replace('#BackupServerAddress=', 'BackupServerAddress=b')
      .replace('#LingerInterval=10', 'LingerInterval=7');
    const { said } = writtenBy(TOKEN, { conf, template: TEMPLATE, smi: 'vgpu' });
    expect(said).toEqual({
      ClientConfigTokenPath: '/etc/nvidia/ClientConfigToken',
      FeatureType: '0',
      LingerInterval: '7',
    });
  });

  it('has an empty gridd.conf filled from the template', () => {
    expect(writtenBy(TOKEN, { conf: '', template: TEMPLATE, smi: 'vgpu' }).text.startsWith(TEMPLATE)).toBe(true);
  });

  it('has a gridd.conf of its own where the driver ships no template', () => {
    expect(writtenBy(TOKEN, { smi: 'vgpu' }).text).toBe(
      `${markOf('ClientConfigTokenPath')}\nClientConfigTokenPath=/etc/nvidia/ClientConfigToken\n`,
    );
  });

  it('on a vGPU keeps a FeatureType that the vGPU passes over', () => {
    const conf = 'FeatureType=2\nClientConfigTokenPath=/etc/nvidia/ClientConfigToken\n';
    expect(judge(TOKEN, { conf, smi: 'vgpu' })).toEqual({
      is: 'settled',
      because: 'gridd.conf says that the token is in /etc/nvidia/ClientConfigToken',
    });
  });

  it('has the FeatureType that is asked for, and other keys as they are', () => {
    const settings: Settings = {
      license: { token: '/opt/a.tok', feature: 'vws' },
      gridd: { IgnoreSP: 'FALSE', EnableUI: true },
    };
    expect(writtenBy(settings, { template: TEMPLATE, smi: 'pass-through' }).said).toEqual({
      ClientConfigTokenPath: '/etc/nvidia/ClientConfigToken',
      FeatureType: '2',
      IgnoreSP: 'FALSE',
      EnableUI: 'TRUE',
    });
  });

  it('has a driver that is too old for it', () => {
    expect(judge(TOKEN, { smi: 'vgpu', onDisk: '460.106.00' })).toEqual({
      is: 'blocked',
      because: 'the driver 460.106.00 knows no client configuration token: R470 is the first that does',
      remedy: expect.stringContaining('driver.package'),
    });
  });

  it('is judged by the driver that is about to be installed', () => {
    expect(judge(TOKEN, { smi: 'vgpu', onDisk: '460.106.00', packaged: '570.211.01' }).is).toBe('due');
    expect(judge(TOKEN, { smi: 'vgpu', onDisk: '570.211.01', packaged: '460.106.00' }).is).toBe('blocked');
  });
});

describe('a guest with a legacy license server', () => {
  it('has it in gridd.conf, and no token directory', () => {
    const conf = editGriddConf(TEMPLATE, new Map([['ClientConfigTokenPath', '/t']]));
    expect(writtenBy(SERVER, { conf, template: TEMPLATE, smi: 'vgpu', onDisk: '510.108.03' }).said).toEqual({
      ServerAddress: '10.5.8.208',
      ServerPort: '7070',
      BackupServerAddress: 'backup.example.com',
      FeatureType: '0',
    });
  });

  it.each([
    ['510.108.03', 'due'],
    ['525.60.13', 'blocked'],
    ['570.211.01', 'blocked'],
  ])('and driver %s is %s', (onDisk, is) => {
    expect(judge(SERVER, { smi: 'vgpu', onDisk }).is).toBe(is);
  });
});

describe('a guest by pass-through', () => {
  it.each<[string, Given, string]>([
    [
      'by nvidia-smi',
      { smi: 'pass-through' },
      'the GPU is passed through (nvidia-smi says Pass-Through), and nothing says which license it needs',
    ],
    [
      'by its PCI configuration space',
      { pci: 'pass-through' },
      'the GPU is passed through (its PCI configuration space is not that of a vGPU), and nothing says which license it needs',
    ],
  ])('needs a word about the license: %s', (_title, given, because) => {
    expect(judge(TOKEN, given)).toEqual({
      is: 'blocked',
      because,
      remedy: expect.stringMatching(/license\.feature.*vws.*compute.*vapps.*vgpu/),
    });
  });

  it('may have the word in gridd.FeatureType', () => {
    expect(writtenBy({ ...TOKEN, gridd: { FeatureType: 4 } }, { smi: 'pass-through' }).said.FeatureType).toBe('4');
  });

  it('without a license asked for is left alone', () => {
    expect(judge({}, { smi: 'pass-through', template: TEMPLATE })).toEqual({
      is: 'settled',
      because: 'nothing is asked of gridd.conf, and there is none',
    });
  });
});

describe('the mode of the GPU', () => {
  it.each<[Given, string]>([
    [{ smi: 'vgpu', pci: 'pass-through' }, 'vgpu'],
    [{ smi: 'pass-through', pci: 'vgpu' }, 'pass-through'],
    [{ smi: 'none', pci: 'vgpu' }, 'vgpu'],
    [{ smi: 'unknown', pci: 'pass-through' }, 'pass-through'],
    [{ pci: 'vgpu' }, 'vgpu'],
    [{}, 'unknown'],
  ])('of %o is %s', (given, mode) => {
    expect(virtualization(seen(given)).mode).toBe(mode);
  });
});

describe('a key that two settings decide about', () => {
  it.each<[Settings, string]>([
    [
      { license: { token: '/t', feature: 'vws' }, gridd: { FeatureType: 2 } },
      'gridd.FeatureType and license.feature both decide about FeatureType',
    ],
    [
      { ...TOKEN, gridd: { ServerAddress: 'a' } },
      'gridd.ServerAddress and license.token both decide about ServerAddress',
    ],
    [{ ...SERVER, gridd: { ServerPort: 1 } }, 'gridd.ServerPort and license.server.port both decide about ServerPort'],
    [
      { ...TOKEN, gridd: { ClientConfigTokenPath: '/t' } },
      'gridd.ClientConfigTokenPath and license.tokenDirectory both decide about ClientConfigTokenPath',
    ],
  ])('of %j is refused', (settings, because) => {
    expect(judge(settings, { smi: 'vgpu', onDisk: '510.108.03' })).toEqual({
      is: 'blocked',
      because,
      remedy: expect.any(String),
    });
  });
});

describe('a guest for which no license is asked', () => {
  it('has its own gridd keys written all the same', () => {
    const { said } = writtenBy({ gridd: { IgnoreSP: 'TRUE' } }, { template: TEMPLATE, smi: 'vgpu' });
    expect(said).toEqual({ IgnoreSP: 'TRUE', FeatureType: '0' });
  });

  it('keeps a server that somebody else has configured', () => {
    expect(judge({}, { conf: 'ServerAddress=10.0.0.1\n', template: TEMPLATE, smi: 'vgpu' }).is).toBe('settled');
  });

  it('and without a licensing daemon needs no gridd.conf', () => {
    expect(judge({ gridd: { IgnoreSP: 'TRUE' } }, { binary: false }).is).toBe('settled');
    expect(judge({ gridd: { IgnoreSP: 'TRUE' } }, { binary: false }, 'install-driver').is).toBe('due');
  });

  it('asks for one by naming a token, a server or a feature', () => {
    const asks = (settings: Settings) => asksForLicense(configSchema.parse(settings));
    expect([{}, TOKEN, SERVER, { license: { feature: 'vws' } } as const].map(asks)).toEqual([false, true, true, true]);
  });
});

describe('what is not asked for any more', () => {
  const SET = { ...TOKEN, gridd: { LingerInterval: 5, IgnoreSP: 'TRUE' } } as const;
  const conf = () => writtenBy(SET, { template: TEMPLATE, smi: 'vgpu' }).text;

  it('goes back to what the template has, and only that is said', () => {
    const given = { conf: conf(), template: TEMPLATE, smi: 'vgpu' } as const;
    const verdict = judge(TOKEN, given);
    expect(verdict).toMatchObject({
      changes: [{ because: 'gridd.conf has LingerInterval, IgnoreSP, for which nothing asks any more' }],
    });
    expect(writtenBy(TOKEN, given).text).toBe(writtenBy(TOKEN, { template: TEMPLATE, smi: 'vgpu' }).text);
  });

  it('goes back together with what is asked for instead', () => {
    expect(
      judge({ ...TOKEN, gridd: { EnableUI: true } }, { conf: conf(), template: TEMPLATE, smi: 'vgpu' }),
    ).toMatchObject({
      changes: [
        {
          because:
            'gridd.conf does not say that the token is in /etc/nvidia/ClientConfigToken and EnableUI is as configured, and gridd.conf has LingerInterval, IgnoreSP, for which nothing asks any more',
        },
      ],
    });
  });

  it('goes back even where nothing is asked for at all', () => {
    const given = { conf: conf(), template: TEMPLATE, smi: 'vgpu' } as const;
    expect(writtenBy({}, given).text).toBe(TEMPLATE);
    expect(judge({}, { ...given, conf: TEMPLATE })).toEqual({
      is: 'settled',
      because: 'nothing is asked of gridd.conf',
    });
  });

  it('stays where somebody else has set it', () => {
    expect(judge({}, { conf: 'LingerInterval=5\n', template: TEMPLATE, smi: 'vgpu' }).is).toBe('settled');
  });
});

describe('a key of gridd.conf', () => {
  it('that the template of the driver does not know is written, with a warning that names its neighbor', () => {
    const settings: Settings = { gridd: { featuretype: 2, IgnoreSP: 'TRUE', Xyzzy: 'a' } };
    expect(judge(settings, { template: TEMPLATE, smi: 'vgpu' })).toMatchObject({
      is: 'due',
      warnings: [
        'gridd.featuretype: the gridd.conf.template of this driver does not know this key, and nvidia-gridd may pass over it, did you mean FeatureType?',
        'gridd.Xyzzy: the gridd.conf.template of this driver does not know this key, and nvidia-gridd may pass over it',
      ],
    });
    const { text } = writtenBy(settings, { template: TEMPLATE, smi: 'vgpu' });
    expect(judge(settings, { conf: text, template: TEMPLATE, smi: 'vgpu' })).toMatchObject({
      is: 'settled',
      warnings: [expect.any(String), expect.any(String)],
    });
  });

  it('is warned of by nobody where there is no template to know it', () => {
    expect(judge({ gridd: { Xyzzy: 'a' } }, { smi: 'vgpu' })).not.toHaveProperty('warnings');
  });

  it('that is to be left out has no active line', () => {
    const settings: Settings = { gridd: { FeatureType: null, IgnoreSP: 'FALSE' } };
    expect(writtenBy(settings, { template: TEMPLATE, smi: 'vgpu' }).said).toEqual({ IgnoreSP: 'FALSE' });
  });
});

it.each([
  ['bytes that are no UTF-8', 'A=\uFFFD\n'],
  ['a zero byte', 'A=1\0\n'],
])('a gridd.conf with %s is not changed', (_title, conf) => {
  expect(judge(TOKEN, { conf, template: TEMPLATE, smi: 'vgpu' })).toEqual({
    is: 'blocked',
    because: '/etc/nvidia/gridd.conf holds bytes that are no UTF-8 text, and changing it would damage it',
    remedy: expect.stringContaining('iconv'),
  });
});

it('a gridd.conf from the future is written again as it is', () => {
  const conf = 'ClientConfigTokenPath=/etc/nvidia/ClientConfigToken\n';
  expect(judge(TOKEN, { conf, smi: 'vgpu', changedUs: NOW_US }).is).toBe('settled');
  expect(judge(TOKEN, { conf, smi: 'vgpu', changedUs: NOW_US + 1 })).toMatchObject({
    is: 'due',
    changes: [{ kind: 'write', text: conf, because: expect.stringContaining('from the future') }],
  });
});
