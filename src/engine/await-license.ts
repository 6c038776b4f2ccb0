import type { Config } from '../config/schema.ts';
import { collect, lookAt } from '../facts/facts.ts';
import type { GriddUnit } from '../facts/gridd.ts';
import type { SmiFact } from '../facts/smi.ts';
import type { Guest } from '../guest/guest.ts';
import { describe, licenseOf } from '../steps/await-license.ts';
import { type Listener, listenToGridd, type Talk } from './gridd-talk.ts';
import type { Tell } from './tell.ts';

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
    const { gridd, system } = await collect(lookAt(guest, config), ['gridd', 'system']);
    const syslogPath = system.family?.syslogPath ?? SYSLOG_PATH;
    const listener = listenToGridd(guest, {
      unit: gridd.unit,
      source: config.license.server ? 'server' : 'token',
      syslogPath,
      tell: wait.tell,
      onNews: bell.ring,
    });
    try {
      return await poll(guest, config, wait, listener, bell);
    } finally {
      await listener.stop();
    }
  } finally {
    wait.signal.removeEventListener('abort', bell.ring);
  }
}

/** Of most system loggers. */
const SYSLOG_PATH = '/var/log/messages';
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;
/** How long a line may take from the daemon through the log to here. */
const LAST_WORDS_MS = 1_500;

async function poll(
  guest: Guest,
  config: Config,
  wait: LicenseWait,
  listener: Listener,
  bell: Bell,
): Promise<LicenseOutcome> {
  const deadlineMs = performance.now() + wait.timeoutMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs + 1_000, LONGEST_PAUSE_MS)) {
    wait.signal.throwIfAborted();
    const { successes } = listener.talk();
    const { smi, gridd } = await collect(lookAt(guest, config), ['smi', 'gridd']);
    const license = licenseOf(config, smi);
    if (license.state === 'licensed')
      return licensed(`nvidia-smi says that the guest is licensed: ${describe(license)}`);
    if (license.state === 'not-required') return licensed('nvidia-smi says that the guest needs no license');
    wait.tell.progress(`waiting for the license: ${wordsOf(smi)}`);

    const hasDied = ['inactive', 'failed'].includes(gridd.unit.active);
    if (hasDied || listener.talk().failure?.hard) {
      await bell.wait(LAST_WORDS_MS);
      const talk = listener.talk();
      if (hasDied) return unlicensed(obituary(gridd.unit), talk, smi, LOOK_INTO_THE_JOURNAL);
      if (talk.failure?.hard) return unlicensed('nvidia-gridd gets no license', talk, smi);
      continue; // the daemon has found its way after all
    }
    const leftMs = deadlineMs - performance.now();
    const isNews = listener.talk().successes > successes;
    if (leftMs <= 0 && !isNews) {
      return unlicensed(`no license has come within ${wait.timeoutMs / 1000} s`, listener.talk(), smi);
    }
    if (isNews) pauseMs = 0;
    await bell.wait(Math.min(pauseMs, Math.max(leftMs, 0)));
    if (listener.talk().successes > successes) pauseMs = 0;
  }
}

const LOOK_INTO_THE_JOURNAL = 'journalctl -b -u nvidia-gridd says why; mend that, and run vgpu-guest apply again';
const ASK_THE_SERVER =
  'journalctl -b -t nvidia-gridd has all that it said; see whether the license server can be reached and has a license left; license.timeout is how long to wait';

function licensed(explanation: string): LicenseOutcome {
  return { licensed: true, explanation, remedy: undefined };
}

function unlicensed(how: string, { failure, last }: Talk, smi: SmiFact, remedy = ASK_THE_SERVER): LicenseOutcome {
  const said = failure
    ? `${failure.meaning} (nvidia-gridd: ${failure.message})`
    : last
      ? `nvidia-gridd said last: ${last.message} (${last.meaning})`
      : 'nvidia-gridd has said nothing';
  return { licensed: false, explanation: `${how}: ${said}; ${wordsOf(smi)}`, remedy: failure?.remedy ?? remedy };
}

function obituary({ active, exitCode, result }: GriddUnit): string {
  if (active === 'failed' || exitCode) return `nvidia-gridd has died (${result}, exit code ${exitCode})`;
  return 'nvidia-gridd does not run';
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
