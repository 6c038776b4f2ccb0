import { nameOfSignal } from '../../formats/signals.ts';
import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';

/** The licensing daemon, its unit and the files that it reads. */
export interface GriddFact {
  /** /usr/bin/nvidia-gridd is there: a GRID driver is installed, not a data-center one. */
  readonly binary: boolean;
  /** When that file was put there; undefined when there is none. */
  readonly binaryChangedUs: number | undefined;
  readonly unit: GriddUnit;
  /** /etc/nvidia/gridd.conf; undefined: there is none. */
  readonly conf: { readonly text: string; readonly changedUs: number } | undefined;
  /** /etc/nvidia/gridd.conf.template, as the driver ships it. */
  readonly template: string | undefined;
}

export interface GriddUnit {
  /** systemd's LoadState: `loaded`, `not-found`, `masked`, …; `unknown` where systemd does not answer. */
  readonly load: string;
  /** ActiveState: `active`, `inactive`, `failed`, `activating`, … */
  readonly active: string;
  /** UnitFileState: `enabled`, `disabled`, … */
  readonly enabled: string;
  /** Result of the last run: `success`, `exit-code`, `signal`, … */
  readonly result: string;
  /** Of the main process; one that has not come so far has none. */
  readonly exitCode: number | undefined;
  /** Number of the signal that ended it instead. */
  readonly signal?: number;
  readonly mainPid: number | undefined;
  /** When systemd began to start the running daemon, which is before it reads anything; undefined when it does not run. */
  readonly startedUs: number | undefined;
  /** The same of a daemon that may have ended since; undefined when there was none in this boot. */
  readonly lastStartedUs: number | undefined;
}

/** systemd's name of the licensing daemon, as NVIDIA's installer gives it. */
export const GRIDD_UNIT = 'nvidia-gridd.service';
export const GRIDD_BINARY = '/usr/bin/nvidia-gridd';
/** The daemon reads this one, never the template beside it. */
export const GRIDD_CONF = '/etc/nvidia/gridd.conf';

/** Whether the daemon is there, or on its way to be. */
export function isRunning({ active }: GriddUnit): boolean {
  return ['active', 'activating', 'reloading', 'refreshing'].includes(active);
}

/** Goes on after `nvidia-gridd`; undefined: its last run has not failed. */
export function failureOf({ active, result, exitCode, signal }: GriddUnit): string | undefined {
  if (active !== 'failed') return undefined;
  if (signal !== undefined) return `was ended by ${nameOfSignal(signal)} (${result})`;
  return exitCode ? `has ended with exit code ${exitCode} (${result})` : `has failed (${result})`;
}

export async function collectGridd({ guest }: Look): Promise<GriddFact> {
  const [binary, unit, text, conf, template] = await Promise.all([
    guest.stat(GRIDD_BINARY),
    lookAtUnit(guest),
    guest.readText(GRIDD_CONF),
    guest.stat(GRIDD_CONF),
    guest.readText(`${GRIDD_CONF}.template`),
  ]);
  return {
    binary: binary !== undefined,
    binaryChangedUs: binary?.changedUs,
    unit,
    conf: text === undefined || !conf ? undefined : { text, changedUs: conf.changedUs },
    template,
  };
}

const PROPERTIES = [
  'LoadState',
  'ActiveState',
  'SubState',
  'UnitFileState',
  'Result',
  'ExecMainCode',
  'ExecMainStatus',
  'MainPID',
];
/** ExecMainCode of a process that a signal has ended: CLD_KILLED and CLD_DUMPED of waitid(2). */
const BY_A_SIGNAL = ['2', '3'];

async function lookAtUnit(guest: GuestView): Promise<GriddUnit> {
  const [shown, startedUs] = await Promise.all([
    guest.query(['systemctl', 'show', GRIDD_UNIT, ...PROPERTIES.flatMap(name => ['-p', name])]),
    lookAtStart(guest),
  ]);
  const fields = new Map(shown.stdout.split('\n').map(line => splitOnce(line, '=')));
  const word = (name: string) => fields.get(name) ?? '';
  const unit = {
    load: word('LoadState') || 'unknown',
    active: word('ActiveState') || 'unknown',
    enabled: word('UnitFileState'),
    result: word('Result'),
    ...endOf(word('ExecMainCode'), word('ExecMainStatus')),
    mainPid: Number(word('MainPID')) || undefined,
    startedUs,
    lastStartedUs: startedUs,
  };
  return isRunning(unit) ? unit : { ...unit, startedUs: undefined };
}

function endOf(code: string, status: string): Pick<GriddUnit, 'exitCode' | 'signal'> {
  const number = /^\d+$/.test(status) ? Number(status) : undefined;
  if (number === undefined || !BY_A_SIGNAL.includes(code)) return { exitCode: number };
  return { exitCode: undefined, signal: number };
}

/** Microseconds, which only D-Bus tells on every systemd; systemctl itself prints whole seconds before version 247. */
async function lookAtStart(guest: GuestView): Promise<number | undefined> {
  const bus = await guest.query([
    'busctl',
    'get-property',
    'org.freedesktop.systemd1',
    '/org/freedesktop/systemd1/unit/nvidia_2dgridd_2eservice',
    'org.freedesktop.systemd1.Unit',
    'InactiveExitTimestamp',
  ]);
  const us = /^t (\d+)$/m.exec(bus.stdout)?.[1];
  if (bus.code === 0 && us !== undefined) return Number(us) || undefined;
  const shown = await guest.query([
    'systemctl',
    'show',
    GRIDD_UNIT,
    '-p',
    'InactiveExitTimestamp',
    '--timestamp=us+utc',
  ]);
  return parseTimestamp(shown.stdout);
}

/** `Fri 2026-11-20 17:01:27.123456 UTC`. */
function parseTimestamp(text: string): number | undefined {
  const [, day, time, fraction] = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))? UTC/.exec(text) ?? [];
  if (!day) return undefined;
  const seconds = Date.parse(`${day}T${time}Z`) / 1000;
  // where there are whole seconds only, a file of that second counts as read: the other way a restart would never settle
  return seconds * 1e6 + Number((fraction ?? '999999').padEnd(6, '0'));
}

function splitOnce(text: string, mark: string): readonly [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1).trim()];
}
