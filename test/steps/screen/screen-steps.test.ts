import { describe, expect, it } from 'vitest';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import { FAMILIES } from '../../../src/facts/families.ts';
import type { OwnUnitsFact } from '../../../src/facts/revert/own-units.ts';
import { restartDisplayManager } from '../../../src/steps/screen/restart-display-manager.ts';
import { returnToScreen } from '../../../src/steps/screen/return-to-screen.ts';
import { shareScreen } from '../../../src/steps/screen/share-screen.ts';
import { watchScreen } from '../../../src/steps/screen/watch-screen.ts';
import { HEALTHY } from '../../helpers/doctor.ts';

const NONE = { text: undefined, enabled: false, active: 'inactive' };
const units = (given: Partial<OwnUnitsFact> = {}): OwnUnitsFact => ({
  'vgpu-guest-x11vnc.service': NONE,
  'vgpu-guest-screen.service': NONE,
  ...given,
});

describe('a display manager', () => {
  const judge = (
    xorg: Settings['xorg'],
    given: { active?: string; x?: number; conf?: number },
    ...ahead: readonly string[]
  ) =>
    restartDisplayManager.judge(
      configSchema.parse({ xorg }),
      {
        screen: { ...HEALTHY.screen, displayManager: given.active ?? 'active' },
        graphics: { ...HEALTHY.graphics, xSinceUs: given.x },
        xorg: { dropIns: [], conf: undefined, nvidiaXconfig: false, changedUs: given.conf },
      },
      new Set(ahead),
    );
  const asked = { restartDisplayManager: true };

  it('is restarted when X is older than its configuration, and only when that was asked for', () => {
    expect(judge(asked, { x: 1, conf: 2 })).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'service',
          unit: 'display-manager.service',
          action: 'restart',
          because: 'the configuration of X is newer than the running X server',
        },
      ],
    });
    expect(judge({}, { x: 1, conf: 2 })).toEqual({
      is: 'settled',
      because: 'X runs with an older configuration, and the display manager is left alone (xorg.restartDisplayManager)',
    });
    expect(judge(asked, { x: 1, conf: 0 }, 'patch-xorg').is).toBe('due');
  });

  it.each([
    [{ x: 2, conf: 1 }, 'X runs with its present configuration'],
    [{ x: 2 }, 'X runs with its present configuration'],
    [{ conf: 1 }, 'no X server runs'],
    [{ x: 1, conf: 2, active: 'inactive' }, 'no display manager runs'],
  ])('is left alone with %j', (given, because) => {
    expect(judge(asked, given)).toEqual({ is: 'settled', because });
  });
});

describe('a graphical target that was left', () => {
  const judge = (screen: { graphical: boolean; left?: true }) =>
    returnToScreen.judge(
      configSchema.parse({}),
      { screen: { displayManager: 'inactive', xServers: [], ...screen } },
      new Set(),
    );

  it('comes back', () => {
    expect(judge({ graphical: false, left: true })).toMatchObject({
      is: 'due',
      changes: [
        { kind: 'run', argv: ['systemctl', 'isolate', 'graphical.target'] },
        { kind: 'remove', path: '/run/vgpu-guest/left-graphical' },
      ],
    });
  });

  it('is not brought back where somebody else has, or where nobody left it', () => {
    expect(judge({ graphical: true, left: true })).toMatchObject({ changes: [{ kind: 'remove' }] });
    expect(judge({ graphical: false }).is).toBe('settled');
  });
});

describe('a remote view of the screen', () => {
  const FILE = { kind: 'file', sizeBytes: 8, mode: 0o600, uid: 0, gid: 0, modifiedUs: 0, changedUs: 0 } as const;
  const vnc = { passwordFile: '/etc/vnc.pass' };
  const judge = (
    settings: Settings['vnc'],
    given: { program?: boolean; file?: object | undefined; unit?: object; graphical?: boolean; family?: string } = {},
  ) =>
    shareScreen.judge(
      configSchema.parse({ vnc: settings }),
      {
        vnc: { program: given.program ?? true, passwordFile: 'file' in given ? (given.file as typeof FILE) : FILE },
        ownUnits: units(given.unit ? { 'vgpu-guest-x11vnc.service': { ...NONE, ...given.unit } } : {}),
        screen: { graphical: given.graphical ?? true, displayManager: 'inactive', xServers: [] },
        system: { ...HEALTHY.system, family: FAMILIES.find(({ id }) => id === (given.family ?? 'debian')) },
      },
      new Set(),
    );
  const unitOf = (settings: Settings['vnc']): string => {
    const verdict = judge(settings);
    const [write] = verdict.is === 'due' ? verdict.changes.filter(({ kind }) => kind === 'write') : [];
    return write?.kind === 'write' ? write.text : '';
  };

  it('is none unless it is asked for', () => {
    expect(judge(undefined)).toEqual({ is: 'settled', because: 'no remote view of the screen is asked for' });
  });

  it('is installed, written, enabled and started', () => {
    expect(judge(vnc, { program: false })).toMatchObject({
      is: 'due',
      changes: [
        { kind: 'install-packages', packages: ['x11vnc'] },
        { kind: 'write', path: '/etc/systemd/system/vgpu-guest-x11vnc.service', mode: 0o644 },
        { kind: 'run', argv: ['systemctl', 'daemon-reload'] },
        { kind: 'service', action: 'enable' },
        { kind: 'service', action: 'restart' },
      ],
    });
  });

  it('is seen by this guest alone unless told otherwise, and never without its password', () => {
    expect(unitOf(vnc)).toMatch(
      /^ExecStart=\/bin\/sh -c ".*" x11vnc \/usr\/bin\/x11vnc -norc -display :0 -forever -shared -rfbauth \/etc\/vnc.pass -rfbport 5900 -localhost$/m,
    );
    expect(unitOf({ ...vnc, listen: 'all', port: 5901, geometry: '1280x720', display: ':1' })).toMatch(
      /-display :1 .* -rfbauth \/etc\/vnc.pass -rfbport 5901 -geometry 1280x720$/m,
    );
    expect(unitOf({ ...vnc, listen: '10.0.0.5' })).toMatch(/-rfbport 5900 -listen 10\.0\.0\.5$/m);
  });

  it('is settled where it runs so, and waits for the graphical target where that is not reached', () => {
    const text = unitOf(vnc);
    const running = { text, enabled: true, active: 'active' };
    expect(judge(vnc, { unit: running })).toEqual({
      is: 'settled',
      because: 'the screen is shown to VNC viewers on localhost, port 5900',
    });
    expect(judge(vnc, { unit: { ...running, active: 'inactive' }, graphical: false }).is).toBe('settled');
    expect(judge(vnc, { unit: { ...running, active: 'activating' } })).toMatchObject({
      is: 'settled',
      warnings: [expect.any(String)],
    });
    expect(judge(vnc, { unit: { ...running, active: 'failed' } })).toMatchObject({ changes: [{ action: 'restart' }] });
    expect(judge({ ...vnc, port: 5905 }, { unit: running })).toMatchObject({
      changes: [{ kind: 'write' }, { kind: 'run' }, { kind: 'service', action: 'restart' }],
    });
  });

  it.each([
    [
      { file: undefined },
      'the password file /etc/vnc.pass of vnc is not there, and nothing is shown without a password',
    ],
    [{ file: { ...FILE, sizeBytes: 0 } }, '/etc/vnc.pass is no password file of VNC'],
    [{ file: { ...FILE, kind: 'directory' } }, '/etc/vnc.pass is no password file of VNC'],
    [{ file: { ...FILE, mode: 0o644 } }, 'others than root can read or change the password file /etc/vnc.pass'],
    [{ file: { ...FILE, uid: 1000 } }, 'others than root can read or change the password file /etc/vnc.pass'],
  ])('is refused with %j', (given, because) => {
    expect(judge(vnc, given)).toMatchObject({ is: 'blocked', because });
  });

  it('goes when the configuration drops it', () => {
    expect(judge(undefined, { unit: { text: 'x' } })).toMatchObject({
      changes: [{ kind: 'remove-unit', unit: 'vgpu-guest-x11vnc.service' }],
    });
  });
});

describe('a look at the BusID at every boot', () => {
  const judge = (xorg: Settings['xorg'], unit: object = {}) =>
    watchScreen.judge(
      configSchema.parse({ xorg }),
      { ownUnits: units({ 'vgpu-guest-screen.service': { ...NONE, ...unit } }), system: HEALTHY.system },
      new Set(),
    );

  it('is there when it is asked for, and goes with that', () => {
    expect(judge({ atBoot: true })).toMatchObject({
      changes: [{ kind: 'add-unit', unit: 'vgpu-guest-screen.service' }],
    });
    expect(judge({ atBoot: true }, { text: 'x' })).toMatchObject({ changes: [{ kind: 'add-unit' }] });
    expect(judge({ atBoot: true }, { text: 'x', enabled: true }).is).toBe('settled');
    expect(judge({}, { text: 'x', enabled: true })).toMatchObject({ changes: [{ kind: 'remove-unit' }] });
    expect(judge({ atBoot: true, manage: 'never' }, { text: 'x', enabled: true })).toMatchObject({
      changes: [{ kind: 'remove-unit' }],
    });
    expect(judge({}).is).toBe('settled');
  });
});
