import { describe, expect, test } from 'vitest';
import { conf, find, griddLog, HEALTHY, smi } from '../helpers/doctor.ts';

const UNLICENSED = smi('Unlicensed (Unrestricted)');
const refused = (reason: string) =>
  griddLog(`Failed to acquire license from dls.example.com (Info: NVIDIA Virtual PC - Error: ${reason})`);
const LEGACY =
  'Failed to acquire/renew license from license server. (Info: http://10.5.8.208:7070/request; Quadro-Virtual-DWS,5.0 - Error: [1,7E2,2,0[7000000B,0,702C7]] Requested feature was not found.)';

test.each([
  ['product-not-on-server', refused('No pool features found for : NVIDIA RTX Virtual Workstation')],
  ['feature-not-on-server', griddLog(LEGACY)],
  ['licenses-exhausted', refused('Insufficient licenses')],
  [
    'identity-too-large',
    griddLog('Failed to update local trusted store - Maximum buffer size exceeded', 'Failed to register client (2)'),
  ],
  ['fingerprint-mismatch', griddLog('Client fingerprint mismatch - No valid lease found in local trusted store')],
  ['gpu-not-licensable', griddLog('Licensing not supported for GPUs in the system')],
  ['license-refused', refused('Something that nobody has seen before')],
  ['license-refused', griddLog('Failed to acquire license from dls.example.com')],
])('%s is what the line of the daemon says', (id, log) => {
  const found = find(id, { ...UNLICENSED, ...log });
  const line = log.griddLog.is === 'read' ? log.griddLog.said.at(-1)?.message : undefined;
  expect(found?.severity).toBe('error');
  expect(found?.evidence.map(({ shows }) => shows)).toContainEqual(expect.stringContaining(line ?? ''));
  expect(find(id, UNLICENSED)).toBeUndefined();
});

test('a failure that a success has taken back is none, and one after it is a warning while the license lasts', () => {
  const failure = `Failed to acquire license from dls (Info: X - Error: No pool features found for : X)`;
  const success = 'License acquired successfully. (Info: dls, X; Expiry: 2026-11-22 0:0:0 GMT)';
  expect(find('product-not-on-server', griddLog(failure, success))).toBeUndefined();
  expect(find('product-not-on-server', griddLog(success, failure))?.severity).toBe('warning');
});

test('too large an identity is shown with the interfaces of the guest', () => {
  const interfaces = [
    ...HEALTHY.network.interfaces,
    ...Array.from({ length: 40 }, (_, index) => ({ name: `veth${index}`, device: false, mac: '' })),
  ];
  const facts = { ...UNLICENSED, ...griddLog('Failed to register client (2)'), network: { interfaces, proxies: [] } };
  const found = find('identity-too-large', facts);
  expect(found?.cause).toContain('41 interfaces, 40 of them made by software');
  expect(found?.evidence.at(-1)?.shows).toMatch(/eth0 veth0 .* …$/);
});

describe('a disagreement about the licenses that are held', () => {
  const line = 'Mismatch between client and server with respect to licenses held. Returning the licenses';

  test('that comes again may be a clone', () => {
    expect(find('licenses-mismatch', griddLog(line, line))).toMatchObject({
      severity: 'warning',
      remedy: expect.stringContaining('machine-id'),
    });
  });

  test('heals itself when it comes once', () => {
    expect(find('licenses-mismatch', griddLog(line))).toBeUndefined();
  });
});

test('a legacy refusal shows what gridd.conf asks for', () => {
  const found = find('feature-not-on-server', {
    ...UNLICENSED,
    ...griddLog(LEGACY),
    ...conf('ServerAddress=10.5.8.208', 'FeatureType=2'),
  });
  expect(found?.evidence.map(({ shows }) => shows)).toEqual(
    expect.arrayContaining(['FeatureType=2', 'ServerAddress=10.5.8.208']),
  );
});

test('a refusal without a reason is not told apart where another line has one', () => {
  const log = griddLog(
    'Failed to update local trusted store - Maximum buffer size exceeded',
    'Failed to acquire license from dls',
  );
  expect(find('license-refused', { ...UNLICENSED, ...log })).toBeUndefined();
});
