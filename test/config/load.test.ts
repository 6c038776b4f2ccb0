import { describe, expect, test } from 'vitest';
import { configJsonSchema, type Layer, loadConfig } from '../../src/config/load.ts';
import type { AgentError } from '../../src/errors.ts';

const PATH = '/etc/vgpu-guest/config.yaml';

function faultsOf(text: string, layers: readonly Layer[] = []): readonly string[] {
  try {
    loadConfig({ path: PATH, text }, layers);
  } catch (error) {
    expect((error as AgentError).fault).toBe('config');
    return (error as AgentError).message.split('\n');
  }
  return [];
}

describe('a configuration that is right', () => {
  test('an absent file is the default', () => {
    expect(loadConfig({ path: PATH, text: undefined }, [])).toEqual({
      driver: { dkms: true },
      license: { feature: 'auto', tokenDirectory: '/etc/nvidia/ClientConfigToken', timeoutMs: 120_000 },
      gridd: {},
      xorg: { manage: 'auto', atBoot: false, restartDisplayManager: false },
      gpu: {},
      reboot: 'never',
      lockTimeoutMs: 300_000,
      runTimeoutMs: 6_600_000,
    });
  });

  test.each([
    ['3', '3'],
    ["'3'", '3'],
    ["'c5f5:00:00.0'", 'c5f5:00:00.0'],
    ['GPU-aba85625-a4c1-3e15-29ac-adba2f481c57', 'GPU-aba85625-a4c1-3e15-29ac-adba2f481c57'],
  ])('xorg.gpu is %s', (written, gpu) => {
    expect(loadConfig({ path: PATH, text: `xorg:\n  gpu: ${written}\n` }, []).xorg.gpu).toBe(gpu);
  });

  test('a remote view is for this guest alone unless something else is said', () => {
    expect(loadConfig({ path: PATH, text: 'vnc:\n  passwordFile: /etc/vnc.pass\n' }, []).vnc).toEqual({
      passwordFile: '/etc/vnc.pass',
      listen: 'localhost',
      port: 5900,
      display: ':0',
    });
  });

  test('what the screen cannot be is said', () => {
    expect(
      faultsOf('xorg:\n  gpu: PCI:0:6:0\n  virtual: 1920*1080\nvnc:\n  listen: example.com\n  display: "0"\n'),
    ).toEqual([
      `${PATH}:2: xorg.gpu: found "PCI:0:6:0", allowed: a PCI address (0000:06:00.0), a UUID (GPU-…) or the index that nvidia-smi -L shows`,
      `${PATH}:3: xorg.virtual: found "1920*1080", allowed: a size in pixels such as 1920x1080`,
      `${PATH}:5: vnc.passwordFile: found nothing, allowed: a string`,
      `${PATH}:5: vnc.listen: found "example.com", allowed: localhost, all or an IPv4 address of this guest`,
      `${PATH}:6: vnc.display: found "0", allowed: a display of X such as :0`,
    ]);
  });

  test('a run ends before the units that start one would end it', () => {
    const runTimeout = (text: string) => loadConfig({ path: PATH, text: `runTimeout: ${text}\n` }, []).runTimeoutMs;
    expect(runTimeout('110m')).toBe(6_600_000);
    expect(faultsOf('runTimeout: 2h\n')).toEqual([
      `${PATH}:1: runTimeout: found "2h": a duration of 110m at most: a unit ends its run after 2h`,
    ]);
  });

  test.each([
    ['90s', 90_000],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['500ms', 500],
  ])('license.timeout %s is %i milliseconds', (timeout, timeoutMs) => {
    expect(loadConfig({ path: PATH, text: `license: { timeout: ${timeout} }` }, []).license.timeoutMs).toBe(timeoutMs);
  });

  test('gridd.conf gets the words that nvidia-gridd compares with, however YAML reads them', () => {
    const text = 'gridd:\n  IgnoreSP: FALSE\n  EnableUI: "TRUE"\n  LicenseInterval: 10\n';
    expect(loadConfig({ path: PATH, text }, []).gridd).toEqual({
      IgnoreSP: 'FALSE',
      EnableUI: 'TRUE',
      LicenseInterval: '10',
    });
  });

  test.each([
    ['FeatureType', ['0', '1', '2', '4', ''], ['3', '5', '02', '"2"', 'vws', '-1']],
    ['ServerPort', ['1', '7070', '65535'], ['0', '65536', '7070.5', '1e3', 'http']],
    ['BackupServerPort', ['7070'], ['70700']],
    ['EnableUI', ['TRUE', 'FALSE'], ['True', 'yes', '1', '"TRUE"']],
    ['IgnoreSP', ['TRUE', 'FALSE'], ['true', 'no']],
    ['LicenseInterval', ['10', '10080'], ['9', '10081', '1d']],
    ['LingerInterval', ['0', '10080'], ['-1', '10081']],
    [
      'ServerAddress',
      ['10.5.8.208', '"10.5.8.208"', 'license.example', '2001:db8::1'],
      ['two words', '"a', 'a/b', '-a'],
    ],
    ['BackupServerAddress', ['b'], ['b c']],
    ['ClientConfigTokenPath', ['/t', '"/t/"'], ['t', '/my tokens', '"/t']],
    ['ProxySomething', ['whatever it takes', '-1'], []],
  ])('gridd.%s is held to the rule that is known of it', (key, right, wrong) => {
    const isRight = (value: string) => faultsOf(JSON.stringify({ gridd: { [key]: value } })).length === 0;
    expect(right.filter(value => !isRight(value))).toEqual([]);
    expect(wrong.filter(isRight)).toEqual([]);
  });

  test('a key of gridd.conf without a value is to be left out', () => {
    const text = 'gridd:\n  FeatureType:\n  IgnoreSP: ""\n';
    expect(loadConfig({ path: PATH, text }, []).gridd).toEqual({ FeatureType: '', IgnoreSP: '' });
  });

  test.each(['/opt/a.tok', 'https://files.example/a.tok', 'https://files.example:8443/a?signature=x'])(
    'the token may be %s',
    token => {
      expect(loadConfig({ path: PATH, text: JSON.stringify({ license: { token } }) }, []).license.token).toBe(token);
    },
  );

  test('a later layer wins key by key', () => {
    const text = 'driver: { package: /opt/a.run, dkms: false }';
    const layer: Layer = { settings: { driver: { package: '/opt/b.run' } }, origins: {} };
    expect(loadConfig({ path: PATH, text }, [layer]).driver).toEqual({ package: '/opt/b.run', dkms: false });
  });

  test('a token from the command line takes the place of a server from the file', () => {
    const layer: Layer = { settings: { license: { token: '/opt/t.tok' } }, origins: {} };
    const { license } = loadConfig({ path: PATH, text: 'license: { server: { address: a } }' }, [layer]);
    expect([license.token, license.server]).toEqual(['/opt/t.tok', undefined]);
  });
});

describe('a fault is one line with the place, the key, what was found and what is allowed', () => {
  test.each([
    [
      'driver:\n  pakage: /x\n',
      `${PATH}:2: driver.pakage: unknown key, did you mean package? (known: package, sha256, dkms, kernelModules, signingKey, signingCertificate)`,
    ],
    [
      'licence: {}\n',
      `${PATH}:1: licence: unknown key, did you mean license? (known: driver, license, gridd, xorg, vnc, gpu, cuda, reboot, lockTimeout, runTimeout)`,
    ],
    [
      'xyzzy: 1\n',
      `${PATH}:1: xyzzy: unknown key (known: driver, license, gridd, xorg, vnc, gpu, cuda, reboot, lockTimeout, runTimeout)`,
    ],
    [
      'license:\n  feature: vdws\n',
      `${PATH}:2: license.feature: found "vdws", allowed: auto, vgpu, vws, compute, vapps`,
    ],
    ['license:\n  timeout: 5\n', `${PATH}:2: license.timeout: found 5, allowed: a duration such as 90s, 2m or 1h`],
    ['license:\n  server: { address: a, port: 0 }\n', `${PATH}:2: license.server.port: found 0, allowed: 1 or more`],
    ['license:\n  server: { port: 7070 }\n', `${PATH}:2: license.server.address: found nothing, allowed: a string`],
    ['driver:\n  dkms: maybe\n', `${PATH}:2: driver.dkms: found "maybe", allowed: true or false`],
    ['driver: 7\n', `${PATH}:1: driver: found 7, allowed: keys below it`],
    ['gridd:\n  "a b": 1\n', `${PATH}:2: gridd.a b: not a key of gridd.conf (allowed: letters and digits)`],
    [
      'gridd:\n  FeatureType: 7\n',
      `${PATH}:2: gridd.FeatureType: found 7, allowed: 0, 1, 2, 4, bare (gridd.conf.template ("All other values reserved"), nvidia-settings)`,
    ],
    [
      'gridd: { LicenseInterval: 5 }\n',
      `${PATH}:1: gridd.LicenseInterval: found 5, allowed: a whole number from 10 to 10080, bare (gridd.conf.template (minutes))`,
    ],
    ['gridd: { ProxyServer: "a\\tb" }\n', `${PATH}:1: gridd.ProxyServer: found "a\\tb", allowed: one line of text`],
    [
      'license: { tokenDirectory: /my tokens }\n',
      `${PATH}:1: license.tokenDirectory: found "/my tokens", allowed: an absolute path without blanks, which nvidia-gridd passes over`,
    ],
    [
      'license: { token: "http://files.example/a.tok?signature=s3cret" }\n',
      `${PATH}:1: license.token: found "http://files.example/a.tok?…", allowed: an absolute path on this guest, or an https:// URL without user name and password`,
    ],
    [
      'license: { token: "https://me:s3cret@files.example/a.tok" }\n',
      `${PATH}:1: license.token: found "https://files.example/a.tok", allowed: an absolute path on this guest, or an https:// URL without user name and password`,
    ],
    [
      'license:\n  token: /t\n  server: { address: a }\n',
      `${PATH}:3: license.server: found {"address":"a"}: a token and a legacy server are two different worlds: give one of them`,
    ],
    [
      'driver: [\n',
      `${PATH}:2:1: not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]`,
    ],
    ['- driver\n', `${PATH}: found ["driver"] instead of keys such as driver: and license:`],
  ])('%j', (text, line) => {
    expect(faultsOf(text)).toEqual([line]);
  });

  test('every fault of a file is told at once', () => {
    expect(faultsOf('reboot: always\nxorg: { manage: yes-please }\n')).toHaveLength(2);
  });

  test('a fault of a flag names the flag', () => {
    const layer = {
      settings: { license: { feature: 'q' } },
      origins: { 'license.feature': '--feature' },
    } as unknown as Layer;
    expect(faultsOf('', [layer])).toEqual([
      '--feature: license.feature: found "q", allowed: auto, vgpu, vws, compute, vapps',
    ]);
  });
});

test('the JSON Schema knows the same keys and is as strict', () => {
  const schema = configJsonSchema() as {
    properties: Record<string, { additionalProperties: unknown }>;
    additionalProperties: unknown;
  };
  expect(Object.keys(schema.properties)).toEqual([
    'driver',
    'license',
    'gridd',
    'xorg',
    'vnc',
    'gpu',
    'cuda',
    'reboot',
    'lockTimeout',
    'runTimeout',
  ]);
  expect(schema.additionalProperties).toBe(false);
  expect(schema.properties.driver?.additionalProperties).toBe(false);
});

test('an alias is refused by its place: a few of them, nested, would fill the memory', () => {
  const text = 'gridd: &a\n  IgnoreSP: "FALSE"\nxorg: *a\n';
  expect(() => loadConfig({ path: '/c.yaml', text }, [])).toThrow('/c.yaml:3:7: *a refers to another place');
  expect(() => loadConfig({ path: '/c.yaml', text: '*nowhere' }, [])).toThrow(/\/c\.yaml:1:1: /);
});
