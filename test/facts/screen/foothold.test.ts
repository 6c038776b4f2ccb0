import { describe, expect, test } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const X = { 'tmp/.X0-lock': '       700\n', 'proc/700/comm': 'Xorg\n' };
const stat = (pid: number, name: string, parent: number) => `${pid} (${name}) S ${parent} ${pid} ${pid} 34816 0\n`;

/** This run is process 900; its ancestors by name and environment, the nearest one first. */
async function footholdOf(
  ancestors: readonly (readonly [name: string, environment: string])[],
  given: { own?: string; cgroup?: string; systemctl?: string; files?: Readonly<Record<string, string>> } = {},
) {
  const root = temporaryFolder();
  const units =
    '[ "$*" = "is-active graphical.target display-manager.service" ] && printf "active\\nactive\\n" && exit';
  const systemctl = `${units}\n${given.systemctl ?? 'exit 1'}`;
  writeProgram(root, 'systemctl', systemctl);
  const parents = ancestors.map(([name, environment], index) => ({
    [`proc/${800 - index}/stat`]: stat(800 - index, name, index + 1 < ancestors.length ? 799 - index : 1),
    [`proc/${800 - index}/environ`]: environment,
  }));
  writeFiles(root, {
    ...(given.files ?? X),
    'proc/self/stat': stat(900, 'vgpu-guest', ancestors.length > 0 ? 800 : 1),
    'proc/self/environ': given.own ?? 'HOME=/root\0',
    'proc/self/cgroup': given.cgroup ?? '0::/user.slice/user-1000.slice/session-2.scope\n',
    ...Object.assign({}, ...parents),
  });
  return lookAt(openEyes({ root, env: {} }), configSchema.parse({})).fact('foothold');
}

describe('a run on the screen', () => {
  test('is known by the display of a shell, also where sudo has taken it away', async () => {
    const ancestors = [
      ['sudo', 'HOME=/root\0'],
      ['bash', 'HOME=/home/a\0DISPLAY=:0\0'],
      ['xterm', 'DISPLAY=:0\0'],
    ] as const;
    expect(await footholdOf(ancestors)).toEqual({
      evidence: 'process 799 (bash) is on the screen, with DISPLAY=:0',
    });
  });

  test('is known by its own environment, and by that of a Wayland session', async () => {
    expect(await footholdOf([], { own: 'DISPLAY=:0.0\0' })).toEqual({
      evidence: 'its environment has DISPLAY=:0.0',
    });
    const wayland = [['bash) S 1 (', 'WAYLAND_DISPLAY=wayland-0\0']] as const;
    expect(await footholdOf(wayland)).toEqual({
      evidence: 'process 800 (bash) S 1 () is on the screen, with WAYLAND_DISPLAY=wayland-0',
    });
  });

  test.each([
    [
      'by ssh, whatever display was named there',
      [
        ['bash', 'DISPLAY=:0\0'],
        ['sshd-session', ''],
      ],
    ],
    [
      'in a tmux that was started there',
      [
        ['bash', 'HOME=/root\0'],
        ['tmux: server', 'DISPLAY=:0\0'],
      ],
    ],
    ['with a display of another machine', [['bash', 'DISPLAY=desk.example:0\0']]],
    ['with a display that no X server of this guest has', [['bash', 'DISPLAY=:5\0']]],
  ] as const)('is none that came %s', async (_name, ancestors) => {
    expect(await footholdOf(ancestors)).toBeUndefined();
  });
});

describe('a run in a unit', () => {
  const cgroup = '0::/system.slice/nightly.service\n';
  const answers = (ignores: string, wanting: string) => `case $* in
  "show --property=IgnoreOnIsolate --value nightly.service") echo ${ignores} ;;
  "list-dependencies --reverse --all --plain --no-pager nightly.service") printf 'nightly.service\\n${wanting}\\n' ;;
  *) exit 1 ;;
esac`;

  test('that the target behind the screen does not want would end', async () => {
    expect(await footholdOf([], { cgroup, systemctl: answers('no', '  timers.target') })).toEqual({
      evidence: 'it belongs to nightly.service, which multi-user.target does not want',
    });
  });

  test('goes on where that target wants it, or where isolation passes it over', async () => {
    expect(
      await footholdOf([], { cgroup, systemctl: answers('no', '  cloud-init.target\\n    multi-user.target') }),
    ).toBeUndefined();
    expect(await footholdOf([], { cgroup, systemctl: answers('yes', '') })).toBeUndefined();
  });

  test('is unknown where systemd does not answer, and then nothing is said', async () => {
    expect(await footholdOf([], { cgroup })).toBeUndefined();
  });
});

test('without a screen nothing can be lost with it', async () => {
  expect(await footholdOf([], { own: 'DISPLAY=:0\0', files: {} })).toBeUndefined();
});
