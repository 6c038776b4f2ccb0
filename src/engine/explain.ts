import type { Finding } from '../checks/check.ts';
import { subjects } from '../checks/index.ts';
import type { Look } from '../facts/facts.ts';
import type { Report } from './apply.ts';
import { examine, type Limits } from './examine.ts';

/** What doctor finds about a run that was blocked or ended without a license; nothing of any other run. */
export async function explain({ outcome, steps }: Report, look: Look, limits: Limits): Promise<readonly Finding[]> {
  if (outcome !== 'blocked' && outcome !== 'unlicensed') return [];
  const blocked = steps.filter(step => step.outcome === 'blocked').map(({ id }) => id);
  const about = new Set(blocked.flatMap(id => ABOUT[id] ?? []));
  const chosen = outcome === 'unlicensed' ? subjects : subjects.filter(({ id }) => about.has(id));
  const { findings } = await examine(chosen, look, limits);
  // on a guest that is not set up yet much is missing that nobody has to be told of
  return findings.filter(
    ({ severity }) => severity === 'error' || (severity === 'warning' && outcome === 'unlicensed'),
  );
}

/** The subjects that a blocked step speaks of. What it says itself, such as a package that is not there, needs no second voice. */
const ABOUT: Readonly<Record<string, readonly string[]>> = {
  'install-prerequisites': ['gpu'],
  'leave-nouveau': ['gpu'],
  'install-driver': ['gpu', 'kernel'],
  'configure-gridd': ['gridd-conf'],
  'place-token': ['token'],
  'restart-gridd': ['driver', 'daemon'],
  'await-license': ['driver', 'kernel', 'license'],
};
