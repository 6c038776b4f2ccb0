import { describe, expect, test } from 'vitest';
import { FAMILIES } from '../../src/facts/families.ts';
import { DAY_US, find, griddLog, HEALTHY, NOW_US, server, smi } from '../helpers/doctor.ts';

const UNLICENSED = smi('Unlicensed (Unrestricted)');
const refused = (reason: string) =>
  griddLog(`Failed to acquire license from dls.example.com (Info: NVIDIA Virtual PC - Error: ${reason})`);
const ahead = (serverAheadUs: number) => ({
  servers: [server({ probe: { is: 'connected', tls: { is: 'agreed', chain: [], serverAheadUs } } })],
});
const clock = (given: Partial<typeof HEALTHY.clock>) => ({ clock: { ...HEALTHY.clock, ...given } });

describe('a clock that has jumped back', () => {
  test('is what the daemon says of it, with what keeps the clock', () => {
    const found = find('clock-windback', { ...UNLICENSED, ...refused('Clock windback has been detected') });
    expect(found).toMatchObject({ severity: 'error', remedy: expect.stringContaining('zypper install chrony') });
    expect(found?.evidence.map(({ shows }) => shows)).toEqual([
      expect.stringContaining('Clock windback has been detected'),
      '2026-11-21T10:00:00Z',
      'NTPSynchronized=yes',
    ]);
    expect(find('clock-windback', UNLICENSED)).toBeUndefined();
  });

  test.each([
    ['rhel', 'dnf install chrony'],
    ['debian', 'apt-get install chrony'],
  ])('is put right on %s with its own commands', (id, command) => {
    const system = { ...HEALTHY.system, family: FAMILIES.find(family => family.id === id) };
    expect(find('clock-windback', { system, ...refused('Clock windback has been detected') })?.remedy).toContain(
      command,
    );
  });
});

describe('clocks that differ', () => {
  test('are seen by the date that the license server gives', () => {
    const found = find('clock-differs', ahead(10_800e6));
    expect(found).toMatchObject({
      severity: 'warning',
      summary: expect.stringContaining('dls.example.com is 10800 s ahead'),
    });
    expect(found?.evidence[0]).toEqual({
      at: 'Date of https://dls.example.com:443',
      shows: 'dls.example.com is 10800 s ahead',
    });
  });

  test('are an error when the license server refuses for it', () => {
    const log = refused('The allowed time to process response has expired');
    expect(find('clock-differs', { ...UNLICENSED, ...ahead(-10_800e6), ...log })).toMatchObject({
      severity: 'error',
      summary: expect.stringContaining('10800 s behind'),
    });
    expect(find('clock-differs', { ...UNLICENSED, ...log })?.cause).toContain('may differ');
  });

  test('are seen by chrony', () => {
    expect(find('clock-differs', clock({ aheadS: -3_600 }))?.summary).toBe(
      'the clock of this guest is 3600 s behind NTP',
    );
  });

  test.each([
    ['a second apart', ahead(1e6)],
    ['a millisecond from NTP', clock({ aheadS: 0.001 })],
  ])('are not those that are %s', (_, facts) => {
    expect(find('clock-differs', facts)).toBeUndefined();
  });

  test('are not blamed for a token that has expired', () => {
    const files = HEALTHY.tokenFiles.files.map(file => ({
      ...file,
      inspection: {
        is: 'token' as const,
        claims: {
          ...(file.inspection.is === 'token' ? file.inspection.claims : neverClaims()),
          expiresUs: NOW_US - DAY_US,
        },
      },
    }));
    const facts = {
      ...UNLICENSED,
      ...refused('The allowed time to process response has expired'),
      tokenFiles: { ...HEALTHY.tokenFiles, files },
    };
    expect([find('clock-differs', facts), find('token-expired', facts)?.severity]).toEqual([undefined, 'error']);
  });
});

test('a clock that nothing keeps is a warning, and one of which nothing is known is none', () => {
  expect(find('clock-not-kept', clock({ synchronized: false }))).toMatchObject({ severity: 'warning' });
  expect(find('clock-not-kept', clock({ synchronized: undefined }))).toBeUndefined();
});

test('a hardware clock in local time is a warning', () => {
  expect(find('hardware-clock-local', clock({ hardwareClockIsLocal: true }))).toMatchObject({ severity: 'warning' });
  expect(find('hardware-clock-local', clock({ hardwareClockIsLocal: undefined }))).toBeUndefined();
});

function neverClaims(): never {
  throw new Error('the healthy guest has a token');
}
