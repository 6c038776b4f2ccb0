import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';

/** Whether something keeps the guest's clock right. Everything may be unknown. */
export interface ClockFact {
  /** The kernel counts the clock as synchronized. */
  readonly synchronized: boolean | undefined;
  /** The hardware clock keeps local time instead of UTC, which jumps twice a year and between hosts. */
  readonly hardwareClockIsLocal: boolean | undefined;
  /** Seconds that the clock is ahead of NTP, as chrony has measured; negative: behind. */
  readonly aheadS: number | undefined;
  /** Lines that say so, with the program that printed them. */
  readonly evidence: readonly { readonly at: string; readonly shows: string }[];
}

const TIMEOUT_MS = 5_000;
const TIMEDATECTL = 'timedatectl show';
const CHRONYC = 'chronyc -n tracking';

export async function collectClock({ guest }: Look): Promise<ClockFact> {
  const [systemd, chrony] = await Promise.all([askSystemd(guest), askChrony(guest)]);
  return {
    synchronized: asBoolean(systemd.get('NTPSynchronized')) ?? inStep(chrony.get('Leap status')),
    hardwareClockIsLocal: asBoolean(systemd.get('LocalRTC')),
    aheadS: aheadOf(chrony.get('System time')),
    evidence: [
      ...lines(TIMEDATECTL, systemd, ['NTP', 'NTPSynchronized', 'LocalRTC', 'TimeUSec', 'RTCTimeUSec'], '='),
      ...lines(CHRONYC, chrony, ['Reference ID', 'System time', 'Leap status'], ' : '),
    ],
  };
}

type Fields = ReadonlyMap<string, string>;

/** systemd 239 and later; an older one does not know the verb. */
async function askSystemd(guest: GuestView): Promise<Fields> {
  const { code, stdout } = await guest.query(['timedatectl', 'show'], TIMEOUT_MS);
  return code === 0 ? fieldsOf(stdout, /^(\w+)=(.*)$/) : new Map();
}

async function askChrony(guest: GuestView): Promise<Fields> {
  const { code, stdout } = await guest.query(['chronyc', '-n', 'tracking'], TIMEOUT_MS);
  return code === 0 ? fieldsOf(stdout, /^(.*?) *: (.*)$/) : new Map();
}

function fieldsOf(text: string, shape: RegExp): Fields {
  return new Map(
    text.split('\n').flatMap(line => {
      const [, key, value] = shape.exec(line) ?? [];
      return key === undefined || value === undefined ? [] : [[key, value.trim()] as const];
    }),
  );
}

function asBoolean(word: string | undefined): boolean | undefined {
  return word === 'yes' ? true : word === 'no' ? false : undefined;
}

function inStep(leap: string | undefined): boolean | undefined {
  return leap === undefined ? undefined : leap !== 'Not synchronised';
}

/** `0.000012345 seconds slow of NTP time` */
function aheadOf(words: string | undefined): number | undefined {
  const [, seconds, direction] = /^(\d+\.\d+) seconds (slow|fast) of NTP time/.exec(words ?? '') ?? [];
  return seconds === undefined ? undefined : Number(seconds) * (direction === 'slow' ? -1 : 1);
}

function lines(at: string, fields: Fields, keys: readonly string[], mark: string): ClockFact['evidence'] {
  return keys.flatMap(key => (fields.has(key) ? [{ at, shows: `${key}${mark}${fields.get(key)}` }] : []));
}
