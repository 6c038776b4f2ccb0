import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { openGuest } from '../../src/guest/open-guest.ts';
import { makeFolderGuest, type Ran } from '../helpers/folder-guest.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

/** One run is enough: nothing has taken the GPU, and everything to build with is there. */
const guest = makeFolderGuest({ family: 'debian', nouveau: 'not-bound', prerequisites: 'installed' });
afterAll(() => guest.dispose());
const CONFIG = guest.read('/etc/vgpu-guest/config.yaml') ?? '';
const MEMORY = '/var/lib/vgpu-guest/license-watch.json';
const UNIT = '/var/lib/stubs/units/nvidia-gridd.service';
const METRICS = '/var/lib/metrics/vgpu-guest.prom';
const RESTART = 'systemctl restart nvidia-gridd.service';

/** As a first apply has left it, whatever was done to the guest before. */
beforeEach(async () => {
  guest.write('/etc/vgpu-guest/config.yaml', CONFIG);
  guest.setLicenseService({});
  for (const path of [MEMORY, '/var/lib/metrics', '/var/lib/stubs/virtualization-mode', '/run/vgpu-guest'])
    guest.remove(path);
  // this daemon asks once
  if (!guest.read('/run/stubs-license')) await guest.run('systemctl', 'stop', 'nvidia-gridd.service');
  const { code, stderr } = await guest.vgpuGuest(['apply']);
  expect(code, stderr).toBe(0);
  guest.forgetCalls();
});

const changes = () => guest.calls('change').map(({ program, args }) => [program, ...args].join(' '));
const json = ({ stdout }: Ran) => JSON.parse(stdout);
const watch = (...args: readonly string[]) => guest.vgpuGuest(['license', 'watch', '--json', ...args]);
/** nvidia-smi forgets the license, and the daemon has been running for an hour. */
function loseLicense(): void {
  guest.remove('/run/stubs-license');
  startedAgo(3600);
}
function startedAgo(seconds: number): void {
  guest.write(`${UNIT}/started-us`, `${Date.now() * 1000 - seconds * 1_000_000}\n`);
}
const die = () => guest.run('systemctl', 'stop', 'nvidia-gridd.service').then(guest.forgetCalls);
const sample = (name: string) => new RegExp(`^${name}(?:{.*})? (.*)$`, 'm').exec(guest.read(METRICS) ?? '')?.[1];

describe('license wait', () => {
  test('0: a licensed guest need not wait, and nothing is changed', async () => {
    const ran = await guest.vgpuGuest(['license', 'wait', '--json']);
    expect(ran.code).toBe(0);
    expect(json(ran)).toMatchObject({
      schema: 'vgpu-guest/report/1',
      outcome: 'settled',
      changed: false,
      steps: [{ id: 'await-license', outcome: 'settled' }],
      license: { state: 'licensed', product: 'NVIDIA RTX Virtual Workstation' },
    });
    expect(changes()).toEqual([]);
  });

  test('0: the license comes in time, beside a run that holds the lock', async () => {
    await holdLock();
    guest.setLicenseService({ answer: 'refuse' });
    await guest.run('systemctl', 'restart', 'nvidia-gridd.service');
    guest.forgetCalls();
    const waiting = guest.vgpuGuest(['license', 'wait', '--license-timeout', '60s']);
    const follows = () => guest.calls('look').some(({ args }) => args.includes('--follow'));
    await expect.poll(follows).toBe(true);
    expect(changes()).toEqual([]);
    guest.setLicenseService({});
    await guest.run('systemctl', 'restart', 'nvidia-gridd.service');
    const { code, stdout, stderr } = await waiting;
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^the guest is licensed: NVIDIA RTX Virtual Workstation until /);
    expect(stderr).toContain('nvidia-gridd: License acquired successfully.');
  });

  test('5: none came, with what nvidia-gridd said and what to do', async () => {
    guest.setLicenseService({ answer: 'refuse' });
    await guest.run('systemctl', 'restart', 'nvidia-gridd.service');
    const ran = await guest.vgpuGuest(['license', 'wait', '--json', '--license-timeout', '1s']);
    expect(ran.code).toBe(5);
    expect(json(ran)).toMatchObject({
      outcome: 'unlicensed',
      steps: [
        { because: expect.stringContaining('No pool features found'), remedy: expect.stringContaining('portal') },
      ],
    });
  });

  test('4: on a host none will ever come', async () => {
    await die();
    guest.write('/var/lib/stubs/virtualization-mode', 'Host VGPU\n');
    const { code, stdout } = await guest.vgpuGuest(['license', 'wait']);
    expect([code, stdout]).toEqual([4, 'nvidia-smi says that this is the host of vGPUs, and not a guest\n']);
  });

  test('78 and 64: a wrong duration, an unknown option', async () => {
    expect((await guest.vgpuGuest(['license', 'wait', '--license-timeout', 'soon'])).code).toBe(78);
    expect((await guest.vgpuGuest(['license', 'wait', '--token', 'x'])).code).toBe(64);
  });
});

describe('license watch', () => {
  test('0: leaves a licensed guest alone, and remembers that it was', async () => {
    const ran = await watch();
    expect(ran.code).toBe(0);
    expect(json(ran)).toMatchObject({
      schema: 'vgpu-guest/license-watch/1',
      license: { state: 'licensed' },
      required: true,
      action: 'none',
      restarts: 0,
      lastSuccessAt: expect.stringMatching(/Z$/),
    });
    expect(changes()).toEqual([]);
    expect(guest.manifest()[MEMORY]).toMatch(/^file 600 /);
    expect((await guest.vgpuGuest(['license', 'watch', '--quiet'])).stdout).toBe('');
  });

  test('starts a daemon that does not run, and the next look finds the guest licensed', async () => {
    await die();
    const ran = await watch();
    expect(json(ran)).toMatchObject({ action: 'restarted', because: 'nvidia-gridd does not run', restarts: 1 });
    expect(changes()).toEqual([RESTART]);
    expect((await guest.vgpuGuest(['license', 'wait'])).code).toBe(0);
    const next = await watch();
    expect([next.code, json(next).action, json(next).restarts]).toEqual([0, 'none', 1]);
    expect(changes()).toEqual([RESTART]);
  });

  test('5: restarts a daemon that has lost its license, once, and then less and less often', async () => {
    guest.setLicenseService({ answer: 'refuse' });
    loseLicense();
    const first = await watch();
    expect([first.code, json(first).action]).toEqual([5, 'restarted']);
    const second = await watch();
    expect([second.code, json(second).action]).toEqual([5, 'wait']);
    expect(json(second).because).toContain('may still get a license');
    startedAgo(360);
    expect(json(await watch()).because).toContain('restarted once in vain');
    expect(changes()).toEqual([RESTART]);
    guest.write(MEMORY, JSON.stringify({ restarts: 1, attempts: 1, lastRestartUs: Date.now() * 1000 - 301_000_000 }));
    expect(json(await watch())).toMatchObject({ action: 'restarted', restarts: 2 });
    expect(changes()).toEqual([RESTART, RESTART]);
  });

  test('never restarts where the GPU needs no license', async () => {
    guest.write('/etc/vgpu-guest/config.yaml', '{}\n');
    guest.write('/var/lib/stubs/virtualization-mode', 'Pass-Through\n');
    await die();
    const ran = await watch();
    expect([ran.code, json(ran).required, json(ran).action]).toEqual([0, false, 'none']);
    expect(changes()).toEqual([]);
  });

  test('never touches a guest whose driver does not answer', async () => {
    await die();
    const version = guest.read('/sys/module/nvidia/version') ?? '';
    guest.write('/sys/module/nvidia/version', '565.1.1\n');
    const ran = await watch();
    guest.write('/sys/module/nvidia/version', version);
    expect([ran.code, json(ran).action, json(ran).license.state]).toEqual([5, 'none', 'unknown']);
    expect(json(ran).because).toContain('version mismatch');
    expect(changes()).toEqual([]);
  });

  test('waits while another run is at work', async () => {
    await die();
    await holdLock();
    const ran = await watch();
    expect(json(ran)).toMatchObject({ action: 'wait', because: 'another run of vgpu-guest is at work' });
    expect(changes()).toEqual([]);
  });

  test('says why a daemon cannot be started, and counts it', async () => {
    for (const name of guest.list('/etc/nvidia/ClientConfigToken')) {
      guest.write(`/etc/nvidia/ClientConfigToken/${name}`, 'no token');
    }
    await die();
    const ran = await watch();
    expect([ran.code, json(ran).action, json(ran).restarts]).toEqual([5, 'restarted', 1]);
    expect(json(ran).because).toContain('no valid token');
  });

  test('starts anew with a memory that is damaged', async () => {
    for (const text of ['', 'null', '{"restarts":"x","attempts":1e99', '{"restarts":"x"}', '[]']) {
      guest.write(MEMORY, text);
      expect(json(await watch()), text).toMatchObject({ action: 'none', restarts: 0 });
    }
  });

  test('writes metrics where they are asked for, at once and for everybody to read', async () => {
    await die();
    expect((await watch('--metrics', METRICS)).code).toBe(5);
    expect([sample('vgpu_guest_gridd_restarts_total'), sample('vgpu_guest_license_required')]).toEqual(['1', '1']);
    expect(sample('vgpu_guest_license_expiry_timestamp_seconds')).toBeUndefined();
    expect((await guest.vgpuGuest(['license', 'wait'])).code).toBe(0);
    expect((await watch('--metrics', METRICS)).code).toBe(0);
    expect(sample('vgpu_guest_license_state')).toBe('1');
    expect(Number(sample('vgpu_guest_license_expiry_timestamp_seconds'))).toBeGreaterThan(Date.now() / 1000);
    expect(sample('vgpu_guest_license_success_age_seconds')).toBe('0');
    expect(guest.read(METRICS)).toContain('product="NVIDIA RTX Virtual Workstation",driver="570.211.01"');
    expect(guest.manifest()[METRICS]).toMatch(/^file 644 /);
    expect(guest.list('/var/lib/metrics')).toEqual(['vgpu-guest.prom']);
  });

  test('writes metrics where node_exporter looks, if there is such a folder, and else nowhere', async () => {
    const before = guest.manifest();
    await watch();
    expect(Object.keys(guest.manifest()).filter(path => !(path in before))).toEqual([MEMORY]);
    mkdirSync(guest.at('/var/lib/prometheus/node-exporter'), { recursive: true });
    await watch();
    expect(guest.read('/var/lib/prometheus/node-exporter/vgpu-guest.prom')).toContain('vgpu_guest_license_state');
    guest.remove('/var/lib/prometheus');
  });
});

/** By this test. */
async function holdLock(): Promise<void> {
  const release = await openGuest({ root: guest.root, env: {} }).lock();
  onTestFinished(release);
}

describe('the units that look after a license', () => {
  const hasAnalyze = spawnSync('systemd-analyze', ['--version']).error === undefined;
  const unitText = async (which: string) => (await guest.vgpuGuest(['license', 'unit', which])).stdout;

  test('run this very program, with jitter', async () => {
    expect(await unitText('service')).toMatch(/^ExecStart=\S+ \S+vgpu-guest\.mjs license watch --quiet$/m);
    expect(await unitText('timer')).toMatch(/^RandomizedDelaySec=/m);
    expect((await guest.vgpuGuest(['license', 'unit', 'socket'])).code).toBe(64);
  });

  test.skipIf(!hasAnalyze)('are right by systemd itself, and hardened (not run without systemd-analyze)', async () => {
    const folder = temporaryFolder();
    const paths = await Promise.all(
      ['service', 'timer'].map(async which => {
        const path = join(folder, `vgpu-guest-license.${which}`);
        writeFileSync(path, await unitText(which));
        return path;
      }),
    );
    const verified = spawnSync('systemd-analyze', ['verify', ...paths], { encoding: 'utf8' });
    expect({ status: verified.status, said: verified.stderr }).toEqual({ status: 0, said: '' });
    const secured = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', paths[0] ?? ''], {
      encoding: 'utf8',
    });
    const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(secured.stdout)?.[1]);
    expect(exposure).toBeLessThanOrEqual(2);
  });
});
