import { describe, expect, test } from 'vitest';
import { conf, find, griddLog, HEALTHY, smi, tokenFiles, versions } from '../helpers/doctor.ts';

const SERVER = conf('ServerAddress="10.5.8.208"', 'FeatureType=0');
const UNLICENSED = smi('Unlicensed');

describe('a legacy license server in gridd.conf', () => {
  test('cannot be used by R525 and later', () => {
    const found = find('server-unsupported', { ...SERVER, ...UNLICENSED, ...tokenFiles() }, {});
    expect(found).toMatchObject({
      severity: 'error',
      summary: expect.stringContaining('R570'),
      remedy: expect.stringContaining('license.token'),
    });
    expect(found?.evidence).toContainEqual({ at: '/etc/nvidia/gridd.conf', shows: 'ServerAddress="10.5.8.208"' });
  });

  test.each([
    ['with R510', { ...SERVER, ...UNLICENSED, ...tokenFiles(), ...versions('510.108.03') }],
    ['beside a token, which the driver takes', { ...SERVER, ...UNLICENSED }],
    ['whose line is empty, as the template has it', { ...conf('ServerAddress='), ...UNLICENSED, ...tokenFiles() }],
  ])('is right %s', (_, facts) => {
    expect(find('server-unsupported', facts, {})).toBeUndefined();
  });

  test('beside a token is of two worlds on a driver that knows both', () => {
    expect(find('both-worlds', { ...SERVER, ...versions('510.108.03') })).toMatchObject({ severity: 'warning' });
    expect(find('both-worlds', SERVER)).toBeUndefined();
    expect(find('both-worlds', { ...SERVER, ...versions('510.108.03'), ...tokenFiles() })).toBeUndefined();
  });
});

test('a token is nothing to a driver before R470', () => {
  const old = { ...versions('460.106.00'), ...smi('Unlicensed', { version: '460.106.00' }) };
  expect(find('token-unsupported', old)).toMatchObject({ severity: 'error', summary: expect.stringContaining('R460') });
  expect(find('token-unsupported', { ...old, ...tokenFiles() }, {})).toBeUndefined();
  expect(find('token-unsupported', versions('470.256.02'))).toBeUndefined();
});

test('a driver before R470 needs the address of its server', () => {
  const old = { ...versions('460.106.00'), ...smi('Unlicensed', { version: '460.106.00' }), ...tokenFiles() };
  expect(find('source-missing', { ...old, ...conf('ServerAddress=') }, {})).toMatchObject({ severity: 'error' });
  expect(find('source-missing', { ...old, ...SERVER }, {})).toBeUndefined();
  expect(find('source-missing', { ...UNLICENSED, ...tokenFiles() }, {})).toBeUndefined();
});

describe('FeatureType', () => {
  const passed = {
    gpus: [{ ...HEALTHY.gpus[0]!, mode: 'pass-through' as const }],
    ...smi('Unlicensed', { mode: 'pass-through' }),
  };

  test('is refused on pass-through where it names no license', () => {
    const found = find('feature-type', {
      ...passed,
      ...conf('FeatureType=1'),
      ...griddLog('Invalid feature type requested'),
    });
    expect(found).toMatchObject({
      severity: 'error',
      summary: 'nvidia-gridd refuses FeatureType 1 on this GPU',
      remedy: expect.stringContaining('vws or compute'),
    });
    expect(found?.evidence).toContainEqual({ at: '/etc/nvidia/gridd.conf', shows: 'FeatureType=1' });
  });

  test.each(['FeatureType=3', 'FeatureType="2"', 'FeatureType = two'])('"%s" is a value that is none', line => {
    expect(find('feature-type', conf(line))).toMatchObject({ severity: 'warning' });
  });

  test.each(['FeatureType=0', 'FeatureType = 2', '#FeatureType=7', 'FeatureType='])('"%s" is one', line => {
    expect(find('feature-type', conf(line))).toBeUndefined();
  });
});

describe('a line of gridd.conf', () => {
  test.each([
    ['ServerPort=seventy', /^ServerPort: allowed: a whole number from 1 to 65535/],
    ['IgnoreSP=FALSE # the cloud brings it', /^IgnoreSP: allowed: TRUE, FALSE/],
    ['EnableUI="TRUE"', /^EnableUI: allowed: TRUE, FALSE, bare/],
    ['serveraddress=10.5.8.208', /^names are case-sensitive, and the one that counts is ServerAddress$/],
  ])('that nvidia-gridd may not take is shown: %s', (line, cause) => {
    expect(find('gridd-conf-value', conf('FeatureType=0', line))).toMatchObject({
      severity: 'warning',
      cause: expect.stringMatching(cause),
      evidence: [{ at: '/etc/nvidia/gridd.conf', shows: line }],
    });
  });

  test.each([
    ['ServerAddress="10.5.8.208"'],
    ['# ServerPort=seventy'],
    ['ServerPort='],
    ['ProxyUserName=whatever it is'],
    ['SomethingNew=1'],
  ])('that it takes, or of which nobody knows, is none: %s', line => {
    expect(find('gridd-conf-value', conf(line))).toBeUndefined();
  });
});

test('on pass-through somebody has to say which license is meant', () => {
  const given = { ...smi('Licensed (Expiry: N/A)', { mode: 'pass-through', product: 'NVIDIA Virtual Applications' }) };
  expect(find('feature-type', given)).toMatchObject({
    severity: 'error',
    remedy: expect.stringContaining('set license.feature'),
  });
  expect(find('feature-type', given, { license: { token: '/opt/a.tok', feature: 'vws' } })).toBeUndefined();
  expect(find('feature-type', given, {})).toBeUndefined();
});

test('a legacy server that is configured for a driver that knows none is found before it is written', () => {
  const settings = { license: { server: { address: '10.5.8.208' } } };
  expect(find('server-unsupported', { ...smi('Unlicensed'), ...conf('FeatureType=0') }, settings)).toMatchObject({
    severity: 'error',
    summary: expect.stringMatching(/^license\.server names a legacy/),
  });
});

test('a gridd.conf that is no text is one that apply leaves alone', () => {
  expect(find('gridd-conf-no-text', conf('FeatureType=0', '\0\uFFFD'))?.severity).toBe('warning');
  expect(find('gridd-conf-no-text', conf('# Größe', 'FeatureType=0'))).toBeUndefined();
});
