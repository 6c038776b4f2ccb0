import { type Change, due, type Ecc, settled, type Verdict, warned } from '../../change.ts';
import type { SmiFact } from '../../facts/gpu/smi.ts';
import type { RecordFact } from '../../facts/record.ts';
import { ofWord } from '../gpu/set-ecc.ts';
import { defineStep } from '../step.ts';
import { refuseUnreadable } from './changed-files.ts';

/** While the driver is there: the GPU itself remembers the setting, and only the driver can change it. */
export const restoreEcc = defineStep({
  id: 'restore-ecc',
  title: 'Let error correction of the GPU memory be as it was',
  reads: ['record', 'smi'],
  judge(_config, { record, smi }): Verdict {
    const refusal = refuseUnreadable(record);
    if (refusal) return refusal;
    const settings = eccToRestore(record, smi);
    const warnings = settings.flatMap(setting => lackOf(setting, smi) ?? []);
    const [first, ...rest] = settings.flatMap(setting => (lackOf(setting, smi) ? [] : [putBack(setting)]));
    const mark: Change = { kind: 'mark-boot', because: 'at the next boot ECC is as it was' };
    if (first) return warned(due(mark, first, ...rest), warnings);
    return warned(settled(warnings.length > 0 ? 'ECC stays as it is' : 'ECC of every GPU is as it was'), warnings);
  },
});

type Setting = readonly [address: string, before: Ecc];

/** GPUs that this program has set and that would not boot as they were; all of them where no driver tells. */
export function eccToRestore({ record }: Pick<RecordFact, 'record'>, smi: SmiFact): readonly Setting[] {
  return Object.entries(record.ecc ?? {}).filter(([address, before]) => pendingOf(address, smi) !== before);
}

function pendingOf(address: string, smi: SmiFact): Ecc | undefined {
  const ecc = smi.answers ? smi.gpus.find(gpu => gpu.address === address)?.ecc : undefined;
  return ofWord(ecc?.pending ?? '');
}

function putBack([address, ecc]: Setting): Change {
  return { kind: 'restore-ecc', address, ecc, because: `ECC of the GPU ${address} was ${ecc} before` };
}

/** Why nobody can tell the GPU. */
function lackOf([address, ecc]: Setting, smi: SmiFact): string | undefined {
  if (pendingOf(address, smi) !== undefined) return undefined;
  const why = smi.answers ? 'nvidia-smi shows no ECC of this GPU' : smi.problem;
  const argv = `nvidia-smi -i ${address} -e ${ecc === 'on' ? 1 : 0}`;
  return `ECC of the GPU ${address} was ${ecc} before, and stays as it is: ${why}; once that is mended, ${argv} sets it`;
}
