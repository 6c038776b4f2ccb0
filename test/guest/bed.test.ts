import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import type { Argv } from '../../src/change.ts';
import type { Outcome } from '../../src/guest/guest.ts';
import { runInOrder } from './checks.ts';
import { type BuildMachine, whatIsLacking } from './image.ts';
import { createVerbs } from './real-guest.ts';
import { chooseCuts } from './vm/scenarios/cuts.ts';

const GIB = 1024 ** 3;
const able: BuildMachine = { isRoot: true, missing: [], cache: '/var/cache/guests', freeBytes: 7 * GIB };

describe('a machine on which guests are to be built', () => {
  test('lacks nothing', () => {
    expect(whatIsLacking(able)).toBeUndefined();
  });

  test('needs root before anything else', () => {
    expect(whatIsLacking({ ...able, isRoot: false, missing: ['qemu-img'], freeBytes: 0 })).toBe(
      'guests are built and booted by root: run it as root',
    );
  });

  test('is told which packages bring its programs, each once', () => {
    expect(whatIsLacking({ ...able, missing: ['debugfs', 'mke2fs', 'dpkg-deb', 'gcc'] })).toBe(
      'debugfs, mke2fs, dpkg-deb, gcc not installed: apt-get install e2fsprogs dpkg gcc (on Debian or Ubuntu)',
    );
  });

  test('is told where there is too little room', () => {
    expect(whatIsLacking({ ...able, freeBytes: 5 * GIB })).toBe(
      '/var/cache/guests has less than 6 GiB free: make room or set VGPU_GUEST_TEST_CACHE',
    );
  });
});

describe('guests that cannot be played', () => {
  test.each([
    'containers.ts',
    'container-journey.ts',
    'families/journey.ts',
    'license/container.ts',
    'callers/journey.ts',
    'vm/main.ts',
  ])('are not run, which is a failure, where %s finds no program', async entry => {
    const file = `${import.meta.dirname}/${entry}`;
    const run = await execa(process.execPath, [file], {
      env: { PATH: '/nonexistent' },
      extendEnv: false,
      reject: false,
    });
    expect(run.stdout).toMatch(/^not run: .*(run it as root|not installed: apt-get install )/);
    expect(run.stdout).toMatch(/^0 passed, [1-9]\d* failed$/m);
    expect(run.exitCode).toBe(1);
  });

  test('are not run, which is a failure, where their name is wrong', async () => {
    const run = await execa(process.execPath, [`${import.meta.dirname}/vm/main.ts`, 'jurney'], { reject: false });
    expect(run.stdout).toBe(
      'not run: no jurney here, but eras, cuts, kernels, journey, secure-boot, cloud-init, hardware, terminal\n0 passed, 1 failed',
    );
    expect(run.exitCode).toBe(1);
  });
});

describe('checks of a guest', () => {
  test('end at the first failure, keep the evidence, and count what was not reached as failed', async () => {
    const failures: unknown[] = [];
    const refused = new Error('the guest said no');
    const tally = await runInOrder(
      'guest',
      [
        ['boots', async () => undefined],
        ['is licensed', () => Promise.reject(refused)],
        ['stays licensed', () => expect.unreachable()],
      ],
      async error => void failures.push(error),
    );
    expect(tally).toEqual({ passed: 1, failed: 2 });
    expect(failures).toEqual([refused]);
  });
});

describe('power cuts', () => {
  test('come at the same moments for the same seed, within each stage', () => {
    const cuts = chooseCuts(100, 7);
    expect(chooseCuts(100, 7)).toEqual(cuts);
    expect(chooseCuts(100, 8)).not.toEqual(cuts);
    expect(cuts.every(({ moment }) => moment >= 0 && moment < 1)).toBe(true);
    expect(cuts.filter(({ stage }) => stage === 'apply')).toHaveLength(50);
  });
});

describe('a guest of the bed', () => {
  /** It answers as it is told, for as long as there is something; the last answer stays. */
  function guestThatSays(...answers: readonly Partial<Outcome>[]) {
    const left = [...answers];
    const asked: string[] = [];
    const told: string[] = [];
    const look = async (argv: Argv) => {
      asked.push(argv.join(' '));
      const answer = left.length > 1 ? left.shift() : left[0];
      return { code: 0, stdout: '', stderr: '', ...answer };
    };
    const { signal } = new AbortController();
    const verbs = createVerbs({ name: 'sles', deadlineMs: 60_000, look, log: line => told.push(line), signal });
    return { verbs, asked, told };
  }

  test('whose unit has failed is waited for no longer, and its status is shown', async () => {
    const { verbs, asked } = guestThatSays(
      { stdout: 'activating\n' },
      { stdout: 'failed\n' },
      { stdout: 'exit code 226' },
    );
    await expect(verbs.waitForUnit('nvidia-gridd.service')).rejects.toThrow(
      'nvidia-gridd.service has failed\nexit code 226',
    );
    expect(asked.map(line => line.split(' ')[1])).toEqual(['is-active', 'is-active', 'status']);
  });

  test('that boots with a failed unit has not booted', async () => {
    const { verbs } = guestThatSays({ stdout: 'degraded\n' }, { stdout: 'x.service' });
    await expect(verbs.waitForBoot()).rejects.toThrow('the guest is degraded\nx.service');
  });

  test('is asked again until it succeeds, and for no longer than the deadline', async () => {
    const { verbs, asked } = guestThatSays({ code: 1 }, { code: 1 }, { stdout: 'there' });
    expect(await verbs.waitUntilSucceeds(['test', '-e', '/run/x'])).toBe('there');
    expect(asked).toHaveLength(3);
    const never = guestThatSays({ code: 1 }).verbs.waitUntilSucceeds(['false'], 10);
    await expect(never).rejects.toThrow('waited 10 ms in vain for false to succeed');
  });

  test('ends a program as it is expected to, or all that it said is shown', async () => {
    const { verbs, told } = guestThatSays({ code: 4, stderr: 'no driver' });
    await verbs.fail(['vgpu-guest', 'apply'], 4);
    for (const wrong of [verbs.succeed(['vgpu-guest', 'apply']), verbs.fail(['vgpu-guest', 'apply'], 5)])
      await expect(wrong).rejects.toThrow(/must end with exit code [05]\nexit code 4[\s\S]*no driver/);
    expect(told[0]).toMatch(/^sles: vgpu-guest apply: exit code 4 \(\d+\.\d s\)$/);
  });
});
