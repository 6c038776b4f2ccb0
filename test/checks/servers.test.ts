import { describe, expect, test } from 'vitest';
import type { Probe } from '../../src/guest/guest.ts';
import { conf, diagnose, find, griddLog, HEALTHY, server, smi, unit } from '../helpers/doctor.ts';

const UNLICENSED = smi('Unlicensed (Unrestricted)');
const closed = (code: string) => server({ probe: { is: 'unconnected', code } });
const nameless = (host = 'dls.example.com') =>
  server({
    host,
    resolution: { is: 'failed', because: 'getent ahosts ended with 2 (no such name)' },
    probe: { is: 'unknown', because: 'no address is known' },
  });
const withFault = (fault: string): Probe => ({
  is: 'connected',
  tls: {
    is: 'agreed',
    fault,
    chain: [
      { subject: 'CN=dls.example.com', issuer: 'CN=Example Root', validFromUs: 1.7e15, validToUs: 1.8e15, names: [] },
    ],
  },
});
const proxies = [{ at: '/etc/environment', shows: 'https_proxy=http://***@proxy:3128' }];

describe('the name of a license server', () => {
  test('that is not found is an error, with what the guest was asked', () => {
    const found = find('server-name-not-found', { ...UNLICENSED, servers: [nameless()] });
    expect(found).toMatchObject({
      severity: 'error',
      remedy: expect.stringContaining('getent ahosts dls.example.com'),
    });
    expect(found?.evidence).toContainEqual({
      at: 'getent ahosts dls.example.com',
      shows: 'getent ahosts ended with 2 (no such name)',
    });
  });

  test('of one node of two is a warning', () => {
    const facts = { ...UNLICENSED, servers: [nameless('dls-1.example.com'), server({ host: 'dls-2.example.com' })] };
    expect(find('server-name-not-found', facts)?.severity).toBe('warning');
  });

  test('is missed by the daemon, too', () => {
    const log = griddLog("Failed to acquire license from dls (Info: X - Error: Couldn't resolve host name)");
    expect(find('server-name-not-found', { ...UNLICENSED, ...log })?.severity).toBe('error');
  });
});

describe('a port of the license server', () => {
  test.each([
    ['ECONNREFUSED', /nothing listens/],
    ['ETIMEDOUT', /drop the packets/],
    ['ENETUNREACH', /no route/],
    ['ECONNRESET', /ends before/],
  ])('that ends in %s is explained', (code, cause) => {
    const found = find('server-unreachable', { ...UNLICENSED, servers: [closed(code)] });
    expect(found).toMatchObject({
      severity: 'error',
      cause: expect.stringMatching(cause),
      remedy: expect.stringContaining('dls.example.com:443'),
    });
    expect(found?.evidence).toContainEqual({
      at: 'TCP to dls.example.com:443 (192.0.2.10)',
      shows: `cannot be reached (${code})`,
    });
  });

  test('is a warning while there is a license, and where a proxy may go another way', () => {
    expect(find('server-unreachable', { servers: [closed('ETIMEDOUT')] })?.severity).toBe('warning');
    const found = find('server-unreachable', {
      ...UNLICENSED,
      servers: [closed('ETIMEDOUT')],
      ...conf('ProxyServerAddress=proxy', 'ProxyUserName=me'),
    });
    expect(found?.severity).toBe('warning');
    expect(JSON.stringify(found)).toContain('ProxyServerAddress, ProxyUserName set');
    expect(JSON.stringify(found)).not.toContain('=me');
  });

  test('is open, and so is nothing to speak of', () => {
    expect(diagnose({})).toEqual([]);
    expect(
      find('server-unreachable', { servers: [server({ world: 'legacy', port: 7070, probe: { is: 'connected' } })] }),
    ).toBeUndefined();
  });

  test('that cannot be tried is not said to be closed', () => {
    const facts = {
      ...UNLICENSED,
      servers: [server({ probe: { is: 'unknown', because: 'a guest in a folder has no network' } })],
    };
    expect(find('server-unreachable', facts)).toBeUndefined();
  });
});

describe('a proxy of the system', () => {
  const blocked = { ...UNLICENSED, servers: [closed('ETIMEDOUT')], network: { ...HEALTHY.network, proxies } };

  test('is one that nvidia-gridd must be told of, by the keys that its template offers', () => {
    const found = find('proxy-not-told', {
      ...blocked,
      ...unit({}, { template: '#ProxyServerAddress=\n# Proxy is an option\n#ProxyServerPort=\n' }),
    });
    expect(found).toMatchObject({
      severity: 'warning',
      remedy: expect.stringContaining('(ProxyServerAddress, ProxyServerPort)'),
    });
    expect(found?.evidence).toContainEqual(proxies[0]);
  });

  test('is not told where the template has no keys for it', () => {
    expect(find('proxy-not-told', blocked)?.remedy).toContain('offers no keys for a proxy');
  });

  test('is no matter where the servers are in reach, or where it has been told', () => {
    expect(find('proxy-not-told', { ...blocked, servers: [server()] })).toBeUndefined();
    expect(find('proxy-not-told', { ...blocked, ...conf('ProxyServerAddress=proxy') })).toBeUndefined();
  });
});

describe('TLS to the license server', () => {
  test.each([
    ['SELF_SIGNED_CERT_IN_CHAIN', /own one of a DLS, or that of an intercepting proxy/],
    ['CERT_HAS_EXPIRED', /has expired/],
    ['CERT_NOT_YET_VALID', /clock may be behind/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /another name/],
  ])('with %s shows the chain and what it may mean', (fault, cause) => {
    const found = find('tls-not-trusted', { ...UNLICENSED, servers: [server({ probe: withFault(fault) })] });
    expect(found).toMatchObject({
      severity: 'warning',
      cause: expect.stringMatching(cause),
      remedy: expect.stringContaining('update-ca-certificates'),
    });
    expect(found?.evidence).toEqual([
      { at: 'TLS to dls.example.com:443', shows: fault },
      {
        at: 'certificate of dls.example.com:443',
        shows: expect.stringMatching(/^CN=dls.example.com; issued by CN=Example Root; 2023-\S+ to 2027-/),
      },
    ]);
  });

  test('of nobody that can be asked leads to every node and port of the token', () => {
    const said = griddLog('Failed to acquire license from dls (Info: X - Error: Connection timed out)');
    const servers = [server(), server({ host: 'dls-2.example.com', port: 8443 })];
    expect(find('server-unreachable', { ...UNLICENSED, ...said, servers })?.remedy).toContain(
      'to dls.example.com:443 and dls-2.example.com:8443 in firewall',
    );
  });

  test('of an unknown authority is only to know where the license comes all the same', () => {
    const seen = (fault: string) => find('tls-not-trusted', { servers: [server({ probe: withFault(fault) })] });
    expect(seen('SELF_SIGNED_CERT_IN_CHAIN')).toMatchObject({
      severity: 'info',
      remedy: expect.stringMatching(/download a new token from it.*whether nvidia-gridd goes by that is not known/),
    });
    expect(seen('CERT_HAS_EXPIRED')?.severity).toBe('warning');
  });

  test('is an error when nvidia-gridd minds', () => {
    const log = griddLog(
      'Failed to acquire license from dls (Info: X - Error: SSL certificate problem: self signed certificate)',
    );
    expect(find('tls-not-trusted', { ...UNLICENSED, ...log })?.severity).toBe('error');
  });

  test('that fails is an error', () => {
    const probe: Probe = { is: 'connected', tls: { is: 'failed', code: 'ECONNRESET' } };
    expect(find('tls-fails', { ...UNLICENSED, servers: [server({ probe })] })).toMatchObject({
      severity: 'error',
      cause: expect.stringContaining('may end it'),
    });
  });
});
