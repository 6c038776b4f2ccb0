import { describe, expect, test } from 'vitest';
import { type FolderGuest, makeFolderGuest, type Ran } from '../helpers/folder-guest.ts';

const STATE = '/var/lib/stubs/ecc';
const READY = { nouveau: 'not-bound', prerequisites: 'installed' } as const;

interface Answer {
  readonly outcome: string;
  readonly steps: readonly {
    readonly id: string;
    readonly outcome: string;
    readonly because: string;
    readonly remedy?: string;
  }[];
}

function ask(guest: FolderGuest, ecc: boolean): void {
  const text = guest.read('/etc/vgpu-guest/config.yaml') ?? '';
  guest.write('/etc/vgpu-guest/config.yaml', `${text.replace(/gpu:\n.*\n/, '')}gpu:\n  ecc: ${ecc}\n`);
}
const stepOf = (ran: Ran) => (JSON.parse(ran.stdout) as Answer).steps.find(({ id }) => id === 'set-ecc');
const set = (guest: FolderGuest) => guest.calls('change').filter(({ program }) => program === 'nvidia-smi');

describe.each(['rhel', 'debian'] as const)('ECC on a guest of the %s family', family => {
  test('is turned off in the same run that installs the driver, counts after the reboot, and is then left alone', async () => {
    using guest = makeFolderGuest({ family, ...READY });
    guest.write(STATE, 'Enabled Enabled\n');
    ask(guest, false);
    const plan = await guest.vgpuGuest(['plan', '--json']);
    expect(stepOf(plan)).toMatchObject({ verdict: { is: 'due' } });
    const first = await guest.vgpuGuest(['apply', '--json']);
    expect(first.code).toBe(3);
    expect(stepOf(first)).toMatchObject({
      outcome: 'reboot-needed',
      because: 'ECC of the GPU 0000:00:06.0 is on until a reboot',
    });
    expect(set(guest).map(({ args }) => args)).toEqual([['-i', '0000:00:06.0', '-e', '0']]);
    expect((await guest.vgpuGuest(['reboot-required'])).code).toBe(0);
    expect((await guest.vgpuGuest(['status'])).stdout).toContain('ECC Enabled (pending Disabled)');

    guest.forgetCalls();
    expect((await guest.vgpuGuest(['apply'])).code).toBe(3); // nobody has rebooted yet
    expect(set(guest)).toEqual([]);

    expect((await guest.reboot()).resumed?.code).toBe(0);
    guest.forgetCalls();
    const tree = JSON.stringify(guest.manifest());
    const second = await guest.vgpuGuest(['apply', '--json']);
    expect(JSON.parse(second.stdout)).toMatchObject({ outcome: 'settled', changed: false });
    expect(guest.calls('change')).toEqual([]);
    expect(JSON.stringify(guest.manifest())).toBe(tree);
    const { gpus } = JSON.parse((await guest.vgpuGuest(['status', '--json'])).stdout);
    expect(gpus).toMatchObject([{ ecc: { current: 'Disabled', pending: 'Disabled' } }]);
  });
});

test('a revert turns ECC on again after the next boot, and forgets that it was off', async () => {
  using guest = await licensed();
  guest.write(STATE, 'Enabled Enabled\n');
  ask(guest, false);
  await guest.vgpuGuest(['apply']);
  expect((await guest.reboot()).resumed?.code).toBe(0);
  expect(guest.read('/var/lib/vgpu-guest/changes.json')).toContain('"0000:00:06.0": "on"');

  const reverted = await guest.vgpuGuest(['revert', '--json']);
  expect(reverted.code).toBe(3);
  expect(guest.read(STATE)).toBe('Disabled Enabled\n');
  expect(guest.read('/var/lib/vgpu-guest/changes.json')).not.toContain('ecc');
  expect((await guest.vgpuGuest(['revert'])).code).toBe(3); // nobody has rebooted yet

  await guest.reboot();
  expect(guest.read(STATE)).toBe('Enabled Enabled\n');
  guest.forgetCalls();
  expect((await guest.vgpuGuest(['revert', '--detailed-exitcode'])).code).toBe(0);
  expect(guest.calls('change')).toEqual([]);
});

test('a revert turns ECC on again before the driver goes that it needs for it, and nothing is left on record', async () => {
  using guest = await licensed();
  guest.write(STATE, 'Enabled Enabled\n');
  ask(guest, false);
  await guest.vgpuGuest(['apply']);
  await guest.reboot();
  expect((await guest.vgpuGuest(['revert', '--driver', '--packages'])).code).toBe(3);
  expect(guest.read(STATE)).toBe('Disabled Enabled\n');
  expect(guest.read('/var/lib/vgpu-guest/changes.json')).toBeUndefined();
});

test('a host that does not let a revert turn ECC on again is named, and keeps nothing else from going back', async () => {
  using guest = await licensed();
  guest.write(STATE, 'Enabled Enabled\n');
  ask(guest, false);
  await guest.vgpuGuest(['apply']);
  await guest.reboot();
  const said = 'Unable to set ECC mode for GPU 00000000:00:06.0: Not Supported';
  guest.write('/var/lib/stubs/ecc-refusal', `0\n${said}\nTreating as warning and moving on.\nAll done.\n`);
  const { code, stderr } = await guest.vgpuGuest(['revert']);
  expect(code, stderr).toBe(0);
  expect(stderr).toContain(said);
  expect(stderr).toContain('it stays as it is: the host decides');
  expect(guest.read('/var/lib/vgpu-guest/changes.json')).not.toContain('"ecc"');
});

describe('a host that does not allow it', () => {
  test('is named with the words of nvidia-smi, although that ends well', async () => {
    using guest = await licensed();
    guest.write(STATE, 'Enabled Enabled\n');
    const said = 'Unable to set ECC mode for GPU 00000000:00:06.0: Not Supported';
    guest.write('/var/lib/stubs/ecc-refusal', `0\n${said}\nTreating as warning and moving on.\nAll done.\n`);
    ask(guest, false);
    const { code, stdout } = await guest.vgpuGuest(['apply', '--json']);
    expect(code).toBe(1);
    const step = (JSON.parse(stdout) as Answer).steps.find(({ id }) => id === 'set-ecc');
    expect(step?.because).toContain(`nvidia-smi -i 0000:00:06.0 -e 0: ${said}`);
    expect(step?.remedy).toContain('the host decides about ECC of a vGPU');
  });

  test('is not rebooted against', async () => {
    using guest = await licensed();
    guest.write(STATE, 'Disabled Disabled\n');
    guest.write('/var/lib/stubs/ecc-of-host', 'Disabled\n');
    ask(guest, true);
    expect((await guest.vgpuGuest(['apply', '--reboot', 'auto'])).code).toBe(3);
    const { resumed } = await guest.reboot();
    expect(resumed?.code).toBe(1);
    expect(resumed?.stderr).toContain(
      'the guest was rebooted for this already, and still ECC of the GPU 0000:00:06.0 is off',
    );
    expect(resumed?.stderr).toContain('shut the guest down and start it again');
    expect(
      guest.calls('change').some(({ args }) => args[0] === 'enable' && args[1] === 'vgpu-guest-resume.service'),
    ).toBe(true);
    expect((await guest.reboot()).resumed).toBeUndefined();
  });
});

test('a GPU without ECC blocks a run that asks for it before anything is changed, and doctor says why', async () => {
  using guest = await licensed();
  ask(guest, true);
  guest.forgetCalls();
  const ran = await guest.vgpuGuest(['apply', '--json']);
  expect(ran.code).toBe(4);
  expect(stepOf(ran)).toMatchObject({ outcome: 'blocked', because: expect.stringContaining('ECC N/A') });
  expect(guest.calls('change')).toEqual([]);
  const { findings } = JSON.parse((await guest.vgpuGuest(['doctor', '--json'])).stdout);
  expect(findings).toContainEqual(expect.objectContaining({ id: 'ecc-differs', severity: 'warning' }));
  ask(guest, false);
  expect((await guest.vgpuGuest(['apply', '--detailed-exitcode'])).code).toBe(0);
});

async function licensed(): Promise<FolderGuest> {
  const guest = makeFolderGuest({ family: 'suse', ...READY });
  const { code, stderr } = await guest.vgpuGuest(['apply']);
  if (code !== 0) throw new Error(stderr);
  return guest;
}
