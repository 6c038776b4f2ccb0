import type { Argv, Deed } from '../../change.ts';
import { AgentError } from '../../errors.ts';
import { refusalOf } from '../../formats/gpu/nvidia-smi-words.ts';
import type { Guest } from '../../guest/guest.ts';
import { failedCommand } from '../failed-command.ts';
import { forgetEcc } from '../remember.ts';
import type { Tell } from '../tell.ts';

/** As for a look: without nvidia-persistenced the GPU is set up anew for it. */
const TIMEOUT_MS = 120_000;

type Setting = Pick<Extract<Deed, { kind: 'set-ecc' }>, 'address' | 'ecc'>;

/** Sets what counts from the next boot on. */
export async function setEcc(guest: Guest, setting: Setting, tell: Tell): Promise<void> {
  const refusal = await turn(guest, setting, tell);
  if (refusal === undefined) return;
  throw new AgentError(refusal, {
    remedy: 'the host decides about ECC of a vGPU: change it there for the physical GPU, or take gpu.ecc out',
  });
}

/** Cut between the two, the next run finds the GPU as it was. What the host refuses cannot be put back, and must not keep the rest from it. */
export async function restoreEcc(guest: Guest, setting: Setting, tell: Tell): Promise<void> {
  const refusal = await turn(guest, setting, tell);
  if (refusal !== undefined) tell.warn(`${refusal}\n  it stays as it is: the host decides about ECC of a vGPU`);
  await forgetEcc(guest, setting.address);
}

/** nvidia-smi may refuse it and still end with 0; then what it said. */
async function turn(guest: Guest, { address, ecc }: Setting, tell: Tell): Promise<string | undefined> {
  const argv: Argv = ['nvidia-smi', '-i', address, '-e', ecc === 'on' ? '1' : '0'];
  const outcome = await guest.run(argv, { timeoutMs: TIMEOUT_MS, onLine: line => tell.progress(line) });
  const line = refusalOf(`${outcome.stdout}\n${outcome.stderr}`);
  if (line !== undefined) return `ECC of the GPU ${address} cannot be turned ${ecc}\n  ${argv.join(' ')}: ${line}`;
  if (outcome.code !== 0) throw failedCommand(argv, outcome);
  return undefined;
}
