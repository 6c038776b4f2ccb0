/**
 * The screen of a Debian that boots with systemd in a container: the X server with the driver that needs no device, x11vnc and xterm are
 * the distribution's, and so is the package manager that brings x11vnc. Not real, besides what a container never has (see
 * ../container-journey.ts): the display manager, a script that starts X and a session as those do, and NVIDIA's X driver: the
 * configuration that is patched is kept for the test as it stood when the display manager was started, and X itself takes another one.
 */
import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join, resolve } from 'node:path';
import { buildStandInRun } from '../../helpers/stand-in-run.ts';
import { bringProgram, NODE } from '../callers/bed.ts';
import { type Check, indent, runInOrder, type Tally } from '../checks.ts';
import { type Container, createContainer } from '../container.ts';
import { HARDWARE, powerOn } from '../hardware.ts';
import { prepareRoot } from '../license/prepared.ts';
import { until } from '../real-guest.ts';
import { DISPLAY_MANAGER_FILES, SEEN_BY_X, SESSION } from './display-manager.ts';
import { passwordFile, view } from './viewer.ts';

const PACKAGES = ['xserver-xorg-core', 'xserver-xorg-video-dummy', 'xauth', 'xterm', 'procps'];
const PROJECT = resolve(import.meta.dirname, '../../..');
const CONFIG = '/etc/vgpu-guest/config.yaml';
const CONF = '/etc/X11/xorg.conf';
const DEVICE = 'Section "Device"\n    Identifier "gpu"\n    Driver "nvidia"\n    BusID "PCI:9:0:0"\nEndSection\n';
const MINUTE_MS = 60_000;
const OLD = '550.163.01';
/** The container has this machine's network, where the usual port may be taken. */
const PORT = 25_917;
/** As the kernel writes 127.0.0.1 and ::1. */
const LOOPBACK = '0100007F';
const LOOPBACK_6 = '00000000000000000000000001000000';
const PASSWORD = 'secret42';
const PASSWORD_FILE = '/etc/vnc.pass';
const VNC_UNIT = 'vgpu-guest-x11vnc.service';
const VNC = `vnc:\n  passwordFile: ${PASSWORD_FILE}\n  port: ${PORT}\n  geometry: 800x600\n`;
const SCREEN_STEPS = ['patch-xorg', 'watch-screen', 'restart-display-manager', 'return-to-screen', 'share-screen'];
const ONLY = SCREEN_STEPS.flatMap(step => ['--only', step]);
const DRIVER = ['vgpu-guest', 'apply', '--only', 'install-driver', '--json'] as const;

/** As the remedy has it for who would end with the screen. */
const REPLACE = ['systemd-run', '--quiet', '--wait', '--pipe', '--property=IgnoreOnIsolate=yes', ...DRIVER] as const;
/** Lies there for as long as the screen is left. */
const LEFT = '/run/vgpu-guest/left-graphical';

/** Belongs to what stays when the screen is left. */
const DAILY = `[Service]
Type=oneshot
ExecStart=/usr/bin/vgpu-guest plan --only install-driver --json
StandardOutput=truncate:/root/daily.json
[Install]
WantedBy=multi-user.target
`;

/** Where the GPU is plugged in at the next boot. */
interface Slot {
  address: string;
}

/** Plays the story of a guest with a screen. */
export async function playBooted(log: (line: string) => void, signal: AbortSignal): Promise<Tally> {
  const name = 'vgpu-guest-screen';
  const image = await prepareRoot(OLD, log, signal, PACKAGES);
  const slot: Slot = { address: '0000:06:00.0' };
  const plug = async (folder: string, root: string) => {
    await powerOn(folder, root);
    await rename(join(folder, 'pci/0000:06:00.0'), join(folder, 'pci', slot.address));
  };
  await using guest = await createContainer({
    name,
    image,
    seenAs: HARDWARE,
    binds: [NODE],
    powerOn: plug,
    log,
    signal,
  });
  await bringProgram(guest);
  for (const [path, text, mode] of DISPLAY_MANAGER_FILES) await guest.write(path, text, mode);
  const folder = join(PROJECT, '.cache/screen/booted');
  // awaited here: the guest goes when this function ends
  return await runInOrder('booted', checks(guest, slot, signal), async () => {
    await guest.keepEvidence(folder, ['/var/log/vgpu-guest.log', '/var/log/Xorg.0.log', '/root/session.err']);
    console.log(indent(`console, journal and logs of the guest: ${folder}`));
  });
}

function checks(guest: Container, slot: Slot, signal: AbortSignal): readonly Check[] {
  const configure = (text: string) => guest.write(CONFIG, text, 0o644);
  const applyScreen = async () => {
    const { stdout, stderr } = await guest.execute(['vgpu-guest', 'apply', '--json', ...ONLY], {
      deadlineMs: 5 * MINUTE_MS,
    });
    assert.ok(stdout.startsWith('{'), stderr);
    return JSON.parse(stdout) as Applied;
  };
  const looked = (password: string) =>
    until(`the viewer with ${password} to be answered`, MINUTE_MS, signal, () =>
      view(PORT, password).catch(error => {
        if (error.code === 'ECONNREFUSED') return undefined;
        throw error;
      }),
    );
  const xServer = async () => (await guest.succeed(['pgrep', '--exact', 'Xorg'])).trim();
  const installed = async () => (await guest.succeed(['cat', '/sys/module/nvidia/version'])).trim();
  const driver = buildStandInRun();

  return [
    [
      'an X server shows the screen that the display manager has started',
      async () => {
        await guest.boot();
        await guest.waitForBoot(2 * MINUTE_MS);
        await guest.waitUntilSucceeds(['pgrep', '--exact', 'Xorg']);
        const status = JSON.parse(await guest.succeed(['vgpu-guest', 'status', '--json']));
        assert.equal(status.screen.by, 'x');
        assert.equal(await installed(), OLD);
      },
    ],
    [
      'without a password nothing is shown and nothing is installed',
      async () => {
        await configure(VNC);
        const { outcome, steps } = await applyScreen();
        assert.equal(outcome, 'blocked');
        assert.match(
          steps.find(({ id }) => id === 'share-screen')?.remedy ?? '',
          /x11vnc -storepasswd \/etc\/vnc\.pass/,
        );
        await guest.fail(['test', '-e', '/usr/bin/x11vnc'], 1);
        await assert.rejects(view(PORT, PASSWORD), { code: 'ECONNREFUSED' });
      },
    ],
    [
      'with one, x11vnc comes from Debian and asks every viewer for it, by loopback alone, in the size that was asked for',
      async () => {
        await guest.write(PASSWORD_FILE, passwordFile(PASSWORD), 0o600);
        assert.equal((await applyScreen()).outcome, 'changed');
        assert.deepEqual(await looked(PASSWORD), { security: [2], admitted: true, size: '800x600' });
        assert.deepEqual(await looked('secret43'), { security: [2], admitted: false });
        const at = await listeners(guest);
        assert.ok(at.includes(LOOPBACK), at.join(' '));
        assert.deepEqual(
          at.filter(address => address !== LOOPBACK && address !== LOOPBACK_6),
          [],
        );
        for (const address of otherAddresses()) {
          await assert.rejects(view(PORT, PASSWORD, address), { code: 'ECONNREFUSED' }, address);
        }
        await isVerified(guest, VNC_UNIT);
        // the file is what x11vnc itself would have written
        await guest.succeed(['x11vnc', '-storepasswd', PASSWORD, '/root/again']);
        await guest.succeed(['cmp', PASSWORD_FILE, '/root/again']);
        assert.equal((await applyScreen()).outcome, 'settled');
      },
    ],
    [
      'x11vnc finds the screen again when the X server comes back as another one',
      async () => {
        const before = await xServer();
        await guest.succeed(['systemctl', 'restart', 'display-manager.service'], { deadlineMs: MINUTE_MS });
        await guest.waitUntilSucceeds(['pgrep', '--exact', 'Xorg']);
        assert.notEqual(await xServer(), before);
        await until('the screen to be shown again', MINUTE_MS, signal, async () => {
          const seen = await view(PORT, PASSWORD).catch(() => undefined);
          return seen?.admitted ? seen : undefined;
        });
      },
    ],
    [
      'taken out of the configuration, it is gone',
      async () => {
        await configure('xorg: {}\n');
        assert.equal((await applyScreen()).outcome, 'changed');
        await guest.fail(['test', '-e', `/etc/systemd/system/${VNC_UNIT}`], 1);
        await guest.fail(['pgrep', '--exact', 'x11vnc'], 1);
        await assert.rejects(view(PORT, PASSWORD), { code: 'ECONNREFUSED' });
        assert.equal((await applyScreen()).outcome, 'settled');
      },
    ],
    [
      'a GPU that has another address at the next boot is found before the display manager starts',
      async () => {
        await configure('xorg:\n  atBoot: true\n');
        await guest.write(CONF, DEVICE, 0o644);
        assert.equal((await applyScreen()).outcome, 'changed');
        assert.match(await guest.succeed(['cat', CONF]), /BusID "PCI:6:0:0"/);
        await isVerified(guest, 'vgpu-guest-screen.service');
        slot.address = '0000:0b:00.0';
        await guest.reboot(2 * MINUTE_MS);
        await guest.waitForBoot(2 * MINUTE_MS);
        await guest.waitUntilSucceeds(['pgrep', '--exact', 'Xorg']);
        assert.equal(await guest.succeed(['cat', SEEN_BY_X]), DEVICE.replace('PCI:9:', 'PCI:11:'));
        const journal = (await guest.succeed(['journalctl', '--boot', '--output=cat'])).split('\n');
        const patched = journal.findIndex(line => line.startsWith('Finished vgpu-guest-screen.service'));
        const shown = journal.findIndex(line => line.startsWith('Started display-manager.service'));
        assert.ok(patched >= 0 && patched < shown, journal.join('\n'));
      },
    ],
    [
      'a driver is not replaced from a terminal on the screen that would have to go, and the session goes on',
      async () => {
        await guest.write(`/opt/${driver.name}`, driver.bytes, 0o755);
        await configure(`driver:\n  package: /opt/${driver.name}\n`);
        await guest.write(
          SESSION,
          `#!/bin/sh\n${DRIVER.join(' ')} >/root/session.out 2>/root/session.err\necho $? >/root/session.code\nexec sleep infinity\n`,
          0o755,
        );
        await guest.succeed(['systemctl', 'restart', 'display-manager.service'], { deadlineMs: MINUTE_MS });
        assert.equal(await guest.waitUntilSucceeds(['grep', '.', '/root/session.code'], 2 * MINUTE_MS), '4\n');
        const [step] = (JSON.parse(await guest.succeed(['cat', '/root/session.out'])) as Applied).steps;
        assert.match(
          step?.because ?? '',
          /this run would end with it: process \d+ \(.+\) is on the screen, with DISPLAY=:0/,
        );
        assert.match(step?.remedy ?? '', /by ssh or on a text console/);
        await guest.succeed(['pgrep', '--exact', 'xterm']);
        assert.equal(await installed(), OLD);
      },
    ],
    [
      'nor from a unit that would end with the screen',
      async () => {
        const run = ['systemd-run', '--quiet', '--wait', '--pipe', '--unit=nightly', ...DRIVER] as const;
        const { stdout } = await guest.fail(run, 4, { deadlineMs: 2 * MINUTE_MS });
        assert.match((JSON.parse(stdout) as Applied).steps[0]?.because ?? '', /it belongs to nightly\.service/);
        assert.equal(await installed(), OLD);
        // one that stays is not taken for one
        await guest.write('/etc/systemd/system/daily.service', DAILY, 0o644);
        await guest.succeed(['systemctl', 'enable', 'daily.service']);
        await guest.succeed(['systemctl', 'start', 'daily.service'], { deadlineMs: MINUTE_MS });
        const plan = JSON.parse(await guest.succeed(['cat', '/root/daily.json'])) as Planned;
        assert.deepEqual(
          plan.steps.map(({ verdict }) => verdict.is),
          ['due'],
        );
      },
    ],
    [
      'when the power goes after the screen was left, the next boot shows it again',
      async () => {
        // at that boot its terminal would ask for the driver, too
        await guest.succeed(['rm', SESSION]);
        const cut = guest.execute(REPLACE, { deadlineMs: 5 * MINUTE_MS }).catch(() => undefined);
        await guest.waitUntilSucceeds(['test', '-e', LEFT], MINUTE_MS);
        await guest.waitUntilSucceeds(['sh', '-c', '! pgrep --exact Xorg'], MINUTE_MS);
        await guest.crash();
        await cut;
        await guest.boot();
        await guest.waitForUnit('graphical.target', 2 * MINUTE_MS);
        await guest.waitUntilSucceeds(['pgrep', '--exact', 'Xorg'], MINUTE_MS);
        await guest.fail(['test', '-e', LEFT], 1);
      },
    ],
    [
      'in the way that the remedy names the driver is replaced then, and the screen comes back',
      async () => {
        const before = await xServer();
        const { outcome } = JSON.parse(await guest.succeed(REPLACE, { deadlineMs: 5 * MINUTE_MS })) as Applied;
        assert.equal(outcome, 'changed');
        assert.equal(await installed(), driver.version);
        await guest.waitForUnit('graphical.target', MINUTE_MS);
        await guest.waitUntilSucceeds(['pgrep', '--exact', 'Xorg']);
        assert.notEqual(await xServer(), before);
        await guest.fail(['test', '-e', LEFT], 1);
      },
    ],
  ];
}

interface Planned {
  readonly steps: readonly { readonly verdict: { readonly is: string } }[];
}

interface Applied {
  readonly outcome: string;
  readonly steps: readonly { readonly id: string; readonly because: string; readonly remedy?: string }[];
}

/** systemd has nothing to say about a unit that the program has written. */
async function isVerified(guest: Container, unit: string): Promise<void> {
  const { stderr } = await guest.execute(['systemd-analyze', 'verify', '--man=no', `/etc/systemd/system/${unit}`]);
  assert.deepEqual(
    stderr.split('\n').filter(line => line.includes('vgpu-guest')),
    [],
  );
}

/** Addresses at which somebody listens on the port, as the kernel writes them. */
async function listeners(guest: Container): Promise<readonly string[]> {
  const port = PORT.toString(16).toUpperCase();
  const table = await guest.succeed(['cat', '/proc/net/tcp', '/proc/net/tcp6']);
  return [...table.matchAll(new RegExp(`^ *\\d+: ([\\dA-F]+):${port} [\\dA-F]+:\\d+ 0A `, 'gm'))].map(
    ([, at = '']) => at,
  );
}

function otherAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? []);
  return all.filter(({ internal, family }) => !internal && family === 'IPv4').map(({ address }) => address);
}
