import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { InstallDriver } from '../../../src/change.ts';
import { installDriver } from '../../../src/engine/driver/install-driver.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const LOG = '/var/log/nvidia-installer.log';
const WORKSHOP = '/var/lib/vgpu-guest/unpacked';
const ARGV = ['sh', '/opt/driver.run', '--silent', '--dkms'] as const;
const FAILED = "ERROR: Installation has failed.  Please see the file '/var/log/nvidia-installer.log' for details.";

const BEGUN = '/var/lib/vgpu-guest/installing.json';

interface Scene {
  /** What the package does; `$LOG` is its log. */
  readonly package: string;
  readonly files?: Record<string, string>;
  readonly active?: readonly string[];
  readonly leaveGraphical?: boolean;
  /** What else is told of the deed. */
  readonly deed?: Partial<InstallDriver>;
  readonly dkms?: string;
  readonly systemctl?: string;
  readonly sync?: string;
  /** The run is told to stop when the package prints this, and the package has six seconds left then, not the minute that it has in life. */
  readonly stopAt?: string;
}

async function install(scene: Scene) {
  const root = temporaryFolder();
  const kernel = { 'proc/sys/kernel/osrelease': '6.0.0\n' };
  writeFiles(root, { calls: '', 'var/log/x': '', 'opt/driver.run': 'a package', ...kernel, ...scene.files });
  const note = (name: string) => `printf '%s %s\\n' ${name} "$*" >>"$GUEST_ROOT/calls"\n`;
  writeProgram(root, 'sh', `${note('sh')}LOG=$GUEST_ROOT${LOG}\n${scene.package}`);
  writeProgram(
    root,
    'systemctl',
    `case $1 in is-active) case " ${(scene.active ?? []).join(' ')} " in *" $2 "*) echo active; exit 0 ;; esac; echo inactive; exit 3 ;; esac
${note('systemctl')}${scene.systemctl ?? ''}`,
  );
  writeProgram(root, 'tail', 'exec tail "$1" "$2" "$3" "$4" "$GUEST_ROOT$5"');
  writeProgram(root, 'sync', scene.sync ?? '');
  if (scene.dkms !== undefined) writeProgram(root, 'dkms', scene.dkms);
  const stop = new AbortController();
  const told: string[] = [];
  const shown: string[] = [];
  const tell = {
    info: (text: string) => told.push(`info ${text}`),
    warn: (text: string) => told.push(`warn ${text}`),
    progress: (line: string) => {
      if (line === scene.stopAt) stop.abort(new Error('stopped'));
      shown.push(line);
      writeFiles(root, { shown: line });
    },
  };
  const guest = openGuest({ root, env: {}, stop: stop.signal, patience: scene.stopAt ? 0.1 : 1 });
  const deed: InstallDriver = {
    kind: 'install-driver',
    argv: ARGV,
    log: LOG,
    version: '570.211.01',
    package: { path: '/opt/driver.run', sha256: undefined },
    workshop: WORKSHOP,
    leaveGraphical: scene.leaveGraphical ?? false,
    ...scene.deed,
  };
  const fault = await installDriver(guest, deed, tell).then(
    () => undefined,
    ({ fault, message, remedy }) => ({ fault, message, remedy }),
  );
  const calls = ((await guest.readText('/calls')) ?? '').trim().split('\n');
  return { fault, told, shown, calls, guest };
}

describe('an installation that ends well', () => {
  test('runs the package once, and its output is shown', async () => {
    const { fault, told, shown, calls } = await install({ package: 'echo "Verifying archive integrity... OK"' });
    expect([fault, told, calls]).toEqual([undefined, [], ['sh /opt/driver.run --silent --dkms']]);
    expect(shown).toContain('Verifying archive integrity... OK');
  });

  test('moves the log of an earlier run out of the way', async () => {
    const { guest } = await install({
      package: 'echo new >"$LOG"',
      files: { [LOG]: 'old\n', [`${LOG}.old`]: 'older\n' },
    });
    expect(await guest.readText(`${LOG}.old`)).toBe('old\n');
    expect(await guest.readText(LOG)).toBe('new\n');
  });

  test('shows the log while it grows', async () => {
    // it goes on as soon as its line has been shown
    const waits = 'i=0; while [ $i -lt 500 ] && ! [ -e "$GUEST_ROOT/shown" ]; do i=$((i+1)); sleep 0.02; done';
    const { shown } = await install({ package: `echo '-> Building kernel modules' >"$LOG"; ${waits}` });
    expect(shown).toContain('-> Building kernel modules');
  });

  test('tells what it went on after', async () => {
    const line =
      "-> The installer has encountered the following error during installation: 'Failed to execute `/sbin/depmod`'. (Answer: Continue installation)";
    const { told, fault } = await install({ package: `cat >"$LOG" <<'LINE'\n${line}\nLINE` });
    expect([fault, told]).toEqual([undefined, [`warn ${line}`]]);
  });
});

describe('an installation', () => {
  const boot = { 'proc/sys/kernel/random/boot_id': 'b7f1\n' };
  const keep = 'cat "$GUEST_ROOT/var/lib/vgpu-guest/installing.json" >>"$GUEST_ROOT/seen"';

  test('is known as begun until what it has written is on the disk', async () => {
    const { fault, guest } = await install({
      package: keep,
      files: boot,
      sync: `printf '%s\\n' "$*" >>"$GUEST_ROOT/seen"\n${keep}`,
    });
    const begun = '{"version":"570.211.01","bootId":"b7f1"}\n';
    expect([fault, await guest.readText('/seen')]).toEqual([
      undefined,
      `${begun}--file-system /usr /etc /lib/modules /var/lib\n${begun}`,
    ]);
    expect(await guest.stat(BEGUN)).toBeUndefined();
  });

  test.each([
    [
      'that the disk has refused stays begun',
      { package: '', sync: "echo 'sync: error syncing: Input/output error' >&2\nexit 1" },
      true,
    ],
    ['that was killed is known to be', { package: 'kill -9 $$' }, 'killed'],
    ['that has failed by itself has ended', { package: 'exit 1' }, false],
    [
      'that has failed, as its disk has, stays begun',
      { package: 'echo "no headers" >&2; exit 1', sync: 'exit 2' },
      true,
    ],
  ])('%s', async (_how, scene, isBegun) => {
    const { fault, guest } = await install({ ...scene, files: boot });
    expect(fault?.message).toMatch(/ended with (exit code 1|signal 9)/);
    const mark = await guest.readText(BEGUN);
    expect(mark?.includes('"isKilled":true') ? 'killed' : mark !== undefined).toBe(isBegun);
  });

  test('that ends while a stop waits for it is not taken for cut', async () => {
    const { fault, guest } = await install({ package: 'echo "Installing"; sleep 0.3', stopAt: 'Installing' });
    expect([fault?.message, await guest.readText(BEGUN)]).toEqual(['stopped', expect.not.stringContaining('isKilled')]);
  });

  test('that was killed, and after which the old driver cannot be put back, is known to be', async () => {
    const { fault, guest } = await install({ package: 'kill -9 $$', deed: { replaces: '550.144.03' } });
    expect(fault?.message).toContain('driver 550.144.03 is gone, and cannot be put back');
    expect(await guest.readText(BEGUN)).toContain('"isKilled":true');
  });
});

describe('the package that is run', () => {
  const SHA256 = createHash('sha256').update('a package').digest('hex');
  const copy = `/var/lib/vgpu-guest/packages/${SHA256}/driver.run`;

  test('is the one that was judged, or none', async () => {
    const { fault, calls } = await install({
      package: '',
      deed: { package: { path: '/opt/driver.run', sha256: 'f'.repeat(64) } },
    });
    expect(fault?.message).toBe(
      `/opt/driver.run has changed since it was looked at: its sha256 was ${'f'.repeat(64)}, and is ${SHA256}`,
    );
    expect(calls).toEqual(['']);
  });

  test('is copied where others can change it, and the copy is what counts', async () => {
    const { guest, fault } = await install({
      package: '',
      deed: { package: { path: '/opt/driver.run', sha256: SHA256, copy } },
    });
    expect(fault).toBeUndefined();
    expect(await guest.readText(copy)).toBe('a package');
    const other = await install({
      package: '',
      deed: { package: { path: '/opt/driver.run', sha256: 'f'.repeat(64), copy } },
    });
    expect(other.fault?.message).toContain('has changed since it was looked at');
    expect(await other.guest.stat(copy)).toBeUndefined();
  });

  test('finds an empty folder of root’s own, which is gone afterwards', async () => {
    const { guest, shown } = await install({
      package: `find "$GUEST_ROOT${WORKSHOP}" -printf '%m %P\\n'`,
      files: { [`${WORKSHOP}/selfgz812/nvidia-installer`]: 'left by a run that was cut' },
    });
    expect(shown).toEqual(['700 ']);
    expect(await guest.stat(WORKSHOP)).toBeUndefined();
  });

  test('takes other packages out of the store when its driver is in place', async () => {
    const { guest } = await install({
      package: '',
      deed: { package: { path: '/opt/driver.run', sha256: SHA256, copy } },
      files: { '/var/lib/vgpu-guest/packages/0123/old.run': 'old' },
    });
    expect(await guest.list('/var/lib/vgpu-guest/packages')).toEqual([SHA256]);
  });
});

describe('what holds the GPU', () => {
  test('leaves it for the installation and comes back', async () => {
    const { calls } = await install({
      package: '',
      active: ['nvidia-gridd.service', 'nvidia-persistenced.service'],
      leaveGraphical: true,
    });
    expect(calls).toEqual([
      'systemctl isolate multi-user.target',
      'systemctl stop nvidia-gridd.service',
      'systemctl stop nvidia-persistenced.service',
      'sh /opt/driver.run --silent --dkms',
      'systemctl start nvidia-persistenced.service',
      'systemctl start nvidia-gridd.service',
      'systemctl isolate graphical.target',
    ]);
  });

  test('comes back when the installation fails, too', async () => {
    const { calls, fault } = await install({
      package: 'exit 1',
      active: ['nvidia-gridd.service'],
      leaveGraphical: true,
    });
    expect(fault).toMatchObject({ fault: 'failed' });
    expect(calls.slice(-2)).toEqual(['systemctl start nvidia-gridd.service', 'systemctl isolate graphical.target']);
  });

  test('remembers that it has left the screen, for as long as that is so', async () => {
    const seen = 'ls "$GUEST_ROOT/run/vgpu-guest" >"$GUEST_ROOT/seen"';
    const { guest } = await install({ package: seen, leaveGraphical: true });
    expect(await guest.readText('/seen')).toBe('left-graphical\n');
    expect(await guest.list('/run/vgpu-guest')).toEqual([]);
  });

  test('comes back where an earlier run was killed before it could', async () => {
    const left = { '/run/vgpu-guest/left-graphical': '' };
    const { calls, guest } = await install({ package: '', files: left });
    expect(calls).toEqual(['sh /opt/driver.run --silent --dkms', 'systemctl isolate graphical.target']);
    expect(await guest.list('/run/vgpu-guest')).toEqual([]);
  });

  test('comes back when the run is stopped in the middle of it, and the installation is known to be cut', async () => {
    const { calls, fault, guest } = await install({
      package: 'echo "Installing"; sleep 60',
      active: ['nvidia-gridd.service'],
      leaveGraphical: true,
      stopAt: 'Installing',
    });
    expect(fault).toMatchObject({ message: 'stopped' });
    expect(calls.slice(-2)).toEqual(['systemctl start nvidia-gridd.service', 'systemctl isolate graphical.target']);
    expect(await guest.readText(BEGUN)).toContain('"isKilled":true');
  });

  test('keeps the package from running when it does not leave', async () => {
    const { calls, fault } = await install({
      package: '',
      leaveGraphical: true,
      systemctl: 'echo "Failed to start multi-user.target: Access denied" >&2; exit 1',
    });
    expect(calls).toEqual(['systemctl isolate multi-user.target', 'systemctl isolate graphical.target']);
    expect(fault).toEqual({
      fault: 'failed',
      message:
        'systemctl isolate multi-user.target ended with exit code 1\n  Failed to start multi-user.target: Access denied',
      remedy:
        'see what it says, run systemctl isolate multi-user.target by hand until it ends well, then run the same command of vgpu-guest again',
    });
  });
});

describe('a failed installation', () => {
  test('is explained by its own log', async () => {
    const line = 'ERROR: Unable to find the kernel source tree for the currently running kernel.';
    const { fault } = await install({
      package: `printf '%s\\n' '${line}' "${FAILED}" | tee "$LOG" >&2; exit 1`,
    });
    expect(fault).toEqual({
      fault: 'failed',
      message: [
        'sh /opt/driver.run --silent --dkms ended with exit code 1',
        `  ${line}`,
        '  the headers of the running kernel are not there or not complete',
      ].join('\n'),
      remedy: 'install the headers of the running kernel, or boot the newest kernel, then run vgpu-guest apply again',
    });
  });

  test('is never explained by the log of an earlier run', async () => {
    const { fault } = await install({
      package: `printf '%s\\n' './nvidia-installer: unrecognized option: "--x"' 'ERROR: Invalid commandline, please run it with --help.' >&2; exit 1`,
      files: { [LOG]: 'ERROR: You appear to be running an X server; please exit X before installing.\n' },
    });
    expect(fault?.message).toBe(
      [
        'sh /opt/driver.run --silent --dkms ended with exit code 1',
        '  ./nvidia-installer: unrecognized option: "--x"',
        '  this package does not know an option that it was given',
      ].join('\n'),
    );
  });

  test.each([
    [
      'Verifying archive integrity... Error in check sums 12 34',
      2,
      "copy the package again and compare it with NVIDIA's checksum (driver.sha256)",
    ],
    [
      'ERROR: Temporary directory /tmp is not executable - use the  --tmpdir option to specify a different one.',
      1,
      'mount -o remount,exec the mount that the line names for the installation, then run vgpu-guest apply again',
    ],
  ])('of the wrapper is explained by what it printed (%#)', async (line, code, remedy) => {
    const { fault } = await install({ package: `echo '${line}'; exit ${code}` });
    expect(fault?.message.split('\n').slice(0, 2)).toEqual([
      `sh /opt/driver.run --silent --dkms ended with exit code ${code}`,
      `  ${line}`,
    ]);
    expect(fault?.remedy).toBe(remedy);
  });

  test('is one that ended well and went on without a file', async () => {
    const lines = [
      "ERROR: Unable to write file size for '/usr/lib64/libcuda.so.570.211.01' (No space left on device)",
      "-> The installer has encountered the following error during installation: 'Cannot install /usr/lib64/libcuda.so.570.211.01'.  Would you like to continue installation anyway? (Answer: Continue installation)",
    ];
    const { fault } = await install({ package: `cat >"$LOG" <<'LINES'\n${lines.join('\n')}\nLINES` });
    expect(fault).toEqual({
      fault: 'failed',
      message: ['the driver is installed, but not all of its files', ...lines].join('\n  '),
      remedy:
        'see in /var/log/nvidia-installer.log why they could not be written (df -h /usr), and put that right; then vgpu-guest revert --driver, and vgpu-guest apply',
    });
  });

  test('without a log that could be written is explained by what it printed', async () => {
    const lines = [
      "nvidia-installer: Error opening log file '/var/log/nvidia-installer.log' for writing (Read-only file system); disabling logging.",
      'ERROR: You do not appear to have libc header files installed on your system.',
    ];
    const { fault } = await install({ package: `cat >&2 <<'LINES'\n${lines.join('\n')}\nLINES\nexit 1` });
    expect(fault?.message).toContain(`\n  ${lines[1]}\n  a program that the installer needs is missing`);
  });

  test('that nobody knows shows its errors and where to read on', async () => {
    const { fault } = await install({ package: `printf '%s\\n' 'ERROR: Something new.' "${FAILED}" >"$LOG"; exit 1` });
    expect(fault).toEqual({
      fault: 'failed',
      message: 'sh /opt/driver.run --silent --dkms ended with exit code 1\n  ERROR: Something new.',
      remedy: 'read /var/log/nvidia-installer.log on this guest',
    });
  });
});

describe('an installation without DKMS in the end', () => {
  const warning = 'WARNING: Failed to register the NVIDIA kernel modules with DKMS.';
  const warns = `echo '${warning}' >"$LOG"`;

  test('has failed, although the installer ends with 0', async () => {
    const { fault } = await install({ package: warns, dkms: "echo 'nvidia/570.211.01: added'" });
    expect(fault).toEqual({
      fault: 'failed',
      message: `the driver is installed, but DKMS has not got its modules\n  ${warning}`,
      remedy: 'read /var/lib/dkms/nvidia/*/build/make.log and run dkms status',
    });
  });

  // 520.61.05 warned so with DKMS 3.0.9, which had the modules
  test('is well when DKMS knows better than the warning', async () => {
    const { fault, told } = await install({
      package: warns,
      dkms: "echo 'nvidia/570.211.01, 6.0.0, x86_64: installed'",
    });
    expect([fault, told]).toEqual([undefined, [`warn ${warning}`]]);
  });
});
