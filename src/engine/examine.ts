import type { Finding, Subject } from '../checks/check.ts';
import { evidence } from '../checks/check.ts';
import { AgentError, messageOf } from '../errors.ts';
import type { Facts, Look } from '../facts/facts.ts';

/** What was looked at, and what was found, the gravest first. */
export interface Diagnosis {
  readonly findings: readonly Finding[];
  readonly lookedAt: readonly LookedAt[];
}

export interface LookedAt {
  readonly id: string;
  readonly title: string;
  /** `unknown`: it could not be seen, or not in time; `saw` says why. */
  readonly state: 'right' | 'wrong' | 'unknown';
  readonly saw: string;
}

/** Tells a look that has run out of time from a run that is told to stop. */
export interface Limits {
  readonly stop: AbortSignal;
  /** The same that ends the programs of the look. */
  readonly deadline: AbortSignal;
}

/** Every check of these subjects. A fact that cannot be had leaves the subjects that need it unknown, and none of the others. */
export async function examine(subjects: readonly Subject[], look: Look, limits: Limits): Promise<Diagnosis> {
  const examined = await Promise.all(subjects.map(subject => examineOne(subject, look, limits)));
  const found = examined.flatMap(({ findings }) => findings);
  const unique = [...new Map(found.map(finding => [`${finding.id} ${finding.summary}`, finding])).values()];
  return {
    findings: unique.toSorted((one, other) => RANK[one.severity] - RANK[other.severity]),
    lookedAt: examined.map(({ lookedAt }) => lookedAt),
  };
}

const RANK = { error: 0, warning: 1, info: 2 } as const;

async function examineOne(
  subject: Subject,
  look: Look,
  limits: Limits,
): Promise<{ readonly findings: readonly Finding[]; readonly lookedAt: LookedAt }> {
  const { id, title } = subject;
  const collected = await collectAll(subject.reads, look, limits);
  if (collected.problem !== undefined) {
    const findings = collected.fault ? [cannotLook(collected.fault)] : [];
    return { findings, lookedAt: { id, title, state: 'unknown', saw: collected.problem } };
  }
  const findings = subject.checks.flatMap(check => {
    const found = check.judge(look.config, collected.facts);
    return found ? [{ id: check.id, ...found }] : [];
  });
  const sight = subject.saw(look.config, collected.facts);
  const isWrong = findings.some(({ severity }) => severity !== 'info');
  const state = isWrong ? 'wrong' : sight.is === 'unknown' ? 'unknown' : 'right';
  return { findings, lookedAt: { id, title, state, saw: sight.is === 'seen' ? sight.text : sight.because } };
}

type Collected =
  | { readonly facts: Facts; readonly problem?: never }
  | { readonly problem: string; readonly fault?: AgentError };

async function collectAll(keys: readonly (keyof Facts)[], look: Look, { stop, deadline }: Limits): Promise<Collected> {
  const results = await Promise.allSettled(keys.map(key => look.fact(key)));
  stop.throwIfAborted();
  const failed = results.find(result => result.status === 'rejected');
  if (!failed) {
    const values = results.map(result => (result as PromiseFulfilledResult<unknown>).value);
    return { facts: Object.fromEntries(keys.map((key, index) => [key, values[index]])) as unknown as Facts };
  }
  if (deadline.aborted) return { problem: 'it could not be seen in time' };
  if (failed.reason instanceof AgentError) return { problem: messageOf(failed.reason), fault: failed.reason };
  throw failed.reason;
}

/** A file that is no such file, or one that cannot be opened, is a fault of its own. */
function cannotLook({ message, remedy }: AgentError): Finding {
  return {
    id: 'cannot-look',
    severity: 'warning',
    summary: 'something of this guest cannot be looked at',
    cause: 'a file is not what its name says; what depends on it has not been checked',
    remedy: remedy ?? 'look at it yourself',
    evidence: [evidence('vgpu-guest', message)],
  };
}
