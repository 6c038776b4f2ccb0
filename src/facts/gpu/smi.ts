import { parseNvidiaSmi, type SmiAnswer } from '../../formats/gpu/nvidia-smi.ts';
import { exitCodeWords } from '../../formats/signals.ts';
import type { Outcome } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';

export type { SmiGpu, SmiLicense, SmiSetting } from '../../formats/gpu/nvidia-smi.ts';

/** What `nvidia-smi -q -x` says: the last word on driver, virtualization mode and license. */
export type SmiFact =
  /** `problem`: its own words, or that there is no such program; `code` is its exit code (127: absent). */
  | { readonly answers: false; readonly problem: string; readonly code: number }
  | ({ readonly answers: true } & SmiAnswer);

/** Without nvidia-persistenced each call sets every GPU up anew, which takes half a minute on a guest with many of them. */
const TIMEOUT_MS = 60_000;

export async function collectSmi({ guest }: Look): Promise<SmiFact> {
  const outcome = await guest.query(['nvidia-smi', '-q', '-x'], TIMEOUT_MS);
  const reading = parseNvidiaSmi(outcome.stdout);
  if (reading.is === 'read') return { answers: true, driverVersion: reading.driverVersion, gpus: reading.gpus };
  return { answers: false, problem: problemOf(outcome, reading.problem), code: outcome.code };
}

function problemOf({ code, stdout, stderr }: Outcome, problem: string): string {
  if (code === 127) return 'there is no nvidia-smi';
  if (code === 124) return `nvidia-smi gave no answer within ${TIMEOUT_MS / 1000} s`;
  if (code === 0) return `nvidia-smi ${problem}`;
  // nvidia-smi complains on either stream
  const words = [stderr, stdout]
    .map(text => text.trim().replace(/\s+/g, ' '))
    .find(text => text !== '' && !text.startsWith('<'));
  return words ? `nvidia-smi says: ${words.slice(0, 300)}` : `nvidia-smi ended with ${exitCodeWords(code)}`;
}
