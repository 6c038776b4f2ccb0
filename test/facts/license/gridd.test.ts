import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { failureOf, isRunning } from '../../../src/facts/license/gridd.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

/** In the order in which systemd 255 prints them, which is not the order of the question. */
const ACTIVE =
  'Result=success\\nMainPID=812\\nExecMainCode=0\\nExecMainStatus=0\\nLoadState=loaded\\nActiveState=active\\nSubState=running\\nUnitFileState=enabled\\n';
const FAILED =
  'Result=exit-code\\nMainPID=0\\nExecMainCode=1\\nExecMainStatus=1\\nLoadState=loaded\\nActiveState=failed\\nSubState=failed\\nUnitFileState=disabled\\n';
const NOT_FOUND =
  'Result=success\\nMainPID=0\\nExecMainStatus=0\\nLoadState=not-found\\nActiveState=inactive\\nSubState=dead\\nUnitFileState=\\n';
const BUS_PATH = '/org/freedesktop/systemd1/unit/nvidia_2dgridd_2eservice';

interface Given {
  readonly show?: string;
  readonly bus?: string;
  /** What `systemctl show --timestamp=us+utc` prints; refused as by a systemd before 247 when undefined. */
  readonly timestamp?: string;
  readonly files?: Readonly<Record<string, string>>;
}

async function griddOf({ show, bus, timestamp, files = {} }: Given) {
  const root = temporaryFolder();
  writeFiles(root, files);
  if (show !== undefined) {
    const stamp =
      timestamp === undefined ? 'echo "unrecognized option" >&2; exit 1' : `echo 'InactiveExitTimestamp=${timestamp}'`;
    writeProgram(
      root,
      'systemctl',
      `case "$*" in *--timestamp=us+utc*) ${stamp};; "show nvidia-gridd.service "*) printf '${show}';; *) exit 1;; esac`,
    );
  }
  if (bus !== undefined) {
    writeProgram(
      root,
      'busctl',
      `case "$*" in *" ${BUS_PATH} org.freedesktop.systemd1.Unit InactiveExitTimestamp") ${bus};; *) exit 1;; esac`,
    );
  }
  const gridd = await lookAt(openGuest({ root }), configSchema.parse({})).fact('gridd');
  return { root, gridd };
}

it('a running daemon has its start in microseconds', async () => {
  const { gridd } = await griddOf({ show: ACTIVE, bus: "echo 't 1795194087123456'" });
  expect(gridd.unit).toEqual({
    load: 'loaded',
    active: 'active',
    enabled: 'enabled',
    result: 'success',
    exitCode: 0,
    mainPid: 812,
    startedUs: 1_795_194_087_123_456,
    lastStartedUs: 1_795_194_087_123_456,
  });
  expect(isRunning(gridd.unit)).toBe(true);
});

it('a daemon that died keeps the time of its last start apart', async () => {
  const { gridd } = await griddOf({ show: FAILED, bus: "echo 't 1795194087123456'" });
  expect(gridd.unit).toMatchObject({
    active: 'failed',
    exitCode: 1,
    mainPid: undefined,
    startedUs: undefined,
    lastStartedUs: 1_795_194_087_123_456,
  });
});

it.each([
  ['Result=signal\\nExecMainCode=2\\nExecMainStatus=9', { signal: 9 }, 'was ended by SIGKILL (signal)'],
  ['Result=core-dump\\nExecMainCode=3\\nExecMainStatus=11', { signal: 11 }, 'was ended by SIGSEGV (core-dump)'],
  ['Result=exit-code\\nExecMainCode=1\\nExecMainStatus=9', { exitCode: 9 }, 'has ended with exit code 9 (exit-code)'],
  // what has failed is the process that should have started it
  ['Result=exit-code\\nExecMainCode=0\\nExecMainStatus=0', { exitCode: 0 }, 'has failed (exit-code)'],
  [
    'Result=start-limit-hit\\nExecMainCode=2\\nExecMainStatus=40',
    { signal: 40 },
    'was ended by signal 40 (start-limit-hit)',
  ],
])('a daemon that has failed (%s) says how', async (shown, end, words) => {
  const { gridd } = await griddOf({ show: `${shown}\\nMainPID=0\\nLoadState=loaded\\nActiveState=failed\\n` });
  expect(gridd.unit).toMatchObject(end);
  expect(failureOf(gridd.unit)).toBe(words);
});

it('a daemon that was stopped by a signal has not failed', async () => {
  const { gridd } = await griddOf({
    show: 'Result=success\\nMainPID=0\\nExecMainCode=2\\nExecMainStatus=15\\nLoadState=loaded\\nActiveState=inactive\\n',
  });
  expect(failureOf(gridd.unit)).toBeUndefined();
});

it('a guest without the unit has no start', async () => {
  const { gridd } = await griddOf({ show: NOT_FOUND, bus: "echo 't 0'" });
  expect(gridd.unit).toMatchObject({ load: 'not-found', active: 'inactive', enabled: '', lastStartedUs: undefined });
});

it.each([
  ['in microseconds where systemd prints them', 'Fri 2026-11-20 17:01:27.123456 UTC', 1_795_194_087_123_456],
  ['at the end of its second where it does not', 'Fri 2026-11-20 17:01:27 UTC', 1_795_194_087_999_999],
  ['not at all where systemd is too old', undefined, undefined],
  ['not at all when it never started', '', undefined],
])('without busctl the start is known %s', async (_title, timestamp, startedUs) => {
  const { gridd } = await griddOf({ show: ACTIVE, ...(timestamp === undefined ? {} : { timestamp }) });
  expect(gridd.unit.startedUs).toBe(startedUs);
});

it('a guest without systemd says that nobody knows', async () => {
  const { gridd } = await griddOf({});
  expect(gridd.unit).toEqual({
    load: 'unknown',
    active: 'unknown',
    enabled: '',
    result: '',
    exitCode: undefined,
    mainPid: undefined,
    startedUs: undefined,
    lastStartedUs: undefined,
  });
});

it('the files of the driver and their change times are seen', async () => {
  const files = {
    'usr/bin/nvidia-gridd': '',
    'etc/nvidia/gridd.conf': 'A=1\n',
    'etc/nvidia/gridd.conf.template': '#A=\n',
  };
  const { root, gridd } = await griddOf({ files });
  const changedUs = (path: string) => Number(statSync(join(root, path), { bigint: true }).ctimeNs / 1000n);
  expect(gridd).toMatchObject({
    binary: true,
    binaryChangedUs: changedUs('usr/bin/nvidia-gridd'),
    conf: { text: 'A=1\n', changedUs: changedUs('etc/nvidia/gridd.conf') },
    template: '#A=\n',
  });
});

it('a bare guest has none of them', async () => {
  const { gridd } = await griddOf({});
  expect(gridd).toMatchObject({ binary: false, binaryChangedUs: undefined, conf: undefined, template: undefined });
});
