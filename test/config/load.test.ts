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
      xorg: { manage: 'auto' },
      reboot: 'never',
      lockTimeoutMs: 300_000,
    });
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
      `${PATH}:2: driver.pakage: unknown key, did you mean package? (known: package, sha256, dkms)`,
    ],
    [
      'licence: {}\n',
      `${PATH}:1: licence: unknown key, did you mean license? (known: driver, license, gridd, xorg, reboot, lockTimeout)`,
    ],
    ['xyzzy: 1\n', `${PATH}:1: xyzzy: unknown key (known: driver, license, gridd, xorg, reboot, lockTimeout)`],
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
  expect(Object.keys(schema.properties)).toEqual(['driver', 'license', 'gridd', 'xorg', 'reboot', 'lockTimeout']);
  expect(schema.additionalProperties).toBe(false);
  expect(schema.properties.driver?.additionalProperties).toBe(false);
});
