import { type Change, due, type Ecc, settled, type Verdict, warned } from '../../change.ts';
import type { SmiFact } from '../../facts/gpu/smi.ts';
import type { RecordFact } from '../../facts/record.ts';
import { ofWord } from '../gpu/set-ecc.ts';
import { defineStep } from '../step.ts';
import { type RevertOptions, refuseUnreadable } from './changed-files.ts';

/** While the driver is there: the GPU itself remembers the setting, and only the driver can change it. */
export const restoreEcc = (options: RevertOptions) =>
  defineStep({
    id: 'restore-ecc',
    title: 'Let error correction of the GPU memory be as it was',
    reads: ['record', 'smi'],
    judge(_config, { record, smi }): Verdict {
      const refusal = refuseUnreadable(record);
      if (refusal) return refusal;
      const settings = eccToRestore(record, smi);
      if (settings.length === 0) return settled('ECC of every GPU is as it was');
      const left = smi.answers ? undefined : smi.problem;
      if (left !== undefined || options.force)
        return warned(
          settled('ECC stays as it is'),
          settings.map(setting => stays(setting, left)),
        );
      const mark: Change = { kind: 'mark-boot', because: 'at the next boot ECC is as it was' };
      const rest = settings.map(([address, ecc]): Change => {
        return { kind: 'restore-ecc', address, ecc, because: `ECC of the GPU ${address} was ${ecc} before` };
      });
      return due(mark, ...rest);
    },
  });

/** Addresses of GPUs that this program has set and that would not boot as they were; all of them where no driver tells. */
export function eccToRestore(
  { record }: Pick<RecordFact, 'record'>,
  smi: SmiFact,
): readonly (readonly [string, Ecc])[] {
  const settings = Object.entries(record.ecc ?? {});
  if (!smi.answers) return settings;
  return settings.filter(([address, before]) => {
    const has = smi.gpus.find(gpu => gpu.address === address)?.ecc;
    return ofWord(has?.pending ?? '') !== before;
  });
}

function stays([address, ecc]: readonly [string, Ecc], problem: string | undefined): string {
  const why = problem === undefined ? '' : `, and cannot be told to the GPU: ${problem}`;
  return `ECC of the GPU ${address} was ${ecc} before${why}; with a driver nvidia-smi -i ${address} -e ${ecc === 'on' ? 1 : 0} sets it`;
}
