import type { Config } from '../../config/schema.ts';
import { AgentError } from '../../errors.ts';
import { collect, type Facts, lookAt } from '../../facts/facts.ts';
import { GRIDD_UNIT, isRunning } from '../../facts/license/gridd.ts';
import { asksForLicense, virtualization } from '../../facts/license/licensing.ts';
import { STATE_DIRECTORY } from '../../facts/record.ts';
import { timeOf } from '../../formats/time.ts';
import type { Guest, GuestView } from '../../guest/guest.ts';
import { describe, type License, licenseOf } from '../../steps/license/await-license.ts';
import { enact } from '../enact.ts';
import { makeStateFolder } from '../resume.ts';
import type { Tell } from '../tell.ts';

/** One short look. */
export interface Watched {
  readonly license: License;
  readonly driverVersion: string | undefined;
  readonly required: boolean;
  /** `wait`: a restart would come too soon after the last one. */
  readonly action: 'none' | 'wait' | 'restarted';
  /** A sentence about the guest. */
  readonly because: string;
  readonly memory: WatchMemory;
  readonly nowUs: number;
}

/** What is kept from look to look; losing it costs a restart too many, and no more. */
export interface WatchMemory {
  /** All that were ever done. */
  readonly restarts: number;
  /** Those since the guest was last licensed. */
  readonly attempts: number;
  readonly lastRestartUs?: number;
  readonly lastSuccessUs?: number;
  /** Whether a license was needed when that could last be seen. */
  readonly required?: boolean;
}

type Reads = Pick<Facts, 'smi' | 'gpus' | 'gridd' | 'system'>;

const MEMORY = `${STATE_DIRECTORY}/license-watch.json`;
const NOTHING_KNOWN: WatchMemory = { restarts: 0, attempts: 0 };
const MINUTE_US = 60 * 1_000_000;
/** A daemon retries by itself, and a license server that was restarted needs its time. */
const PATIENCE_US = 5 * MINUTE_US;
const FIRST_PAUSE_US = 5 * MINUTE_US;
const LONGEST_PAUSE_US = 6 * 60 * MINUTE_US;

export interface Watch {
  readonly guest: Guest;
  readonly config: Config;
  readonly tell: Tell;
  readonly stop: AbortSignal;
}

/** Looks once, and starts a daemon again that is dead or has lost the license. Nothing else is ever touched. */
export async function watchLicense(watch: Watch): Promise<Watched> {
  const { guest, config } = watch;
  const first = await look(guest, config);
  const watched = first.verdict.action === 'restart' ? await heal(watch) : withoutDeed(first);
  await remember(guest, watched.memory);
  return watched;
}

export interface WatchVerdict {
  readonly action: 'none' | 'wait' | 'restart';
  readonly because: string;
}

/** Pure: what these facts and the past ask for. */
export function judgeWatch(
  config: Config,
  { smi, gridd, system }: Reads,
  required: boolean,
  memory: WatchMemory,
): WatchVerdict {
  const none = (because: string): WatchVerdict => ({ action: 'none', because });
  const license = licenseOf(config, smi);
  const { unit } = gridd;
  const { nowUs } = system;
  if (!required || license.state === 'not-required') return none('this guest needs no license');
  if (!smi.answers)
    return none(`the driver does not answer, which a restart of nvidia-gridd does not mend: ${smi.problem}`);
  const isLicensed = license.state === 'licensed';
  if (isLicensed && isRunning(unit)) return none(`the guest is licensed: ${describe(license)}`);
  if (!gridd.binary || unit.load !== 'loaded')
    return none(`there is no nvidia-gridd to start (${gridd.binary ? unit.load : 'no program'})`);
  if (!isRunning(unit) && unit.enabled === 'disabled')
    return none('nvidia-gridd is stopped and disabled: somebody wants it so');

  const because = isRunning(unit)
    ? `nvidia-gridd runs, and the guest is ${WORDS[license.state]}`
    : `nvidia-gridd does not run${isLicensed ? ', and nobody renews the license' : ''}`;
  if (license.state === 'unknown' && isRunning(unit)) return none('nvidia-smi does not say how the guest is licensed');
  if (isRunning(unit) && isWithin(PATIENCE_US, unit.startedUs, nowUs)) {
    return {
      action: 'wait',
      because: `${because}; it was started on ${timeOf(unit.startedUs ?? 0)}, and may still get a license`,
    };
  }
  if (isWithin(pauseUs(memory), memory.lastRestartUs, nowUs)) {
    const next = timeOf((memory.lastRestartUs ?? 0) + pauseUs(memory));
    return {
      action: 'wait',
      because: `${because}; it was restarted ${times(memory.attempts)} in vain, and next on ${next}`,
    };
  }
  return { action: 'restart', because };
}

const WORDS: Readonly<Record<License['state'], string>> = {
  licensed: 'licensed',
  grace: 'unlicensed, in its grace period',
  restricted: 'unlicensed, and slowed down',
  unlicensed: 'unlicensed',
  'not-required': 'in need of no license',
  unknown: 'in an unknown state',
};

/** 5 minutes after the first restart in vain, then twice as long each time, up to 6 hours. */
export function pauseUs({ attempts }: WatchMemory): number {
  return attempts === 0 ? 0 : Math.min(FIRST_PAUSE_US * 2 ** (attempts - 1), LONGEST_PAUSE_US);
}

interface Look {
  readonly facts: Reads;
  readonly license: License;
  readonly memory: WatchMemory;
  readonly required: boolean;
  readonly verdict: WatchVerdict;
}

async function look(guest: GuestView, config: Config): Promise<Look> {
  const [facts, kept] = await Promise.all([
    collect(lookAt(guest, config), ['smi', 'gpus', 'gridd', 'system']),
    recall(guest),
  ]);
  const { mode } = virtualization(facts);
  const required = asksForLicense(config) || mode === 'vgpu' || (mode === 'unknown' && kept.required === true);
  const license = licenseOf(config, facts.smi);
  const isFine = license.state === 'licensed' && isRunning(facts.gridd.unit);
  const memory = isFine ? { ...kept, attempts: 0, lastSuccessUs: facts.system.nowUs, required } : { ...kept, required };
  return { facts, license, memory, required, verdict: judgeWatch(config, facts, required, memory) };
}

/** Looks again with the lock in hand: another run may have mended it meanwhile. */
async function heal({ guest, config, tell, stop }: Watch): Promise<Watched> {
  const release = await guest.lock().catch(error => {
    if (error instanceof AgentError && error.fault === 'busy') return undefined;
    throw error;
  });
  const again = await look(guest, config);
  if (!release) return { ...withoutDeed(again), action: 'wait', because: 'another run of vgpu-guest is at work' };
  try {
    if (again.verdict.action !== 'restart') return withoutDeed(again);
    const { restarts, attempts } = again.memory;
    const { nowUs } = again.facts.system;
    const memory = { ...again.memory, restarts: restarts + 1, attempts: attempts + 1, lastRestartUs: nowUs };
    // before the deed: a look that is cut must not forget it
    await remember(guest, memory);
    const { because } = again.verdict;
    const restart = { kind: 'service', unit: GRIDD_UNIT, action: 'restart', because } as const;
    const failed = await enact(restart, { guest, config, tell, stop, family: undefined }).catch(messageOfFault);
    return { ...withoutDeed(again), action: 'restarted', because: failed ? `${because}; ${failed}` : because, memory };
  } finally {
    await release();
  }
}

function messageOfFault(error: unknown): string {
  if (error instanceof AgentError) return error.message;
  throw error;
}

function withoutDeed({ facts: { smi, system }, license, memory, required, verdict }: Look): Watched {
  return {
    license,
    driverVersion: smi.answers ? smi.driverVersion : undefined,
    required,
    action: verdict.action === 'restart' ? 'none' : verdict.action,
    because: verdict.because,
    memory,
    nowUs: system.nowUs,
  };
}

function isWithin(spanUs: number, sinceUs: number | undefined, nowUs: number): boolean {
  // a clock that was set back must not keep the daemon from being healed
  return sinceUs !== undefined && sinceUs <= nowUs && nowUs - sinceUs < spanUs;
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

async function recall(guest: GuestView): Promise<WatchMemory> {
  const text = await guest.readText(MEMORY);
  try {
    const kept = JSON.parse(text ?? '{}') as Readonly<Record<string, unknown>>;
    const number = (name: string) => (Number.isSafeInteger(kept[name]) ? { [name]: kept[name] as number } : {});
    return {
      ...NOTHING_KNOWN,
      ...number('restarts'),
      ...number('attempts'),
      ...number('lastRestartUs'),
      ...number('lastSuccessUs'),
      ...(kept.required === true ? { required: true } : {}),
    };
  } catch {
    return NOTHING_KNOWN; // cut or damaged: a restart too many is all that follows
  }
}

async function remember(guest: Guest, memory: WatchMemory): Promise<void> {
  const text = `${JSON.stringify(memory)}\n`;
  if ((await guest.readText(MEMORY)) === text) return;
  await makeStateFolder(guest, STATE_DIRECTORY);
  await guest.writeText(MEMORY, text, 0o600);
}
