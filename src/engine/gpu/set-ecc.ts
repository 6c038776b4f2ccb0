import type { Argv, Deed } from '../../change.ts';
import { AgentError } from '../../errors.ts';
import { refusalOf } from '../../formats/gpu/nvidia-smi-words.ts';
import type { Guest } from '../../guest/guest.ts';
import { failedCommand } from '../failed-command.ts';
import { forgetEcc } from '../remember.ts';
import type { Tell } from '../tell.ts';

/** As for a look: without nvidia-persistenced the GPU is set up anew for it. */
const TIMEOUT_MS = 120_000;

/** Sets what counts from the next boot on. */
export async function setEcc(guest: Guest, deed: Extract<Deed, { kind: 'set-ecc' }>, tell: Tell): Promise<void> {
  await turn(guest, deed, 'take gpu.ecc out', tell);
}

/** Cut between the two, the next run finds the GPU as it was. */
export async function restoreEcc(
  guest: Guest,
  deed: Extract<Deed, { kind: 'restore-ecc' }>,
  tell: Tell,
): Promise<void> {
  await turn(guest, deed, 'leave it as it is (vgpu-guest revert --force)', tell);
  await forgetEcc(guest, deed.address);
}

/** nvidia-smi may refuse it and still end with 0. */
async function turn(
  guest: Guest,
  { address, ecc }: Pick<Extract<Deed, { kind: 'restore-ecc' }>, 'address' | 'ecc'>,
  or: string,
  tell: Tell,
): Promise<void> {
  const argv: Argv = ['nvidia-smi', '-i', address, '-e', ecc === 'on' ? '1' : '0'];
  const outcome = await guest.run(argv, { timeoutMs: TIMEOUT_MS, onLine: line => tell.progress(line) });
  const line = refusalOf(`${outcome.stdout}\n${outcome.stderr}`);
  if (line !== undefined) {
    throw new AgentError(`ECC of the GPU ${address} cannot be turned ${ecc}\n  ${argv.join(' ')}: ${line}`, {
      remedy: `the host decides about ECC of a vGPU: change it there for the physical GPU, or ${or}`,
    });
  }
  if (outcome.code !== 0) throw failedCommand(argv, outcome);
}
