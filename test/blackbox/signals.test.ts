import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type FolderGuest, makeFolderGuest } from '../helpers/folder-guest.ts';
import { generator } from '../helpers/generator.ts';
import { leftRunning } from '../helpers/left-running.ts';
import { makeToken } from '../helpers/token.ts';

const PROGRAM = join(import.meta.dirname, '../../dist/vgpu-guest.mjs');
/** One run from bare to licensed, with a screen that has to be left for the driver. */
const nearly = { nouveau: 'not-bound', prerequisites: 'missing', x: 'running' } as const;
const FAMILIES = ['suse', 'rhel', 'debian'] as const;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
/** As many moments as are asked for; the usual ones take half a minute. */
const MOMENTS = Number(process.env.VGPU_GUEST_SIGNALS ?? 12);
const SEED = 7;
const STOPPED = 'what was begun can be run again';
/** The installer keeps what it meets where its own files belong, also what an ended installation has left there. */
const OF_THE_RUN = /^\/var\/lib\/(?:vgpu-guest\/(?:last-report|changes)\.json|nvidia\/(?:dirs|log|\d+))$/;

interface Whole {
  readonly calls: number;
  readonly tree: Readonly<Record<string, string>>;
}

const WHOLE = Object.fromEntries(
  await Promise.all(
    FAMILIES.map(async family => {
      using guest = makeFolderGuest({ ...nearly, family });
      const { code, stderr } = await guest.vgpuGuest(['apply']);
      if (code !== 0) throw new Error(stderr);
      return [family, { calls: guest.calls().length, tree: treeOf(guest) }] as const;
    }),
  ),
) as Readonly<Record<(typeof FAMILIES)[number], Whole>>;

/** On one family, since what it calls is much the same on each. */
const BACK = ['revert', '--driver', '--packages'] as const;
const WHOLE_BACK = await (async () => {
  using guest = await licensed();
  const { code, stderr } = await guest.vgpuGuest(BACK);
  if (code !== 3) throw new Error(stderr);
  return { calls: guest.calls().length, tree: treeOf(guest) };
})();

const NEXT_TOKEN = '/opt/client_configuration_token_12-01-2026-10-00-00.tok';
const ROTATE = ['token', 'rotate', NEXT_TOKEN] as const;
const ROTATION = await (async () => {
  using guest = await withNextToken();
  const { code, stderr } = await guest.vgpuGuest(ROTATE);
  if (code !== 0) throw new Error(stderr);
  return { calls: guest.calls().length };
})();

const random = generator(SEED);
const MOMENTS_CHOSEN = Array.from({ length: MOMENTS }, () => {
  const family = random.pick(FAMILIES);
  const second = random.below(2) === 1 ? random.pick(['SIGTERM', 'SIGINT'] as const) : undefined;
  return [random.pick(SIGNALS), second, family, 1 + random.below(WHOLE[family].calls)] as const;
});

test.concurrent.each(MOMENTS_CHOSEN)(
  '%s, then %s, on a guest of the %s family after its call %i leaves what the next run finishes',
  async (first, second, family, after) => {
    using guest = makeFolderGuest({ ...nearly, family });
    const run = start(guest);
    await callsMade(guest, after, run.child);
    run.child.kill(first);
    if (second) {
      await setTimeout(50);
      run.child.kill(second);
    }
    const { code, stderr } = await run.ended;
    const isOver = code === 0; // the signal came when everything was done
    if (!isOver) {
      // Node lets go of its signals when it leaves, and a second one may come just then
      expect([first, second].map(signal => signal && 128 + constants.signals[signal])).toContain(code);
      expect(stderr).toContain(`stopped by ${first}; ${STOPPED}`);
    }
    expect(stderr).not.toMatch(/^\s+at |defect/m);
    expect(await leftRunning(guest)).toEqual([]);
    expect(guest.read('/var/lib/stubs/units/graphical.target/active')).toBe('active\n');
    expect(guest.list('/boot').filter(name => name.startsWith('.'))).toEqual([]);
    const again = await guest.vgpuGuest(['apply']);
    expect(again.code, again.stdout + again.stderr).toBe(0);
    expect(treeOf(guest)).toEqual(WHOLE[family].tree);
  },
);

const MOMENTS_BACK = Array.from(
  { length: Math.ceil(MOMENTS / 4) },
  () => [random.pick(SIGNALS), 1 + random.below(WHOLE_BACK.calls)] as const,
);

test.concurrent.each(MOMENTS_BACK)(
  '%s after call %i of a revert leaves what the next one finishes',
  async (signal, after) => {
    using guest = await licensed();
    const run = start(guest, BACK);
    await callsMade(guest, after, run.child);
    run.child.kill(signal);
    const { code, stderr } = await run.ended;
    if (code !== 3) expect([code, stderr]).toEqual([128 + constants.signals[signal], expect.stringContaining(STOPPED)]);
    expect(stderr).not.toMatch(/^\s+at |defect/m);
    expect(await leftRunning(guest)).toEqual([]);
    expect(guest.read('/var/lib/stubs/units/graphical.target/active')).toBe('active\n');
    const again = await guest.vgpuGuest(BACK);
    expect(again.code, again.stdout + again.stderr).toBe(3);
    expect(treeOf(guest)).toEqual(WHOLE_BACK.tree);
  },
);

const MOMENTS_OF_ROTATION = Array.from(
  { length: Math.ceil(MOMENTS / 4) },
  () => [random.pick(SIGNALS), 1 + random.below(ROTATION.calls)] as const,
);

test.concurrent.each(MOMENTS_OF_ROTATION)(
  '%s after call %i of a rotation of the token leaves what the next one finishes',
  async (signal, after) => {
    using guest = await withNextToken();
    const run = start(guest, ROTATE);
    await callsMade(guest, after, run.child);
    run.child.kill(signal);
    const { code, stderr } = await run.ended;
    if (code !== 0) expect([code, stderr]).toEqual([128 + constants.signals[signal], expect.stringContaining(STOPPED)]);
    expect(stderr).not.toMatch(/^\s+at |defect/m);
    expect(await leftRunning(guest)).toEqual([]);
    const again = await guest.vgpuGuest(ROTATE);
    expect(again.code, again.stdout + again.stderr).toBe(0);
    expect(tokensPlaced(guest)).toEqual([guest.read(NEXT_TOKEN)]);
    const status = await guest.vgpuGuest(['status', '--json']);
    expect(JSON.parse(status.stdout).license.state).toBe('licensed');
  },
);

test('the installer is let finish by a stop, and its driver is whole', async () => {
  using guest = makeFolderGuest({ ...nearly, family: 'suse' });
  const run = start(guest);
  await expect.poll(() => guest.read('/var/log/nvidia-installer.log'), { interval: 5 }).toBeTruthy();
  run.child.kill('SIGTERM');
  expect((await run.ended).code).toBe(143);
  expect(guest.read('/var/log/nvidia-installer.log')).toContain('is now complete');
  expect((await guest.run('nvidia-smi')).code).toBe(0);
});

test('a second signal ends the installer at once, with all that it has started, and the screen comes back', async () => {
  using guest = makeFolderGuest({ ...nearly, family: 'suse' });
  holdUpDkms(guest);
  const run = start(guest);
  await expect.poll(() => guest.calls().some(({ program }) => program === 'held-up')).toBe(true);
  run.child.kill('SIGINT');
  await expect.poll(() => run.said()).toContain('another signal ends it at once');
  const startedMs = performance.now();
  run.child.kill('SIGINT');
  expect((await run.ended).code).toBe(130);
  expect(performance.now() - startedMs).toBeLessThan(45_000);
  expect(await leftRunning(guest)).toEqual([]);
  expect(guest.read('/var/lib/stubs/units/graphical.target/active')).toBe('active\n');
});

test('a terminal that goes away ends the run in order', async () => {
  using guest = makeFolderGuest({ ...nearly, family: 'debian', license: { answer: 'silent' } });
  const argv = [process.execPath, PROGRAM, 'apply', '--root', guest.root];
  // script(1) is the terminal
  const terminal = spawn('script', ['--quiet', '--command', argv.join(' '), '/dev/null'], { stdio: 'ignore' });
  await expect.poll(() => guest.read('/var/lib/stubs/journal')).toContain('Acquiring license');
  const over = once(terminal, 'exit');
  terminal.kill('SIGKILL');
  await over;
  await expect.poll(() => lockIsFree(guest)).toBe(true);
  expect(await leftRunning(guest)).toEqual([]);
  guest.setLicenseService({});
  await guest.run('systemctl', 'restart', 'nvidia-gridd');
  expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
});

test('whoever reads along and goes away does not end the run', async () => {
  using guest = makeFolderGuest({ ...nearly, family: 'debian' });
  const child = spawn(process.execPath, [PROGRAM, 'apply', '--root', guest.root], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  await once(child.stderr, 'data');
  for (const stream of [child.stdout, child.stderr]) stream.destroy();
  expect(await ended).toEqual([0, null]);
  expect(treeOf(guest)).toEqual(WHOLE.debian.tree);
});

interface Running {
  readonly child: ChildProcess;
  readonly said: () => string;
  readonly ended: Promise<{ readonly code: number; readonly stderr: string }>;
}

/** Its screen is left for the driver on the way back, too. */
async function licensed(): Promise<FolderGuest> {
  const guest = makeFolderGuest({ ...nearly, family: 'rhel' });
  const { code, stderr } = await guest.vgpuGuest(['apply']);
  if (code !== 0) throw new Error(stderr);
  guest.forgetCalls();
  return guest;
}

async function withNextToken(): Promise<FolderGuest> {
  const guest = await licensed();
  guest.write(NEXT_TOKEN, makeToken(), 0o600);
  return guest;
}

function tokensPlaced(guest: FolderGuest): readonly (string | undefined)[] {
  const folder = '/etc/nvidia/ClientConfigToken';
  return guest.list(folder).map(name => guest.read(`${folder}/${name}`));
}

function start(guest: FolderGuest, command: readonly string[] = ['apply']): Running {
  const argv = [PROGRAM, ...command, '--root', guest.root];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'], env: { LANG: 'C.UTF-8' } });
  let stderr = '';
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes.toString('utf8');
  });
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code ?? 128 + constants.signals[signal as NodeJS.Signals],
    stderr,
  }));
  return { child, said: () => stderr, ended };
}

async function callsMade(guest: FolderGuest, count: number, child: ChildProcess): Promise<void> {
  while (guest.calls().length < count && child.exitCode === null) await setTimeout(2);
}

/** dkms says that it was called to change something, and then does not come to its end. */
function holdUpDkms(guest: FolderGuest): void {
  const script = `#!/bin/sh
case \${1-} in add | build | install) ;; *) exec "$GUEST_ROOT/usr/lib/stubs/bin/dkms" "$@" ;; esac
printf 'change\\theld-up\\n' >>"$GUEST_ROOT/calls.log"
PATH=/usr/bin:/bin
trap '' TERM
sleep 600
`;
  guest.write('/usr/local/sbin/dkms', script, 0o755);
}

async function lockIsFree(guest: FolderGuest): Promise<boolean> {
  return (await guest.run('flock', '--nonblock', guest.at('/run/vgpu-guest/lock'), 'true')).code === 0;
}

/** Every guest has a token of its own, and what is said and remembered of a run is another text each time. */
function treeOf(guest: FolderGuest): Readonly<Record<string, string>> {
  const tree = guest.manifest();
  const token = tree[guest.tokenPath]?.split(' ').at(-1) ?? '';
  const kept = Object.entries(tree).filter(([path]) => !OF_THE_RUN.test(path));
  return Object.fromEntries(kept.map(([path, what]) => [path, what.replace(token, 'TOKEN')]));
}
