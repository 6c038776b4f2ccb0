import type { Config } from '../../config/schema.ts';
import { collect, type Look, lookAt } from '../../facts/facts.ts';
import type { SmiFact } from '../../facts/gpu/smi.ts';
import { failureOf, type GriddUnit } from '../../facts/license/gridd.ts';
import { type LicenseSource, serversInWords } from '../../formats/license/license-log.ts';
import type { Guest } from '../../guest/guest.ts';
import { describe, isWithoutFeature, licenseOf } from '../../steps/license/await-license.ts';
import type { Tell } from '../tell.ts';
import { type Listener, listenToGridd, lookForSource, type Talk } from './gridd-talk.ts';
import { LOOK_INTO_THE_JOURNAL, whatLacks } from './why-dead.ts';

export interface LicenseWait {
  readonly timeoutMs: number;
  readonly tell: Tell;
  readonly signal: AbortSignal;
}

export interface LicenseOutcome {
  readonly licensed: boolean;
  /** A sentence about the guest. */
  readonly explanation: string;
  readonly remedy: string | undefined;
  /** The daemon itself has said what is wrong, and something is known to do about it. */
  readonly isExplained?: boolean;
  /** What was seen last, when the wait ended. */
  readonly look: Look;
}

/**
 * Waits until nvidia-smi says that the guest is licensed, and tells meanwhile what nvidia-gridd says. Ends early when the
 * daemon has died or says that it gives up. A look of nvidia-smi that has begun is waited for, even past the deadline.
 */
export async function awaitLicense(guest: Guest, config: Config, wait: LicenseWait): Promise<LicenseOutcome> {
  const bell = openBell();
  wait.signal.throwIfAborted();
  wait.signal.addEventListener('abort', bell.ring);
  try {
    const [{ gridd, system }, source] = await Promise.all([
      collect(lookAt(guest, config), ['gridd', 'system']),
      lookForSource(guest, config),
    ]);
    const startedUs = gridd.unit.lastStartedUs ?? 0;
    const hasJustStarted = startedUs <= system.nowUs && startedUs > system.nowUs - LATELY_US;
    const syslogPath = system.family?.syslogPath ?? SYSLOG_PATH;
    const listener = listenToGridd(guest, {
      unit: gridd.unit,
      source,
      syslogPath,
      newsFromUs: hasJustStarted ? startedUs : system.nowUs,
      tell: wait.tell,
      onNews: bell.ring,
    });
    try {
      const outcome = await poll({ guest, config, wait, listener, bell, source });
      return outcome.licensed ? outcome : await withWhatLacks(outcome, guest, config);
    } finally {
      await listener.stop();
    }
  } finally {
    wait.signal.removeEventListener('abort', bell.ring);
  }
}

/** Of most system loggers. */
const SYSLOG_PATH = '/var/log/messages';
/** A daemon that was started so lately was started for this wait. */
const LATELY_US = 5 * 60 * 1_000_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;
/** systemctl answers at once, nvidia-smi may take half a minute: a daemon that dies in silence is noticed in between. */
const UNIT_LOOK_MS = 2_000;
/** A log that says success again and again must not make nvidia-smi run all the time. */
const MOST_HURRIED_LOOKS = 5;
/** How long a line may take from the daemon through the log to here. */
const LAST_WORDS_MS = 1_500;

interface Poll {
  readonly guest: Guest;
  readonly config: Config;
  readonly wait: LicenseWait;
  readonly listener: Listener;
  readonly bell: Bell;
  readonly source: LicenseSource;
}

async function poll({ guest, config, wait, listener, bell, source }: Poll): Promise<LicenseOutcome> {
  const deadlineMs = performance.now() + wait.timeoutMs;
  let hurriedLooks = 0;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    wait.signal.throwIfAborted();
    const { successes } = listener.talk();
    const lookedMs = performance.now();
    const look = lookAt(guest, config);
    const { smi, gridd } = await collect(look, ['smi', 'gridd']);
    const license = licenseOf(config, smi);
    if (license.state === 'licensed') {
      // the proof is here, and its line in the log is what a person will look for
      if (listener.talk().successes === 0) await bell.wait(LAST_WORDS_MS);
      return licensed(`nvidia-smi says that the guest is licensed: ${describe(license)}`, look);
    }
    if (license.state === 'not-required') return licensed('nvidia-smi says that the guest needs no license', look);
    wait.tell.progress(`waiting for the license: ${wordsOf(smi)}`);

    if (isDead(gridd.unit) || listener.talk().failure?.hard) {
      const endMs = performance.now() + LAST_WORDS_MS;
      await bell.wait(LAST_WORDS_MS);
      // its last word is no reason to hurry: somebody may just restart it
      while (isDead(gridd.unit) && !wait.signal.aborted && performance.now() < endMs)
        await bell.wait(endMs - performance.now());
      const talk = listener.talk();
      const { unit } = await lookAt(guest, config).fact('gridd');
      if (isDead(unit)) return unlicensed(obituary(unit), talk, { smi, look }, LOOK_INTO_THE_JOURNAL);
      if (talk.failure?.hard)
        return unlicensed('nvidia-gridd gets no license', talk, { smi, look }, askTheServer(source));
    }
    const leftMs = deadlineMs - performance.now();
    const hasNews = () => listener.talk().successes > successes && hurriedLooks < MOST_HURRIED_LOOKS;
    if (leftMs <= 0 && !hasNews()) {
      const remedy = isWithoutFeature(config, smi) ? REBOOT_FOR_THE_FEATURE : askTheServer(source);
      const late = `no license has come within ${wait.timeoutMs / 1000} s`;
      return unlicensed(late, listener.talk(), { smi, look }, remedy);
    }
    // a slow nvidia-smi is not asked all the time
    const restMs = Math.max(pauseMs, performance.now() - lookedMs);
    const isHurried = () => hasNews() || wait.signal.aborted;
    await rest(guest, config, { ms: Math.min(restMs, Math.max(leftMs, 0)), unit: gridd.unit, bell, isHurried });
    if (hasNews()) {
      hurriedLooks++;
      pauseMs = FIRST_PAUSE_MS / 2;
    }
  }
}

interface Rest {
  readonly ms: number;
  readonly unit: GriddUnit;
  readonly bell: Bell;
  readonly isHurried: () => boolean;
}

/** Until the time is over, somebody is in a hurry, or the daemon has died. systemd is asked once its process is gone, and not before. */
async function rest(guest: Guest, config: Config, { ms, unit, bell, isHurried }: Rest): Promise<void> {
  const endMs = performance.now() + ms;
  let { mainPid } = unit;
  while (!isHurried() && performance.now() < endMs) {
    await bell.wait(Math.min(UNIT_LOOK_MS, endMs - performance.now()));
    if (isHurried() || performance.now() >= endMs) return;
    if (mainPid !== undefined && (await guest.stat(`/proc/${mainPid}`))) continue;
    const { unit: now } = await lookAt(guest, config).fact('gridd');
    if (isDead(now)) return;
    mainPid = now.mainPid;
  }
}

function isDead({ active }: GriddUnit): boolean {
  return active === 'inactive' || active === 'failed';
}

function askTheServer(source: LicenseSource): string {
  return `journalctl -b -t nvidia-gridd has all that it said; see whether ${serversInWords(source)} can be reached (vgpu-guest doctor tries) and has a license left; license.timeout is how long to wait`;
}

const REBOOT_FOR_THE_FEATURE =
  'the driver shows the product of FeatureType 0: if the driver was loaded before license.feature was set, reboot the guest; else see in journalctl -b -t nvidia-gridd whether the license server can be reached';

/** What the daemon lacks counts where it has not said itself what is wrong. */
async function withWhatLacks(outcome: LicenseOutcome, guest: Guest, config: Config): Promise<LicenseOutcome> {
  const lacking = await whatLacks(guest, config);
  if (!lacking) return outcome;
  const { explanation, remedy, isExplained } = outcome;
  return {
    ...outcome,
    explanation: `${explanation}; ${lacking.because}`,
    remedy: isExplained ? remedy : lacking.remedy,
  };
}

function licensed(explanation: string, look: Look): LicenseOutcome {
  return { licensed: true, explanation, remedy: undefined, look };
}

interface Seen {
  readonly smi: SmiFact;
  readonly look: Look;
}

function unlicensed(how: string, { failure, last }: Talk, { smi, look }: Seen, remedy: string): LicenseOutcome {
  const said = failure
    ? `${failure.meaning} (nvidia-gridd: ${failure.message})`
    : last
      ? `nvidia-gridd said last: ${last.message} (${last.meaning})`
      : 'nvidia-gridd has said nothing';
  const explanation = `${how}: ${said}; ${wordsOf(smi)}`;
  const isExplained = failure?.remedy !== undefined;
  return { licensed: false, explanation, remedy: failure?.remedy ?? remedy, isExplained, look };
}

function obituary(unit: GriddUnit): string {
  return `nvidia-gridd ${failureOf(unit) ?? 'does not run'}`;
}

function wordsOf(smi: SmiFact): string {
  if (!smi.answers) return smi.problem;
  const said = smi.gpus.flatMap(({ license }) => (license ? [license.raw] : []));
  return said.length === 0 ? 'nvidia-smi shows no license section' : `nvidia-smi says ${[...new Set(said)].join(', ')}`;
}

interface Bell {
  readonly ring: () => void;
  /** Until it rings, or has rung since the last wait; at most so long. */
  wait(ms: number): Promise<void>;
}

function openBell(): Bell {
  let hasRung = false;
  let wake: (() => void) | undefined;
  return {
    ring() {
      hasRung = true;
      wake?.();
    },
    async wait(ms) {
      if (!hasRung) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const timer = setTimeout(resolve, ms);
        wake = resolve;
        await promise;
        clearTimeout(timer);
        wake = undefined;
      }
      hasRung = false;
    },
  };
}
