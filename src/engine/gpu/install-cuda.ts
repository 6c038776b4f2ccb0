import type { InstallCuda } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import { AgentError } from '../../errors.ts';
import { lookAt } from '../../facts/facts.ts';
import { findCudaFault, installerErrorLines } from '../../formats/gpu/cuda-words.ts';
import { exitCodeWords } from '../../formats/signals.ts';
import type { Guest } from '../../guest/guest.ts';
import { followInstaller, makeWorkshop } from '../run-package.ts';
import type { Tell } from '../tell.ts';

const LOG_LIMIT_BYTES = 16 * 1024 * 1024;
const QUOTED_LINES = 3;

/** Runs the runfile for the toolkit alone. Its exit code is told and not believed: nvcc says whether the toolkit is there. */
export async function installCuda(guest: Guest, deed: InstallCuda, config: Config, tell: Tell): Promise<void> {
  const { argv, log, release, package: given, workshop } = deed;
  if (given.sha256 !== undefined && (await guest.digest(given.path, 'sha256')) !== given.sha256) {
    throw new AgentError(`${given.path} has changed since it was looked at`, {
      remedy: 'find out who writes there, and run vgpu-guest apply again when that has ended',
    });
  }
  if ((await guest.stat(log)) || (await guest.readLink(log))) await guest.rename(log, `${log}.old`);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => guest.removeFolder(workshop));
  await makeWorkshop(guest, workshop);
  // the wrapper unpacks itself there, too
  const outcome = await followInstaller(guest, { argv, log, env: { TMPDIR: workshop } }, tell);
  const said = (await guest.readText(log, LOG_LIMIT_BYTES)) ?? '';
  const { nvcc } = await lookAt(guest, config).fact('cuda');
  if (nvcc) {
    if (outcome.code !== 0)
      tell.warn(`the runfile ended with ${exitCodeWords(outcome.code)}, and nvcc ${release} is there`);
    return;
  }
  const printed = `${outcome.stdout}\n${outcome.stderr}`;
  const fault = findCudaFault(`${said}\n${printed}`);
  const errors = installerErrorLines(said);
  const last = (errors.length > 0 ? errors : printed.trim().split('\n')).slice(-QUOTED_LINES).filter(Boolean);
  const quoted = [...new Set([...(fault ? [fault.line] : []), ...last])].map(line => `\n  ${line}`).join('');
  const because = fault ? `\n  ${fault.cause}` : '';
  throw new AgentError(
    `${argv.join(' ')} ended with ${exitCodeWords(outcome.code)}, and there is no nvcc ${release}${quoted}${because}`,
    { remedy: fault?.remedy ?? `read ${log} on this guest` },
  );
}
