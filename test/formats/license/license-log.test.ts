import { describe, expect, it } from 'vitest';
import {
  type GriddTalk,
  interpret,
  readJournalLine,
  readSyslogLine,
  startedPid,
} from '../../../src/formats/license/license-log.ts';

// lines as published logs of R367 to R580 have them
describe('what nvidia-gridd says', () => {
  it.each<[string, GriddTalk['kind']]>([
    ['Started (1985)', 'started'],
    ['Configuration parameter ( ServerAddress  FeatureType) not set', 'noise'],
    ['Failed to open file /etc/nvidia/gridd.conf (No such file or directory)', 'noise'],
    ['Unable to open directory /etc/nvidia/license (No such file or directory)', 'noise'],
    ['vGPU Software package (0)', 'noise'],
    ['Ignore service provider and node-locked licensing', 'noise'],
    ['Calling load_byte_array(tra)', 'noise'],
    ['Failed to unlock PID file: Bad file descriptor', 'noise'],
    ['NLS initialized', 'progress'],
    ['Acquiring license. (Info: api.cls.licensing.nvidia.com; NVIDIA RTX Virtual Workstation)', 'progress'],
    ['Mismatch between client and server with respect to licenses held. Returning the licenses', 'progress'],
    ['Shutdown (1985)', 'progress'],
    [
      'License acquired successfully. (Info: api.cls.licensing.nvidia.com, NVIDIA RTX Virtual Workstation; Expiry: 2026-4-3 19:11:16 GMT)',
      'success',
    ],
    ['License acquired successfully. (Info: http://10.5.8.208:7070/request; Quadro-Virtual-DWS,5.0)', 'success'],
    ['License acquired successfully. Server URL : http://10.5.8.208:7070/request', 'success'],
    ['License renewed successfully. (Info: dls, NVIDIA Virtual PC; Expiry: 2026-4-3 19:11:16 GMT)', 'success'],
    ['Unable to fetch the client configuration token file', 'failure'],
    ['Failed to decode signature from token received', 'failure'],
    ['Failed to acquire license from dls.example.com', 'failure'],
    ['Valid GRID license not found. GPU features and performance are restricted.', 'failure'],
    ['Something new failed', 'failure'],
    ['Something new', 'noise'],
  ])('"%s" is %s', (message, kind) => {
    expect(interpret(message).kind).toBe(kind);
  });

  it.each([
    ['Failed to decode signature from token received', true],
    ['Failed to read configurations from client configuration token (Error: 3)', true],
    ['Failed to setup cloud License Manager: 3', true],
    ['Invalid feature type requested', true],
    ['Licensing not supported for GPUs in the system', true],
    ['Unable to fetch the client configuration token file', undefined],
    ['Failed to initialise RM client', undefined],
    ['Failed to acquire license from dls (Info: X - Error: Clock windback has been detected)', true],
    ['Failed to acquire license from dls (Info: X - Error: No pool features found for : X)', undefined],
    ['Failed to acquire license from dls (Info: X - Error: Connection timed out)', undefined],
  ])('"%s" is hard: %s', (message, hard) => {
    expect(interpret(message).hard).toBe(hard);
  });

  it.each([
    ['Clock windback has been detected', /clock has jumped back/, 'windback'],
    ['The allowed time to process response has expired', /clocks of the guest and the license server/, 'clocks-differ'],
    ['No pool features found for : NVIDIA RTX Virtual Workstation', /no license of the product/, 'no-product'],
    ['[1,7E2,2,0[7000000B,0,702C7]] Requested feature was not found.', /no license of the product/, 'no-product'],
    ['Insufficient licenses', /all licenses/, 'exhausted'],
    ["Couldn't resolve host name", /name is not found/, 'no-name'],
    ['Connection timed out', /cannot be reached/, 'unreachable'],
    ['SSL certificate problem: self signed certificate', /not trusted/, 'tls'],
  ])('after a refusal for "%s" the cause is named, with its remedy', (reason, meaning, sign) => {
    const said = interpret(
      `Failed to acquire license from connect.example.com (Info: NVIDIA Virtual PC - Error: ${reason})`,
    );
    expect(said).toMatchObject({
      kind: 'failure',
      sign,
      meaning: expect.stringMatching(meaning),
      remedy: expect.any(String),
    });
  });

  it.each([
    ['Connection refused', /from this guest to dls\.example:8443 and \[2001:db8::1\]:8444 in firewall/],
    ["Couldn't resolve host name", /getent ahosts dls\.example shows/],
    ['SSL certificate problem', /certificate of dls\.example:8443 and .*download a new token/],
  ])('after a refusal for "%s" the remedy names the servers of this guest', (reason, remedy) => {
    const servers = [
      { host: 'dls.example', port: 8443 },
      { host: '2001:db8::1', port: 8444 },
    ];
    const message = `Failed to acquire license from dls.example (Info: X - Error: ${reason})`;
    expect(interpret(message, { world: 'token', servers }).remedy).toMatch(remedy);
    expect(interpret(message).remedy).not.toMatch(/[{}]/);
  });

  it('about a missing token does not matter with a legacy server', () => {
    const message = 'Unable to fetch the client configuration token file';
    expect((['token', 'server'] as const).map(world => interpret(message, { world, servers: [] }).kind)).toEqual([
      'failure',
      'noise',
    ]);
  });

  it('does not take a host name for a cause', () => {
    expect(interpret('Failed to acquire license from certificate.timeout.example.com')).toEqual({
      kind: 'failure',
      sign: 'refused',
      meaning: 'the license server has not granted a license',
    });
  });
});

describe('a line of the journal', () => {
  it('has its message, process and time', () => {
    const line = '{"MESSAGE":"Started (1985)","_PID":"1985","__REALTIME_TIMESTAMP":"1795194087123456","PRIORITY":"6"}';
    expect(readJournalLine(line)).toEqual({ message: 'Started (1985)', pid: 1985, atUs: 1_795_194_087_123_456 });
  });

  it('comes as bytes when it is not UTF-8, and cannot move the cursor', () => {
    const line = JSON.stringify({ MESSAGE: [...Buffer.from('gr\xfc\x1b[31mn', 'latin1')], _PID: '7' });
    expect(readJournalLine(line)).toEqual({ message: 'grü [31mn', pid: 7, atUs: undefined });
  });

  it('has its place in the journal, where it says so', () => {
    expect(readJournalLine('{"MESSAGE":"a","__CURSOR":"s=1;i=2"}')).toMatchObject({ cursor: 's=1;i=2' });
  });

  it('is cut where no message is so long', () => {
    expect(readJournalLine(JSON.stringify({ MESSAGE: 'x'.repeat(1_000_000) }))?.message).toHaveLength(1_000);
  });

  it.each(['', 'no JSON', '{"MESSAGE":null}', '7', 'null'])('that is "%s" is none', line => {
    expect(readJournalLine(line)).toBeUndefined();
  });
});

describe('a line of the system logger', () => {
  it.each([
    [
      'Nov 20 17:01:27 guest nvidia-gridd[812]: NLS initialized',
      { message: 'NLS initialized', pid: 812, atUs: undefined },
    ],
    [
      '2026-11-20T17:01:27.1+00:00 guest nvidia-gridd: Started (812)',
      { message: 'Started (812)', pid: undefined, atUs: undefined },
    ],
    ['Nov 20 17:01:27 guest systemd[1]: Started NVIDIA Grid Daemon.', undefined],
    [
      'Nov 20 17:01:27 guest nvidia-gridd[812]: a\u2028\x1b[2Jb\0c\r',
      { message: 'a [2Jb c', pid: 812, atUs: undefined },
    ],
  ])('"%s" is read', (line, read) => {
    expect(readSyslogLine(line)).toEqual(read);
  });

  it('tells which daemon begins', () => {
    expect(['Started (812)', 'Not Started (812)', 'Started'].map(startedPid)).toEqual([812, undefined, undefined]);
  });
});
