import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { InstallDriver } from '../../../src/change.ts';
import { installDriver } from '../../../src/engine/driver/install-driver.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const OLD = '550.54.14';
const NEW = '570.211.01';
const LOG = '/var/log/nvidia-installer.log';
const WORKSHOP = '/var/lib/vgpu-guest/unpacked';
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** What a package leaves when it is installed: traces on disk, and its module in memory. */
const installs = (version: string, loads = version) =>
  `mkdir -p "$GUEST_ROOT/var/lib/nvidia"; echo '1.0-1 (${version})' >"$GUEST_ROOT/var/lib/nvidia/log"
echo ${version} >"$GUEST_ROOT/module"; echo ${loads} >"$GUEST_ROOT/sys/module/nvidia/version"`;
const NO_RECORD = 'this program has not installed it, and does not know its package';

interface Scene {
  readonly newOne: string;
  readonly oldOne?: string;
  /** The record of an installation that this program has done; undefined: there is none. */
  readonly record?: 'right' | 'of another package' | 'absent';
  readonly smi?: string;
  readonly kernelLog?: string;
}

async function upgrade({ newOne, oldOne = installs(OLD), record = 'right', smi = 'exit 0', kernelLog = '' }: Scene) {
  const root = temporaryFolder();
  const kept = {
    version: OLD,
    path: '/opt/old.run',
    sha256: sha256(record === 'right' ? 'old' : 'another'),
    argv: ['sh', '/opt/old.run', '--silent'],
    log: LOG,
    workshop: WORKSHOP,
  };
  writeFiles(root, {
    calls: '',
    'opt/old.run': 'old',
    'opt/new.run': 'new',
    'var/log/x': '',
    'proc/sys/kernel/osrelease': '6.0.0\n',
    'sys/module/nvidia/version': `${OLD}\n`,
    'var/lib/nvidia/log': `1.0-1 (${OLD})\n`,
    module: `${OLD}\n`,
    ...(record === 'absent' ? {} : { 'var/lib/vgpu-guest/driver.json': JSON.stringify([kept]) }),
  });
  writeProgram(
    root,
    'sh',
    `echo "$1" >>"$GUEST_ROOT/calls"; LOG=$GUEST_ROOT${LOG}; case $1 in */new.run)\n${newOne}\n;; */old.run)\n${oldOne}\n;; esac`,
  );
  writeProgram(root, 'modinfo', 'cat "$GUEST_ROOT/module"');
  writeProgram(root, 'modprobe', 'cp "$GUEST_ROOT/module" "$GUEST_ROOT/sys/module/nvidia/version"');
  writeProgram(root, 'nvidia-smi', smi);
  writeProgram(root, 'systemctl', 'echo inactive; exit 3');
  writeProgram(root, 'tail', 'exit 0');
  writeProgram(root, 'sync', '');
  writeProgram(root, 'journalctl', `cat <<'LOG'\n${kernelLog}\nLOG`);
  const deed: InstallDriver = {
    kind: 'install-driver',
    argv: ['sh', '/opt/new.run', '--silent'],
    log: LOG,
    version: NEW,
    package: { path: '/opt/new.run', sha256: sha256('new') },
    workshop: WORKSHOP,
    leaveGraphical: false,
    replaces: OLD,
  };
  const told: string[] = [];
  const tell = { info: (text: string) => told.push(text), warn: (text: string) => told.push(text), progress: () => {} };
  const guest = openGuest({ root, env: {} });
  const fault = await installDriver(guest, deed, tell).then(
    () => undefined,
    ({ message, remedy }) => ({ message, remedy }),
  );
  const text = async (path: string) => (await guest.readText(path))?.trim();
  return {
    fault,
    told,
    runs: ((await text('/calls')) ?? '').split('\n'),
    loaded: await text('/sys/module/nvidia/version'),
    record: JSON.parse((await text('/var/lib/vgpu-guest/driver.json')) ?? '[]') as readonly { version: string }[],
    workshop: await guest.stat(WORKSHOP),
  };
}

describe('a driver that takes the place of another', () => {
  test('is checked, and remembered with the one that it replaces', async () => {
    const { fault, runs, record, workshop } = await upgrade({ newOne: installs(NEW) });
    expect(fault).toBeUndefined();
    expect(runs).toEqual(['/opt/new.run']);
    expect(record.map(({ version }) => version)).toEqual([OLD, NEW]);
    expect(workshop).toBeUndefined();
  });

  test('and gives up before it takes the old one away leaves it as it was', async () => {
    const { fault, runs, loaded } = await upgrade({
      newOne: `: >"$GUEST_ROOT/sys/module/nvidia/version"; echo 'ERROR: The CC sanity check failed:' >&2; exit 1`,
    });
    expect(fault?.message).toMatch(
      new RegExp(`The CC sanity check failed:[^]*driver ${OLD} is still installed, and works$`),
    );
    expect([runs, loaded]).toEqual([['/opt/new.run'], OLD]);
  });

  test('and fails half-way is replaced by the old one', async () => {
    const { fault, runs, loaded, told } = await upgrade({
      newOne: `rm "$GUEST_ROOT/var/lib/nvidia/log"; : >"$GUEST_ROOT/module"; echo 'ERROR: Something new.' >"$LOG"; exit 1`,
    });
    expect(fault?.message).toMatch(
      new RegExp(`Something new[^]*driver ${OLD} has been put back from /opt/old.run, and works`),
    );
    expect([runs, loaded]).toEqual([['/opt/new.run', '/opt/old.run'], OLD]);
    expect(told).toContain(`driver ${NEW} does not work; driver ${OLD} is put back from /opt/old.run`);
  });

  test('and is installed, and not loaded, is replaced by the old one, with what the kernel says', async () => {
    const { fault, loaded } = await upgrade({
      newOne: installs(NEW, ''),
      kernelLog: 'NVRM: vGPU type is not supported',
    });
    expect(fault?.message.split('\n')).toEqual([
      `driver ${NEW} is installed, and none is loaded`,
      '  NVRM: vGPU type is not supported',
      '  the guest driver does not know this type of vGPU',
      `driver ${OLD} has been put back from /opt/old.run, and works as before`,
    ]);
    expect(fault?.remedy).toContain('a guest must not be newer than its host');
    expect(loaded).toBe(OLD);
  });

  test('and whose nvidia-smi has no answer is replaced by the old one', async () => {
    const { fault, loaded } = await upgrade({
      newOne: installs(NEW),
      smi: `[ "$(cat "$GUEST_ROOT/module")" = ${OLD} ] || { echo 'No devices were found'; exit 6; }`,
    });
    expect(fault?.message).toContain(
      `driver ${NEW} is loaded, and nvidia-smi ends with exit code 6: No devices were found`,
    );
    expect(loaded).toBe(OLD);
  });

  test.each<[string, Partial<Scene>, string]>([
    ['somebody else has installed', { record: 'absent' }, NO_RECORD],
    [
      'came from a package that is another one now',
      { record: 'of another package' },
      '/opt/old.run is not the package',
    ],
    ['does not install any more', { oldOne: 'exit 1' }, `driver ${OLD} could not be put back either`],
    ['does not work any more', { oldOne: installs(OLD, ''), smi: 'exit 9' }, 'and does not work'],
  ])('and fails says so where the old one %s', async (_what, scene, because) => {
    const { fault } = await upgrade({ newOne: `${installs(NEW, '')}; exit 1`, ...scene });
    expect(fault?.message).toContain(because);
  });
});
