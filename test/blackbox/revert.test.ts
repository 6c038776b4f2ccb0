import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FolderGuest, type FolderGuestOptions, makeFolderGuest, type Ran } from '../helpers/folder-guest.ts';
import { settleBare, treeOf } from '../helpers/revert.ts';

const RECORD = '/var/lib/vgpu-guest/changes.json';
const TOKENS = '/etc/nvidia/ClientConfigToken';
const XORG = '/etc/X11/xorg.conf';
const DEVICE =
  '# the only screen\nSection "Device"\n\tIdentifier "gpu"\n\tDriver "nvidia"\n\tBusID "PCI:9:9:0"\nEndSection\n';
const ALL = ['--driver', '--packages'];

interface Step {
  readonly id: string;
  readonly outcome: string;
  readonly because: string;
  readonly warnings?: readonly string[];
}
const report = ({ stdout }: Ran) => JSON.parse(stdout) as { outcome: string; changed: boolean; steps: readonly Step[] };
const warningsOf = (ran: Ran) => report(ran).steps.flatMap(({ warnings = [] }) => warnings);
const stepOf = (ran: Ran, id: string) => report(ran).steps.find(step => step.id === id);
const isInitrd = (name: string) => name.startsWith('init');
/** How a solver is asked what would go with packages. */
const isTest = (word: string) => ['--simulate', '--dry-run', '--assumeno', '--test'].includes(word);
const licenseOf = async (guest: FolderGuest) =>
  JSON.parse((await guest.vgpuGuest(['status', '--json'])).stdout).license.state as string;

describe.each(['sles-15.6', 'rocky-9', 'ubuntu-24.04'] as const)('a licensed %s', distribution => {
  let guest: FolderGuest;
  let bare: ReturnType<typeof treeOf>;
  beforeAll(async () => {
    guest = makeFolderGuest({ distribution });
    await settleBare(guest);
    bare = treeOf(guest);
    await guest.vgpuGuest(['apply']);
    await guest.reboot();
  });
  afterAll(() => guest.dispose());

  test('is licensed, and a plan to revert it changes nothing', async () => {
    expect(await licenseOf(guest)).toBe('licensed');
    const before = guest.manifest();
    guest.forgetCalls();
    const plan = await guest.vgpuGuest(['revert', '--plan', ...ALL, '--json', '--detailed-exitcode']);
    expect(plan.code).toBe(2);
    expect(JSON.parse(plan.stdout)).toMatchObject({ schema: 'vgpu-guest/plan/1', changesDue: true });
    expect(plan.stdout).toContain('-ClientConfigTokenPath=');
    expect(plan.stdout).not.toContain(guest.tokenText.slice(0, 60));
    expect(guest.calls('change')).toEqual([]);
    expect(guest.manifest()).toEqual(before);
  });

  test('gives its license and its files back, and keeps its driver with what that needs', async () => {
    guest.forgetCalls();
    const ran = await guest.vgpuGuest(['revert', '--json']);
    expect(ran.code, ran.stderr).toBe(0);
    expect(await licenseOf(guest)).not.toBe('licensed');
    expect(guest.list(TOKENS)).toEqual([]);
    expect(guest.read('/etc/nvidia/gridd.conf')).toBeUndefined();
    expect((await guest.run('modinfo', '-F', 'version', 'nvidia')).stdout.trim()).toBe('570.211.01');
    expect(guest.list('/etc/modprobe.d').length).toBeGreaterThan(0);
    expect(warningsOf(ran).join('\n')).toMatch(
      /revert --driver takes them away[\s\S]*revert --driver --packages takes them/,
    );
    // what takes seconds each is not looked at again because a daemon was stopped
    const looks = guest.calls('look');
    expect(looks.filter(({ program }) => /^lsinit/.test(program))).toHaveLength(
      guest.list('/boot').filter(isInitrd).length,
    );
    expect(looks.filter(({ program, args }) => program === 'dkms' || args.some(isTest)).length).toBeLessThanOrEqual(2);
    expect((await guest.reboot()).nouveauBound).toBe(false);
  });

  test('is not changed by a second run', async () => {
    // its driver has started the daemon again at boot, and that is the driver's own business
    await guest.run('systemctl', 'stop', 'nvidia-gridd');
    guest.forgetCalls();
    const before = guest.manifest();
    const ran = await guest.vgpuGuest(['revert', '--json', '--detailed-exitcode']);
    expect([ran.code, report(ran).outcome, guest.calls('change')]).toEqual([0, 'settled', []]);
    expect(guest.manifest()).toEqual(before);
  });

  test('without driver and packages is the bare guest, byte by byte', async () => {
    const ran = await guest.vgpuGuest(['revert', ...ALL, '--json']);
    expect(ran.code, ran.stderr).toBe(3);
    expect(stepOf(ran, 'return-to-nouveau')).toMatchObject({ outcome: 'reboot-needed' });
    expect(treeOf(guest)).toEqual(bare);
    expect(guest.list('/etc/systemd/system/multi-user.target.wants')).toEqual(['sshd.service']);
  });

  test('is told of the reboot as long as there was none, and then has nouveau again', async () => {
    guest.forgetCalls();
    expect((await guest.vgpuGuest(['revert', ...ALL])).code).toBe(3);
    const boot = await guest.reboot();
    expect(boot).toEqual({ nouveauBound: true, resumed: undefined });
    const ran = await guest.vgpuGuest(['revert', ...ALL, '--json']);
    expect([ran.code, report(ran).outcome, report(ran).changed]).toEqual([0, 'settled', false]);
    expect(guest.calls('change')).toEqual([]);
    expect(treeOf(guest)).toEqual(bare);
  });

  test('comes to its license again, and back once more', async () => {
    expect((await guest.vgpuGuest(['apply'])).code).toBe(3);
    expect((await guest.reboot()).resumed?.code).toBe(0);
    expect(await licenseOf(guest)).toBe('licensed');
    expect((await guest.vgpuGuest(['revert', ...ALL])).code).toBe(3);
    expect(treeOf(guest)).toEqual(bare);
  });
});

/** A guest that one run brings to its license. */
async function licensed(options: FolderGuestOptions = {}, prepare: (guest: FolderGuest) => void = () => {}) {
  const guest = makeFolderGuest({ nouveau: 'not-bound', prerequisites: 'installed', ...options });
  prepare(guest);
  await settleBare(guest);
  const bare = treeOf(guest);
  const ran = await guest.vgpuGuest(['apply']);
  expect(ran.code, ran.stderr).toBe(0);
  return { guest, bare };
}

describe('what was there before', () => {
  test('comes back byte by byte, with its mode; what was in the way has its place again', async () => {
    const { guest, bare } = await licensed({}, folder => {
      folder.write(XORG, DEVICE.replaceAll('\n', '\r\n'), 0o640);
      folder.write(`${TOKENS}/notes.txt`, 'not a token\n', 0o600);
      folder.write('/etc/modprobe.d/50-blacklist.conf', '# of our own\nblacklist floppy\n', 0o600);
    });
    using _ = guest;
    expect(guest.read(XORG)).toContain('BusID "PCI:0:6:0"');
    expect(guest.list(TOKENS)).not.toContain('notes.txt');
    const ran = await guest.vgpuGuest(['revert', '--driver', '--json']);
    expect(ran.code, ran.stderr).toBe(3);
    expect(treeOf(guest)).toEqual(bare);
    const image = guest.list('/boot').find(name => name.startsWith('initrd-')) ?? '';
    expect(guest.read(`/boot/${image}`)).toContain(' blacklist floppy');
    expect(guest.read(`/boot/${image}`)).not.toContain('nouveau modeset');
  });

  test('stays where it is the very token that is asked for', async () => {
    const { guest } = await licensed({}, folder =>
      folder.write(`${TOKENS}/${folder.tokenPath.slice(5)}`, folder.tokenText, 0o600),
    );
    using _ = guest;
    expect((await guest.vgpuGuest(['revert'])).code).toBe(0);
    const [name = ''] = guest.list(TOKENS);
    expect(guest.read(`${TOKENS}/${name}`)).toBe(guest.tokenText);
    expect(guest.manifest()[`${TOKENS}/${name}`]).toMatch(/^file 600 /);
  });

  test('is a running nvidia-gridd with a configuration of its own, which runs with it again', async () => {
    const own = 'FeatureType=2\n';
    const { guest } = await licensed();
    using _ = guest;
    await guest.vgpuGuest(['revert']);
    // as a cloud's image has it
    guest.remove('/var/lib/vgpu-guest');
    guest.write('/etc/nvidia/gridd.conf', own);
    await guest.run('systemctl', 'restart', 'nvidia-gridd');
    expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
    expect(guest.read('/etc/nvidia/gridd.conf')).not.toBe(own);
    const ran = await guest.vgpuGuest(['revert', '--json']);
    expect(stepOf(ran, 'return-license')).toMatchObject({ outcome: 'changed' });
    expect(stepOf(ran, 'restore-services')).toMatchObject({ outcome: 'changed' });
    expect(guest.read('/etc/nvidia/gridd.conf')).toBe(own);
    expect((await guest.run('systemctl', 'is-active', 'nvidia-gridd')).stdout).toBe('active\n');
  });
});

describe('what somebody has changed since', () => {
  test('is left alone and named, stays on record, and goes back by force', async () => {
    const { guest, bare } = await licensed();
    using _ = guest;
    const theirs = `${guest.read('/etc/nvidia/gridd.conf')}EnableUI=TRUE\n`;
    guest.write('/etc/nvidia/gridd.conf', theirs);
    const first = await guest.vgpuGuest(['revert', '--json']);
    expect(first.code).toBe(0);
    expect(warningsOf(first).join('\n')).toMatch(
      /gridd\.conf was made by vgpu-guest, and by somebody else since: .*--force/,
    );
    expect(guest.read('/etc/nvidia/gridd.conf')).toBe(theirs);
    expect(guest.list(TOKENS)).toEqual([]);
    expect(JSON.parse(guest.read(RECORD) ?? '{}').files).toHaveProperty(['/etc/nvidia/gridd.conf']);
    expect((await guest.vgpuGuest(['revert', '--driver', '--force'])).code).toBe(3);
    expect(treeOf(guest)).toEqual(bare);
  });

  test('is left alone also where apply has written over it again', async () => {
    const { guest } = await licensed();
    using _ = guest;
    guest.write('/etc/nvidia/gridd.conf', 'EnableUI=TRUE\n');
    expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
    expect(guest.read('/etc/nvidia/gridd.conf')).toMatch(/EnableUI=TRUE[\s\S]*ClientConfigTokenPath/);
    expect(warningsOf(await guest.vgpuGuest(['revert', '--json'])).join('\n')).toContain('gridd.conf');
    expect(guest.read('/etc/nvidia/gridd.conf')).toContain('EnableUI=TRUE');
  });
});

describe('the record', () => {
  test('is for root alone, as are originals of tokens', async () => {
    const { guest } = await licensed({}, folder =>
      folder.write(`${TOKENS}/${folder.tokenPath.slice(5)}`, 'old', 0o644),
    );
    using _ = guest;
    expect(guest.manifest()['/var/lib/vgpu-guest']).toBe('directory 700');
    expect(guest.manifest()[RECORD]).toMatch(/^file 600 /);
    expect(guest.manifest()[`/var/lib/vgpu-guest/originals${TOKENS}/${guest.tokenPath.slice(5)}`]).toMatch(
      /^file 600 /,
    );
    await guest.vgpuGuest(['revert']);
    expect(guest.read(`${TOKENS}/${guest.tokenPath.slice(5)}`)).toBe('old');
    expect(guest.manifest()[`${TOKENS}/${guest.tokenPath.slice(5)}`]).toMatch(/^file 644 /);
  });

  test('that is lost leaves the originals, which go back', async () => {
    const { guest } = await licensed({}, folder => folder.write(XORG, DEVICE));
    using _ = guest;
    guest.remove(RECORD);
    const ran = await guest.vgpuGuest(['revert', '--json']);
    expect(ran.code, ran.stderr).toBe(0);
    expect(guest.read(XORG)).toBe(DEVICE);
    expect(warningsOf(ran).join('\n')).toContain(`${XORG} goes back without a record`);
  });

  test.each([
    ['that nobody can read', '{"schema": "vgpu-guest/changes/1", "files": ['],
    ['of a later release', '{"schema": "vgpu-guest/changes/2"}'],
    [
      'that names no path',
      '{"schema":"vgpu-guest/changes/1","files":{"etc":{"before":null,"ours":[]}},"folders":[],"moves":[],"packages":[],"units":{}}',
    ],
  ])('%s ends revert before anything is changed', async (_, text) => {
    const { guest } = await licensed();
    using __ = guest;
    guest.write(RECORD, text, 0o600);
    guest.forgetCalls();
    const before = guest.manifest();
    const ran = await guest.vgpuGuest(['revert', ...ALL]);
    expect(ran.code).toBe(4);
    expect(ran.stderr).toContain('is not what this program wrote');
    expect(guest.calls('change')).toEqual([]);
    expect(guest.manifest()).toEqual(before);
  });
});

describe('a revert', () => {
  test('of a guest that waits for its reboot lets nothing go on after it', async () => {
    using guest = makeFolderGuest({ family: 'debian' });
    await settleBare(guest);
    const bare = treeOf(guest);
    expect((await guest.vgpuGuest(['apply'])).code).toBe(3);
    const ran = await guest.vgpuGuest(['revert', ...ALL]);
    expect(ran.code, ran.stderr).toBe(0);
    expect(treeOf(guest)).toEqual(bare);
    expect(await guest.reboot()).toEqual({ nouveauBound: true, resumed: undefined });
  });

  test('takes the units of the screen away', async () => {
    using guest = makeFolderGuest({ nouveau: 'not-bound', config: 'xorg:\n  atBoot: true\n' });
    await settleBare(guest);
    const bare = treeOf(guest);
    await guest.vgpuGuest(['apply', '--only', 'watch-screen']);
    expect(guest.list('/etc/systemd/system/graphical.target.wants')).toContain('vgpu-guest-screen.service');
    expect((await guest.vgpuGuest(['revert'])).code).toBe(0);
    expect(treeOf(guest)).toEqual(bare);
  });

  test('leaves the graphical target for the driver, and comes back to it', async () => {
    const { guest } = await licensed({ x: 'running' });
    using _ = guest;
    const ran = await guest.vgpuGuest(['revert', '--driver']);
    expect(ran.code, ran.stderr).toBe(3);
    const isolated = guest.calls('change').filter(({ args }) => args[0] === 'isolate');
    expect(isolated.map(({ args }) => args[1]).slice(-2)).toEqual(['multi-user.target', 'graphical.target']);
    expect(guest.list('/run/vgpu-guest')).not.toContain('left-graphical');
  });

  test('on a root that cannot be written is blocked', async () => {
    const { guest } = await licensed();
    using _ = guest;
    guest.write('/proc/self/mounts', '/dev/vda2 / btrfs ro,relatime 0 0\n');
    const before = guest.manifest();
    const ran = await guest.vgpuGuest(['revert', ...ALL]);
    expect([ran.code, ran.stderr.includes('mounted read-only')]).toEqual([4, true]);
    expect(guest.manifest()).toEqual(before);
  });

  test('of a guest that was never changed has nothing to do', async () => {
    using guest = makeFolderGuest({ gpus: 0, config: '' });
    const before = guest.manifest();
    expect((await guest.vgpuGuest(['revert', ...ALL, '--detailed-exitcode'])).code).toBe(0);
    expect(guest.calls('change')).toEqual([]);
    expect(guest.manifest()).toEqual(before);
  });
});

describe('the driver', () => {
  test('that somebody else has installed goes by force only', async () => {
    const { guest } = await licensed();
    using _ = guest;
    guest.remove('/var/lib/vgpu-guest');
    const refused = await guest.vgpuGuest(['revert', '--driver']);
    expect([refused.code, refused.stderr.includes('was not installed by vgpu-guest')]).toEqual([4, true]);
    expect((await guest.vgpuGuest(['revert', '--driver', '--force'])).code).toBe(0);
    expect((await guest.run('modinfo', 'nvidia')).code).toBe(1);
  });

  test('that its uninstaller leaves, with exit code 0, is not called gone', async () => {
    const { guest } = await licensed();
    using _ = guest;
    guest.remove('/usr/bin/nvidia-uninstall');
    guest.write('/usr/bin/nvidia-uninstall', '#!/bin/sh\nexit 0\n', 0o755);
    const ran = await guest.vgpuGuest(['revert', '--driver']);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(
      /ended with exit code 0, and still \/var\/lib\/nvidia\/log is there and the module nvidia is on disk/,
    );
    expect(guest.list('/etc/modprobe.d')).toContain('50-blacklist.conf');
    expect((await guest.run('systemctl', 'is-active', 'nvidia-gridd')).stdout).toBe('inactive\n');
  });

  test('without any uninstaller is not touched', async () => {
    const { guest } = await licensed();
    using _ = guest;
    for (const name of ['nvidia-uninstall', 'nvidia-installer']) guest.remove(`/usr/bin/${name}`);
    const ran = await guest.vgpuGuest(['revert', '--driver']);
    expect([ran.code, ran.stderr.includes('--uninstall')]).toEqual([4, true]);
  });
});

describe('packages', () => {
  test('stay as long as the driver does that is built with them', async () => {
    const { guest } = await licensed({ prerequisites: 'missing' });
    using _ = guest;
    const ran = await guest.vgpuGuest(['revert', '--packages']);
    expect([ran.code, ran.stderr.includes('give --driver as well')]).toEqual([4, true]);
  });

  test.each(['suse', 'rhel', 'debian'] as const)('of a %s guest that others need by now stay', async family => {
    const { guest } = await licensed({ family, prerequisites: 'missing' });
    using _ = guest;
    guest.write('/var/lib/stubs/packages', `${guest.read('/var/lib/stubs/packages')}build-tools 1.0-1\n`);
    guest.write('/var/lib/stubs/needs', 'build-tools gcc\ndkms make\n');
    const ran = await guest.vgpuGuest(['revert', ...ALL, '--json']);
    expect(ran.code, ran.stderr).toBe(3);
    expect(warningsOf(ran).join('\n')).toMatch(/gcc\S* stays: it is needed by build-tools/);
    const left = (guest.read('/var/lib/stubs/packages') ?? '').split('\n').map(line => line.split(' ')[0]);
    expect(left).toContain('build-tools');
    expect(left).toContain('gcc');
    for (const name of ['make', 'dkms']) expect(left).not.toContain(name);
  });

  test('that were there before are none of its business', async () => {
    const { guest } = await licensed({ prerequisites: 'missing' }, folder => {
      folder.write('/var/lib/stubs/packages', `${folder.read('/var/lib/stubs/packages')}make 4.2.1-7.3.2\n`);
      folder.write('/usr/bin/make', '#!/bin/sh\nexit 0\n', 0o755);
    });
    using _ = guest;
    await guest.vgpuGuest(['revert', ...ALL]);
    expect(guest.read('/var/lib/stubs/packages')).toContain('make 4.2.1-7.3.2');
    expect(guest.read('/var/lib/stubs/packages')).not.toContain('gcc');
  });
});
