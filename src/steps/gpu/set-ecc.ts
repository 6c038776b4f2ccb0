import { blocked, type Change, due, type Ecc, settled, type Verdict } from '../../change.ts';
import type { SmiGpu, SmiSetting } from '../../facts/gpu/smi.ts';
import { notAGuest } from '../gates.ts';
import { defineStep } from '../step.ts';

/** Memory that corrects its errors costs some of it and some speed, so that only a person may choose; a reboot puts it into force. */
export const setEcc = defineStep({
  id: 'set-ecc',
  title: 'Turn error correction of the GPU memory on or off',
  reads: ['smi', 'gpus'],
  judge({ gpu }, { smi, gpus }, ahead) {
    if (gpu.ecc === undefined) return settled('ECC is left as it is (gpu.ecc)');
    const ecc = gpu.ecc ? 'on' : 'off';
    // of a host it would be the GPU of everybody
    const refusal = notAGuest({ smi, gpus });
    if (refusal) return refusal;
    if (!smi.answers && ['leave-nouveau', 'install-driver'].some(id => ahead.has(id))) {
      const [first, ...rest] = gpus.map(({ address }) => untold(address, ecc));
      if (first) return due(first, ...rest);
    }
    if (!smi.answers) {
      return blocked(
        `ECC is to be ${ecc}, and ${smi.problem}`,
        'install a driver that works (driver.package), then run vgpu-guest apply again; or take gpu.ecc out',
      );
    }
    return judgeAll(smi.gpus, ecc);
  },
});

function judgeAll(gpus: readonly SmiGpu[], ecc: Ecc): Verdict {
  if (gpus.length === 0) {
    return blocked(
      `ECC is to be ${ecc}, and nvidia-smi sees no GPU`,
      'see what the kernel says of it (dmesg | grep NVRM)',
    );
  }
  const refusal = gpus.map(seen => refuse(seen, ecc)).find(verdict => verdict !== undefined);
  if (refusal) return refusal;
  const changeable = gpus.flatMap(({ address, ecc: has }) => (has && ofWord(has.current) ? [{ address, has }] : []));
  const toSet = changeable.filter(({ has }) => ofWord(has.pending) !== ecc);
  const toStart = changeable.filter(({ has }) => ofWord(has.current) !== ecc);
  const because = toStart
    .map(({ address }) => `ECC of the GPU ${address} is ${opposite(ecc)} until a reboot`)
    .join(', ');
  const changes: readonly Change[] = [
    ...toSet.map(({ address, has }): Change => {
      return {
        kind: 'set-ecc',
        address,
        ecc,
        before: opposite(ecc),
        because: `nvidia-smi says ${inWords(address, has)}`,
      };
    }),
    ...(because === '' ? [] : [{ kind: 'reboot', because } as const]),
  ];
  const [first, ...rest] = changes;
  if (first) return due(first, ...rest);
  return settled(
    changeable.length === 0 ? 'no GPU has ECC, so that it is off' : `ECC of every GPU that has it is ${ecc}`,
  );
}

/** What cannot be had is said before anything is changed; that it is not there is as good as off. */
function refuse(seen: SmiGpu, ecc: Ecc): Verdict | undefined {
  const { address, ecc: has = NOTHING_SAID } = seen;
  if (ofWord(has.current) && ofWord(has.pending)) return undefined;
  if (has.current !== NONE) {
    return blocked(
      `ECC is to be ${ecc}, and nobody knows how it stands: nvidia-smi says ${inWords(address, has)}`,
      'see what the kernel says of the GPU (dmesg | grep NVRM), or take gpu.ecc out',
    );
  }
  if (ecc === 'off') return undefined;
  return blocked(
    `ECC is to be on, and nvidia-smi says ${inWords(address, has)}`,
    seen.mode === 'vgpu'
      ? 'the host decides about ECC of a vGPU: turn it on there for the physical GPU, if that has ECC, and start this guest again; or take gpu.ecc out'
      : 'this GPU has no ECC: take gpu.ecc out',
  );
}

const NONE = 'N/A';
const NOTHING_SAID: SmiSetting = { current: NONE, pending: NONE };

/** The driver tells, once it is there. */
function untold(address: string, ecc: Ecc): Change {
  return { kind: 'set-ecc', address, ecc, because: 'the driver, which tells how ECC stands, is not there yet' };
}

/** What a word of nvidia-smi says; undefined: neither. */
export function ofWord(word: string): Ecc | undefined {
  return word === 'Enabled' ? 'on' : word === 'Disabled' ? 'off' : undefined;
}

function opposite(ecc: Ecc): Ecc {
  return ecc === 'on' ? 'off' : 'on';
}

function inWords(address: string, { current, pending }: SmiSetting): string {
  return `ECC ${current}, pending ${pending} (${address})`;
}
