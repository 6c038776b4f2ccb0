import type { Config } from '../../config/schema.ts';
import { AgentError } from '../../errors.ts';
import { collect, type Look, lookAt } from '../../facts/facts.ts';
import type { Guest } from '../../guest/guest.ts';
import { licenseOf, awaitLicense as step } from '../../steps/license/await-license.ts';
import type { Step } from '../../steps/step.ts';
import type { Report, StepOutcome, Watcher } from '../apply.ts';
import { awaitLicense } from './await-license.ts';

export interface Wait {
  readonly guest: Guest;
  readonly config: Config;
  readonly watcher: Watcher;
  readonly stop: AbortSignal;
}

interface Ending {
  readonly outcome: Exclude<StepOutcome, 'changed' | 'not-reached'>;
  readonly because: string;
  readonly remedy?: string | undefined;
}

/** The step await-license alone: nothing is changed, so that it may run beside any other run. */
export async function waitForLicense({ guest, config, watcher, stop }: Wait): Promise<Report> {
  const startedMs = performance.now();
  watcher.stepBegins(step as Step, 0, 1);
  let look = lookAt(guest, config);
  const { outcome, because, remedy } = await wait();
  const report = {
    id: step.id,
    outcome,
    because,
    ...(remedy === undefined ? {} : { remedy }),
    durationMs: Math.round(performance.now() - startedMs),
  };
  watcher.stepEnds(report, 0, 1);
  const smi = await look.fact('smi');
  return { outcome, changed: false, steps: [report], license: licenseOf(config, smi) };

  async function wait(): Promise<Ending> {
    const verdict = await judge(look);
    if (verdict.outcome !== undefined) return verdict;
    watcher.deedBegins(verdict.change);
    const { timeoutMs } = config.license;
    const waited = await awaitLicense(guest, config, { timeoutMs, tell: watcher, signal: stop });
    const { licensed, explanation, remedy } = waited;
    look = waited.look;
    if (!licensed) return { outcome: 'unlicensed', because: explanation, remedy };
    const second = await judge(look);
    if (second.outcome !== undefined) return second;
    throw new AgentError(`nvidia-smi said that the guest is licensed, and now ${second.change.because}`, {
      remedy:
        'run the same command of vgpu-guest again; journalctl -b -u nvidia-gridd.service says why the license went',
    });
  }

  async function judge(seen: Look) {
    const verdict = step.judge(config, await collect(seen, step.reads), new Set());
    if (verdict.is !== 'due') {
      const { is: outcome, because } = verdict;
      return { outcome, because, remedy: verdict.is === 'blocked' ? verdict.remedy : undefined } satisfies Ending;
    }
    const [change] = verdict.changes;
    if (change.kind !== 'reboot') return { outcome: undefined, change };
    return { outcome: 'reboot-needed', because: change.because, remedy: 'reboot the guest' } satisfies Ending;
  }
}
