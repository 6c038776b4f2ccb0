import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type FolderGuest, makeFolderGuest } from '../../test/helpers/folder-guest.ts';
import { ROOT } from '../root.ts';
import { type Command, compare, median, once } from './measure.ts';

/** npm run bench: every bound on time and memory, measured in one run on a guest in a folder, with the released executable. */
const EXECUTABLE = join(ROOT, `dist/release/vgpu-guest-linux-${process.arch}`);
const ROUNDS = 15;
if (!existsSync(EXECUTABLE)) {
  console.error(`${EXECUTABLE} is not there: npm run build:release -- --architecture ${process.arch} --quick`);
  process.exit(1);
}

interface Row {
  readonly what: string;
  readonly measured: number | undefined;
  readonly bound: number;
  readonly unit: string;
  readonly against: string;
}

/** A MiB of what others say. */
const CHATTER = 'Nov 21 09:00:00 guest sshd[1]: a line of somebody else that is as long as lines of a log usually are\n'
  .repeat(2 ** 14)
  .slice(0, 2 ** 20);

const rows: Row[] = [];
const bare: Command = { argv: [process.execPath, '-e', '0'], env: {} };
const plain = (...args: readonly string[]): Command => ({ argv: [EXECUTABLE, ...args], env: {} });
const on = (guest: FolderGuest, ...args: readonly string[]) => plain(...args, '--root', guest.root);

asAfterABoot(EXECUTABLE);
await settledGuest();
await licenseSeen();
await waiting();
attaching();
print();

/** A file that was just written lies in memory in large pieces, and whoever runs it is said to use all of each. */
function asAfterABoot(file: string): void {
  const forgetting = [`if=${file}`, 'of=/dev/null', 'iflag=nocache', 'count=0'];
  // what is not on disk yet stays in memory
  for (const [program, argv] of [
    ['sync', [file]],
    ['dd', forgetting],
  ] as const) {
    const { status, error } = spawnSync(program, argv, { stdio: 'ignore' });
    if (status !== 0) throw new Error(`${program} does not help to take ${file} out of memory`, { cause: error });
  }
}

/** Starts, looks, and runs that have nothing to do. */
async function settledGuest(): Promise<void> {
  using guest = makeFolderGuest({ prerequisites: 'installed', nouveau: 'not-bound', license: { delayS: 0.2 } });
  once(on(guest, 'apply'));
  await guest.reboot();
  once(on(guest, 'apply'));
  guest.forgetCalls();
  once(on(guest, 'apply'));
  const probes = join(guest.root, 'tmp/probes');
  writeFileSync(
    probes,
    guest
      .calls()
      .map(({ program, args }) => [program, ...args].join(' '))
      .concat('')
      .join('\n'),
  );
  const folders = ['usr/local/sbin', 'usr/local/bin', 'usr/sbin', 'usr/bin', 'sbin', 'bin'].map(folder =>
    guest.at(folder),
  );
  const env = { PATH: folders.join(':'), GUEST_ROOT: guest.root, LC_ALL: 'C' };
  const spent = compare(
    {
      runtime: bare,
      version: plain('--version'),
      status: on(guest, 'status'),
      smi: { argv: [guest.at(pathOf(guest, 'nvidia-smi')), '-q', '-x'], env },
      apply: on(guest, 'apply'),
      probes: { argv: ['/bin/sh', join(ROOT, 'scripts/bench/probes.sh'), probes], env },
    },
    ROUNDS,
  );
  const { runtime, version, status, smi, apply, probes: alone } = spent;
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  add(
    '--version',
    version.ms / runtime.ms,
    2,
    '× runtime',
    `${ms(version.ms)}; the bare runtime takes ${ms(runtime.ms)}`,
  );
  add(
    'status',
    status.ms,
    runtime.ms + smi.ms + 60,
    'ms',
    `runtime ${ms(runtime.ms)} + nvidia-smi ${ms(smi.ms)} + 60 ms`,
  );
  add(
    'apply, nothing to do',
    apply.ms / alone.ms,
    1.5,
    '× probes',
    `${ms(apply.ms)}; its probes alone ${ms(alone.ms)}`,
  );
  add(
    'the same in Ansible',
    ansible(guest, probes, env, apply.ms),
    1 / 25,
    '× play',
    'a task a probe, by ansible-playbook',
  );
  const peak = Math.max(version.peakKiB, status.peakKiB, apply.peakKiB) / 1024;
  add(
    'peak memory',
    peak,
    90,
    'MB',
    `--version ${(version.peakKiB / 1024).toFixed(0)}, status ${(status.peakKiB / 1024).toFixed(0)}, apply ${(apply.peakKiB / 1024).toFixed(0)}`,
  );
}

/** The same questions as tasks of a play. */
function ansible(
  guest: FolderGuest,
  probes: string,
  env: Readonly<Record<string, string>>,
  applyMs: number,
): number | undefined {
  if (spawnSync('ansible-playbook', ['--version']).error) return undefined;
  const tasks = readFileSync(probes, 'utf8')
    .trim()
    .split('\n')
    .map(line => ({
      name: line,
      'ansible.builtin.command': { argv: line.split(' ') },
      changed_when: false,
      failed_when: false,
      environment: env,
    }));
  const play = guest.at('/tmp/play.json');
  writeFileSync(play, JSON.stringify([{ hosts: 'localhost', connection: 'local', gather_facts: true, tasks }]));
  const { PATH = '', HOME = '/root' } = process.env;
  const { ms } = once({ argv: ['ansible-playbook', '-i', 'localhost,', play], env: { PATH, HOME, LC_ALL: 'C.UTF-8' } });
  return applyMs / ms;
}

/** From the daemon's line in the journal to the program's own line in its log. */
async function licenseSeen(): Promise<void> {
  const seen: number[] = [];
  for (let round = 0; round < 7; round++) {
    using guest = makeFolderGuest({ prerequisites: 'installed', nouveau: 'not-bound', license: { answer: 'silent' } });
    once(on(guest, 'apply', '--license-timeout', '1s'));
    await guest.reboot();
    once(on(guest, 'apply', '--license-timeout', '1s'));
    guest.setLicenseService({ answer: 'grant', delayS: 2 });
    await guest.run('systemctl', 'restart', 'nvidia-gridd.service');
    const waiting = spawn(EXECUTABLE, ['license', 'wait', '--root', guest.root], { env: {}, stdio: 'ignore' });
    await new Promise(resolve => waiting.once('close', resolve));
    const endedMs = Date.parse(
      JSON.parse(readFileSync(guest.at('/var/log/vgpu-guest.log'), 'utf8').trim().split('\n').at(-1) ?? '{}').timestamp,
    );
    seen.push(endedMs - statSync(guest.at('/var/lib/stubs/journal')).mtimeMs);
  }
  add('the license is seen', median(seen), 100, 'ms', `after its line is written, median of ${seen.length}`);
}

/** Half a minute of it, without the start: what the program itself takes, apart from what it asks. */
async function waiting(): Promise<void> {
  using guest = makeFolderGuest({ prerequisites: 'installed', nouveau: 'not-bound', license: { answer: 'silent' } });
  once(on(guest, 'apply', '--license-timeout', '1s'));
  const waiting = spawn(EXECUTABLE, ['license', 'wait', '--license-timeout', '60s', '--root', guest.root], {
    env: {},
    stdio: 'ignore',
  });
  const ended = new Promise(resolve => waiting.once('close', resolve));
  await setTimeout(5_000);
  const before = ownCpuMs(waiting.pid);
  await setTimeout(30_000);
  const spentMs = ownCpuMs(waiting.pid) - before;
  waiting.kill();
  await ended;
  add('waiting for a license', (spentMs / 30_000) * 100, 0.5, '% of a core', 'without the stand-ins that it asks');
}

/** proc_pid_stat(5): utime and stime, in hundredths of a second. */
function ownCpuMs(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** A log without a journal, small and large. */
function attaching(): void {
  using guest = makeFolderGuest({
    prerequisites: 'installed',
    nouveau: 'not-bound',
    journal: 'absent',
    license: { delayS: 0.2 },
  });
  once(on(guest, 'apply'));
  const log = guest.at(readFileSync(guest.at('/var/lib/stubs/syslog-path'), 'utf8').trim());
  const lines = existsSync(log) ? readFileSync(log) : Buffer.alloc(0);
  const doctor = (bytes: number) => {
    writeFileSync(log, '');
    for (let size = 0; size < bytes; size += CHATTER.length) writeFileSync(log, CHATTER, { flag: 'a' });
    writeFileSync(log, lines, { flag: 'a' });
    return compare({ doctor: on(guest, 'doctor') }, 5).doctor.ms;
  };
  const [small, large] = [doctor(2 ** 20), doctor(2 ** 30)];
  add('a log of 1 GB', large / small, 1.1, '× 1 MB', `doctor: ${large.toFixed(0)} ms and ${small.toFixed(0)} ms`);
}

function pathOf(guest: FolderGuest, program: string): string {
  const found = ['/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'].find(folder =>
    existsSync(guest.at(`${folder}/${program}`)),
  );
  return `${found ?? '/usr/bin'}/${program}`;
}

function add(what: string, measured: number | undefined, bound: number, unit: string, against: string): void {
  rows.push({ what, measured, bound, unit, against });
}

function print(): void {
  const number = (value: number) => (value >= 10 ? value.toFixed(0) : value.toFixed(2));
  console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}\n`);
  console.log('| what | measured | bound | | |\n| --- | --- | --- | --- | --- |');
  for (const { what, measured, bound, unit, against } of rows) {
    const verdict =
      measured === undefined
        ? 'not measured'
        : measured <= bound
          ? 'met'
          : `missed by ${((measured / bound - 1) * 100).toFixed(0)} %`;
    const shown = measured === undefined ? '' : `${number(measured)} ${unit}`;
    console.log(`| ${what} | ${shown} | ${number(bound)} ${unit} | ${verdict} | ${against} |`);
  }
}
