import { describe, expect, test } from 'vitest';
import { type FolderGuest, type FolderGuestOptions, makeFolderGuest } from '../helpers/folder-guest.ts';

/** One run is enough: nothing has taken the GPU, and everything to build with is there. */
const nearly = { family: 'suse', nouveau: 'not-bound', prerequisites: 'installed' } as const;

async function settle(options: FolderGuestOptions): Promise<{ guest: FolderGuest; license: unknown; log: string }> {
  const guest = makeFolderGuest({ ...nearly, ...options });
  const first = await guest.vgpuGuest(['apply', '--json']);
  expect(first.code, first.stderr).toBe(0);
  guest.forgetCalls();
  const second = await guest.vgpuGuest(['apply', '--json']);
  expect(JSON.parse(second.stdout)).toMatchObject({ outcome: 'settled', changed: false });
  expect(guest.calls('change')).toEqual([]);
  return { guest, license: JSON.parse(second.stdout).license, log: first.stderr };
}

const packageOf = (version: string) => `/opt/NVIDIA-Linux-x86_64-${version}-grid.run`;

describe('a license', () => {
  test('comes from a legacy license server, by a driver that still knows one', async () => {
    const config = `driver: { package: ${packageOf('510.108.03')} }\nlicense: { server: { address: 10.5.8.208 } }\n`;
    const { guest, license } = await settle({ version: '510.108.03', config });
    using _ = guest;
    expect(license).toMatchObject({ state: 'licensed' });
    const active = (guest.read('/etc/nvidia/gridd.conf') ?? '').split('\n').filter(line => /^[A-Z]/.test(line));
    expect(active).toEqual(expect.arrayContaining(['ServerAddress=10.5.8.208', 'ServerPort=7070']));
    expect(active.join('\n')).not.toContain('ClientConfigTokenPath');
  });

  test('is followed in the log of the system logger where there is no journal', async () => {
    const { guest, license, log } = await settle({ journal: 'absent', license: { delayS: 2 } });
    using _ = guest;
    expect(license).toMatchObject({ state: 'licensed' });
    expect(log).toContain('nvidia-gridd: License acquired successfully.');
  });

  test('of a GPU by pass-through is the one that was asked for', async () => {
    const config = `driver: { package: ${packageOf('570.211.01')} }\nlicense:\n  token: /opt/client_configuration_token_11-20-2026-10-00-00.tok\n  feature: vws\n`;
    const { guest, license } = await settle({ mode: 'pass-through', config });
    using _ = guest;
    expect(license).toMatchObject({ state: 'licensed', product: 'NVIDIA RTX Virtual Workstation' });
    expect(guest.read('/etc/nvidia/gridd.conf')).toMatch(/^FeatureType=2$/m);
  });

  test('of another product takes a reboot, after which the journey goes on by itself', async () => {
    const config = (feature: string) =>
      `driver: { package: ${packageOf('570.211.01')} }\nlicense:\n  token: /opt/client_configuration_token_11-20-2026-10-00-00.tok\n  feature: ${feature}\n`;
    const { guest } = await settle({ mode: 'pass-through', config: config('vws') });
    using _ = guest;
    guest.write('/etc/vgpu-guest/config.yaml', config('compute'));
    const changed = await guest.vgpuGuest(['apply', '--json']);
    expect(changed.code).toBe(3);
    expect(JSON.parse(changed.stdout).steps.find(({ id }: { id: string }) => id === 'await-license')).toMatchObject({
      outcome: 'reboot-needed',
      because: expect.stringMatching(/^the driver keeps NVIDIA RTX Virtual Workstation/),
    });
    expect((await guest.reboot()).resumed?.code).toBe(0);
    expect(JSON.parse((await guest.vgpuGuest(['status', '--json'])).stdout).license).toMatchObject({
      state: 'licensed',
      product: 'NVIDIA Virtual Compute Server',
    });
  });

  test('is not taken by a token that still lies there, where a legacy server is asked for', async () => {
    const package_ = `driver: { package: ${packageOf('510.108.03')} }\n`;
    const token = 'license: { token: /opt/client_configuration_token_11-20-2026-10-00-00.tok }\n';
    const { guest } = await settle({ version: '510.108.03', config: package_ + token });
    using _ = guest;
    guest.write('/etc/vgpu-guest/config.yaml', `${package_}license: { server: { address: 10.5.8.208 } }\n`);
    expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
    expect(guest.list('/etc/nvidia/ClientConfigToken')).toEqual([]);
    expect(guest.list('/var/lib/vgpu-guest/set-aside')).toEqual(['client_configuration_token_11-20-2026-10-00-00.tok']);
    expect(guest.read('/var/lib/stubs/journal')?.trimEnd().split('\n').at(-1)).toContain(
      'http://10.5.8.208:7070/request',
    );
    guest.forgetCalls();
    expect((await guest.vgpuGuest(['apply', '--detailed-exitcode'])).code).toBe(0);
    expect(guest.calls('change')).toEqual([]);
  });

  test('is not needed by a GPU by pass-through with a data-center driver', async () => {
    const config = 'driver: { package: /opt/NVIDIA-Linux-x86_64-570.211.01.run }\n';
    const { guest, license } = await settle({ mode: 'pass-through', flavor: 'data-center', config });
    using _ = guest;
    expect(license).toEqual({ state: 'not-required' });
  });
});
