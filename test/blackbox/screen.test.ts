import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FolderGuest, makeFolderGuest } from '../helpers/folder-guest.ts';

const VNC_UNIT = '/etc/systemd/system/vgpu-guest-x11vnc.service';
const BOOT_UNIT = '/etc/systemd/system/vgpu-guest-screen.service';
const SCREEN_STEPS = ['patch-xorg', 'watch-screen', 'restart-display-manager', 'return-to-screen', 'share-screen'];
const ONLY = SCREEN_STEPS.flatMap(step => ['--only', step]);
const DEVICE = 'Section "Device"\n    Identifier "gpu"\n    Driver "nvidia"\nEndSection\n';

let guest: FolderGuest;
beforeEach(() => {
  guest = makeFolderGuest({ nouveau: 'not-bound' });
});
afterEach(() => guest.dispose());

const configure = (text: string) => guest.write('/etc/vgpu-guest/config.yaml', text);
const apply = async () => {
  const ran = await guest.vgpuGuest(['apply', ...ONLY, '--json']);
  const { outcome, steps } = JSON.parse(ran.stdout) as {
    readonly outcome: string;
    readonly steps: readonly { readonly id: string; readonly outcome: string; readonly because: string }[];
  };
  return {
    code: ran.code,
    outcome,
    changed: steps.filter(step => step.outcome === 'changed').map(({ id }) => id),
    steps,
  };
};
/** The second run finds nothing to do, and calls nothing that changes. */
const applyTwice = async () => {
  const first = await apply();
  guest.forgetCalls();
  expect(await apply()).toMatchObject({ outcome: 'settled' });
  expect(guest.calls('change')).toEqual([]);
  return first;
};

describe('the screen of a guest', () => {
  test('is set up for a guest without a monitor, once', async () => {
    configure('xorg:\n  hardDpms: false\n  allowEmptyInitialConfiguration: true\n  virtual: 1920x1080\n');
    guest.write('/etc/X11/xorg.conf', DEVICE);
    expect(await applyTwice()).toMatchObject({ outcome: 'changed', changed: ['patch-xorg'] });
    const text = guest.read('/etc/X11/xorg.conf') ?? '';
    expect(text.match(/HardDPMS|AllowEmptyInitialConfiguration|BusID|Virtual/g)).toHaveLength(4);
  });

  test('keeps every byte of a file that is not UTF-8', async () => {
    configure('xorg: {}\n');
    const [before, after] = ['PCI:0:160:0', 'PCI:0:6:0'].map(busId =>
      Buffer.from(
        DEVICE.replace('EndSection', `# mod\xe8le \xc3\xa9\r\nBusID "${busId}"\nEndSection # \xff`),
        'latin1',
      ),
    );
    guest.write('/etc/X11/xorg.conf', before!);
    const plan = JSON.parse((await guest.vgpuGuest(['plan', '--only', 'patch-xorg', '--json'])).stdout);
    const { diff } = plan.steps[0].verdict.changes[0] as { diff: string };
    expect(diff.match(/^[-+][^-+].*$/gm)).toEqual(['-BusID "PCI:0:160:0"', '+BusID "PCI:0:6:0"']);
    expect(diff).toContain('modèle');
    expect(await applyTwice()).toMatchObject({ changed: ['patch-xorg'] });
    expect(readFileSync(guest.at('/etc/X11/xorg.conf'))).toEqual(after);
    expect((await guest.vgpuGuest(['revert'])).code).toBe(0);
    expect(readFileSync(guest.at('/etc/X11/xorg.conf'))).toEqual(before);
  });

  test('has its BusID looked at at every boot, as long as that is asked for', async () => {
    configure('xorg:\n  atBoot: true\n');
    expect(await applyTwice()).toMatchObject({ changed: ['watch-screen'] });
    expect(guest.read(BOOT_UNIT)).toMatch(/^ExecStart=\S+ \S+vgpu-guest\.mjs .*apply --only patch-xorg --quiet$/m);
    expect((await guest.run('systemctl', 'is-enabled', 'vgpu-guest-screen.service')).stdout).toBe('enabled\n');
    configure('xorg: {}\n');
    expect(await applyTwice()).toMatchObject({ changed: ['watch-screen'] });
    expect(guest.read(BOOT_UNIT)).toBeUndefined();
    expect(guest.list('/etc/systemd/system/graphical.target.wants')).toEqual([]);
  });

  test('comes back where a run was killed during the installation', async () => {
    configure('xorg: {}\n');
    guest.write('/run/vgpu-guest/left-graphical', '');
    expect(await applyTwice()).toMatchObject({ changed: ['return-to-screen'] });
    expect((await guest.run('systemctl', 'is-active', 'graphical.target')).stdout).toBe('active\n');
    expect(guest.list('/run/vgpu-guest')).not.toContain('left-graphical');
  });

  test('is one of which status and doctor speak', async () => {
    configure('xorg: {}\n');
    guest.write('/etc/X11/xorg.conf', DEVICE.replace('EndSection', '    BusID "PCI:0:60:0"\nEndSection'));
    const status = JSON.parse((await guest.vgpuGuest(['status', '--json'])).stdout);
    expect(status.screen).toEqual({ by: 'none', programs: [], gpus: [] });
    const doctor = JSON.parse((await guest.vgpuGuest(['doctor', '--json'])).stdout);
    expect(doctor.findings.map(({ id }: { id: string }) => id)).toContain('busid-wrong');
  });
});

describe('a remote view of the screen', () => {
  const config = 'vnc:\n  passwordFile: /etc/vnc.pass\n  geometry: 1280x720\n';

  test('is refused without a password, and nothing is changed', async () => {
    configure(config);
    expect(await apply()).toMatchObject({ code: 4, outcome: 'blocked' });
    expect(guest.calls('change')).toEqual([]);
    expect(guest.read(VNC_UNIT)).toBeUndefined();
  });

  test.runIf(process.getuid?.() === 0)('comes with the configuration and goes with it', async () => {
    configure(config);
    guest.write('/etc/vnc.pass', 'secret42', 0o600);
    await guest.run('systemctl', 'isolate', 'graphical.target');
    expect(await applyTwice()).toMatchObject({ changed: ['share-screen'] });
    expect(guest.read(VNC_UNIT)).toContain('-rfbauth /etc/vnc.pass -rfbport 5900 -localhost -geometry 1280x720\n');
    expect((await guest.run('systemctl', 'is-active', 'vgpu-guest-x11vnc')).stdout).toBe('active\n');
    configure('xorg: {}\n');
    expect(await apply()).toMatchObject({ changed: ['share-screen'] });
    expect(guest.read(VNC_UNIT)).toBeUndefined();
    expect((await guest.run('systemctl', 'is-active', 'vgpu-guest-x11vnc')).stdout).toBe('inactive\n');
  });

  test.runIf(process.getuid?.() === 0)('says where x11vnc is to be had', async () => {
    using rocky = makeFolderGuest({ family: 'rhel', repositoryLacks: ['x11vnc'], config });
    rocky.write('/etc/vnc.pass', 'secret42', 0o600);
    const ran = await rocky.vgpuGuest(['apply', '--only', 'share-screen']);
    expect(ran).toMatchObject({ code: 1 });
    expect(`${ran.stdout}${ran.stderr}`).toContain('x11vnc comes from EPEL (dnf install epel-release)');
  });
});
