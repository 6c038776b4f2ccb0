import { describe, expect, test } from 'vitest';
import { type FolderGuest, type FolderGuestOptions, makeFolderGuest } from '../helpers/folder-guest.ts';

const CONF = '/etc/nvidia/gridd.conf';
const TOKENS = '/etc/nvidia/ClientConfigToken';

describe('the stand-in nvidia-gridd', () => {
  test('is licensed a moment after its start, by the profile of the vGPU', async () => {
    using guest = await withDriver({ gpuName: 'NVIDIA L40S-4C', license: { expiry: '2026-7-7 16:1:44' } });
    guest.write(`${TOKENS}/a.tok`, guest.tokenText, 0o744);
    expect((await guest.run('systemctl', 'restart', 'nvidia-gridd')).code).toBe(0);
    await talked(guest, 'License acquired');
    expect((await talk(guest)).slice(-4)).toEqual([
      'Ignore service provider and node-locked licensing',
      'NLS initialized',
      'Acquiring license. (Info: api.cls.licensing.nvidia.com; NVIDIA Virtual Compute Server)',
      'License acquired successfully. (Info: api.cls.licensing.nvidia.com, NVIDIA Virtual Compute Server; Expiry: 2026-7-7 16:1:44 GMT)',
    ]);
    expect((await guest.run('nvidia-smi', '-q', '-x')).stdout).toContain(
      '<license_status>Licensed (Expiry: 2026-7-7 16:1:44 GMT)</license_status>',
    );
  });

  test('returns the license when it is stopped', async () => {
    using guest = await withDriver();
    guest.write(`${TOKENS}/a.tok`, guest.tokenText, 0o744);
    await guest.run('systemctl', 'start', 'nvidia-gridd');
    await talked(guest, 'License acquired');
    await guest.run('systemctl', 'stop', 'nvidia-gridd');
    expect((await guest.run('nvidia-smi', '-q')).stdout).toMatch(/License Status +: Unlicensed \(Unrestricted\)$/m);
  });

  test('is stopped after its unit file has gone, and then not known any more', async () => {
    using guest = await withDriver();
    await guest.run('systemctl', 'start', 'nvidia-gridd');
    for (const folder of ['etc', 'run', 'usr/lib', 'lib'])
      guest.remove(`/${folder}/systemd/system/nvidia-gridd.service`);
    expect((await guest.run('systemctl', 'show', '-p', 'LoadState,ActiveState', 'nvidia-gridd')).stdout).toBe(
      'LoadState=not-found\nActiveState=active\n',
    );
    expect((await guest.run('systemctl', 'stop', 'nvidia-gridd')).code).toBe(0);
    expect(await guest.run('systemctl', 'stop', 'nvidia-gridd')).toMatchObject({
      code: 5,
      stderr: 'Failed to stop nvidia-gridd.service: Unit nvidia-gridd.service not loaded.\n',
    });
  });

  test('waits without a token, and takes one that comes later', async () => {
    using guest = await withDriver();
    await guest.run('systemctl', 'start', 'nvidia-gridd');
    expect((await talk(guest)).at(-1)).toBe('Unable to fetch the client configuration token file');
    expect((await guest.run('systemctl', 'is-active', 'nvidia-gridd')).stdout).toBe('active\n');
    guest.write(`${TOKENS}/a.tok`, guest.tokenText, 0o744);
    await talked(guest, 'License acquired');
  });

  test.each([
    ['a second file beside it', (guest: FolderGuest) => guest.write(`${TOKENS}/gridd.conf`, '')],
    ['carriage returns', (guest: FolderGuest) => guest.write(`${TOKENS}/a.tok`, `${guest.tokenText}\r\n`)],
    ['its end missing', (guest: FolderGuest) => guest.write(`${TOKENS}/a.tok`, guest.tokenText.slice(0, -9))],
    ['a login page in its place', (guest: FolderGuest) => guest.write(`${TOKENS}/a.tok`, '<html></html>\n')],
  ])('dies of a token with %s', async (_, spoil) => {
    using guest = await withDriver();
    guest.write(`${TOKENS}/a.tok`, guest.tokenText, 0o744);
    spoil(guest);
    const { code, stderr } = await guest.run('systemctl', 'restart', 'nvidia-gridd');
    expect(code).toBe(1);
    expect(stderr).toContain('Job for nvidia-gridd.service failed because the control process exited with error code.');
    expect((await talk(guest)).slice(-4)).toEqual([
      'Failed to decode signature from token received',
      'Failed to read configurations from client configuration token (Error: 3)',
      'Failed to setup cloud License Manager: 3',
      expect.stringMatching(/^Shutdown \(\d+\)$/),
    ]);
    const shown = await guest.run('systemctl', 'show', 'nvidia-gridd', '-p', 'ActiveState,Result,ExecMainStatus');
    expect(shown.stdout).toBe('Result=exit-code\nExecMainStatus=1\nActiveState=failed\n');
  });

  test('can die after systemd has called it started', async () => {
    using guest = await withDriver({ license: { death: 'late' } });
    guest.write(`${TOKENS}/a.tok`, 'no token', 0o744);
    expect((await guest.run('systemctl', 'restart', 'nvidia-gridd')).code).toBe(0);
    await talked(guest, 'Shutdown');
    const state = async () => (await guest.run('systemctl', 'is-active', 'nvidia-gridd')).stdout;
    await expect.poll(state).toBe('failed\n');
  });

  test('reads FeatureType on a GPU that is passed through, and keeps what was licensed until the next boot', async () => {
    using guest = await withDriver({ mode: 'pass-through' });
    guest.write(`${TOKENS}/a.tok`, guest.tokenText, 0o744);
    await guest.run('systemctl', 'restart', 'nvidia-gridd');
    expect(await talk(guest)).toContain('Invalid feature type requested');

    guest.write(CONF, '# FeatureType=4\nFeatureType = 2\n');
    await guest.run('systemctl', 'restart', 'nvidia-gridd');
    await talked(guest, 'License acquired');
    guest.write(CONF, 'FeatureType=4\n');
    await guest.run('systemctl', 'restart', 'nvidia-gridd');
    await talked(guest, 'License acquired', 2);
    expect((await talk(guest)).at(-1)).toContain('NVIDIA RTX Virtual Workstation');
  });

  test('asks the legacy server before R525 and no longer from then on', async () => {
    using old = await withDriver({ version: '470.256.02' });
    old.write(CONF, 'ServerAddress=10.5.8.208\nServerPort=7070\n');
    await old.run('systemctl', 'restart', 'nvidia-gridd');
    await talked(old, 'License acquired successfully. (Info: http://10.5.8.208:7070/request,');

    using later = await withDriver({ version: '550.144.03' });
    later.write(CONF, 'ServerAddress=10.5.8.208\n');
    await later.run('systemctl', 'restart', 'nvidia-gridd');
    expect((await talk(later)).at(-1)).toBe('Unable to fetch the client configuration token file');
  });

  test('writes its lines into the system log too', async () => {
    using guest = await withDriver();
    await guest.run('systemctl', 'restart', 'nvidia-gridd');
    expect(guest.read('/var/log/syslog')).toMatch(
      /^\w{3} [ \d]\d \d\d:\d\d:\d\d guest nvidia-gridd: Started \(\d+\)$/m,
    );
  });
});

async function withDriver(options: FolderGuestOptions = {}): Promise<FolderGuest> {
  const guest = makeFolderGuest({ family: 'debian', nouveau: 'not-bound', prerequisites: 'installed', ...options });
  const { code, stderr } = await guest.run('sh', guest.packagePath, '--silent', '--dkms');
  if (code !== 0) throw new Error(stderr);
  return guest;
}

async function talk(guest: FolderGuest): Promise<readonly string[]> {
  const { stdout } = await guest.run('journalctl', '--output', 'cat', 'SYSLOG_IDENTIFIER=nvidia-gridd');
  return stdout.trimEnd().split('\n');
}

async function talked(guest: FolderGuest, words: string, times = 1): Promise<void> {
  await expect.poll(async () => (await talk(guest)).filter(line => line.includes(words)).length).toBe(times);
}
