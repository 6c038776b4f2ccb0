import type { Argv } from '../../change.ts';
import type { Config } from '../../config/schema.ts';
import { AgentError } from '../../errors.ts';
import { collect, lookAt } from '../../facts/facts.ts';
import { CUDA_PROOF, type CudaProof } from '../../facts/gpu/cuda.ts';
import { STATE_DIRECTORY } from '../../facts/record.ts';
import { isAtLeast } from '../../formats/driver/run-header.ts';
import { findCudaFault } from '../../formats/gpu/cuda-words.ts';
import { exitCodeWords } from '../../formats/signals.ts';
import type { Guest, Outcome } from '../../guest/guest.ts';
import { makeStateFolder } from '../resume.ts';
import { makeWorkshop } from '../run-package.ts';
import type { Tell } from '../tell.ts';
import { CUDA_SAMPLE, SAMPLE_PASSED } from './cuda-sample.ts';

const COMPILE_TIMEOUT_MS = 300_000;
/** A first program sets the GPU up, which takes half a minute on a guest with many of them. */
const RUN_TIMEOUT_MS = 180_000;
/** What is made for the GPU that is there needs nothing of the driver's compiler, which may be older than the toolkit. */
const ARCH_NATIVE_SINCE = '11.6';
const QUOTED_LINES = 4;

/** Compiles a small program and runs it. What came of it is remembered with both versions, also when it failed. */
export async function proveCuda(guest: Guest, workshop: string, config: Config, tell: Tell): Promise<void> {
  const { cuda, smi } = await collect(lookAt(guest, config), ['cuda', 'smi']);
  const { nvcc } = cuda;
  if (!nvcc || !smi.answers) {
    throw new AgentError(
      `CUDA cannot be proved: ${smi.answers ? `there is no nvcc ${cuda.release ?? ''}`.trim() : smi.problem}`,
      {
        remedy: smi.answers
          ? 'name packages that bring nvcc in cuda.packages, such as cuda-toolkit-12-8'
          : 'install a driver that works (driver.package), or set cuda.prove to false',
      },
    );
  }
  await using undo = new AsyncDisposableStack();
  undo.defer(() => guest.removeFolder(workshop));
  await makeWorkshop(guest, workshop);
  const [source, program] = [`${workshop}/sample.cu`, `${workshop}/sample`];
  await guest.writeText(source, CUDA_SAMPLE, 0o600);

  const native = isAtLeast(nvcc.version, ARCH_NATIVE_SINCE) ? ['-arch=native'] : [];
  const compile: Argv = [nvcc.path, ...native, '-o', program, source];
  const versions = { toolkit: nvcc.version, driver: smi.driverVersion };
  const run = async (argv: Argv, timeoutMs: number) =>
    await guest.run(argv, { timeoutMs, env: { TMPDIR: workshop }, onLine: line => tell.progress(line) });
  const compiled = await run(compile, COMPILE_TIMEOUT_MS);
  if (compiled.code !== 0) throw await failed(guest, versions, compile, compiled);
  const ran = await run([program], RUN_TIMEOUT_MS);
  if (ran.code !== 0 || !ran.stdout.split('\n').includes(SAMPLE_PASSED)) {
    throw await failed(guest, versions, [program], ran);
  }
  await remember(guest, { ...versions, passed: true });
}

async function failed(
  guest: Guest,
  versions: Pick<CudaProof, 'toolkit' | 'driver'>,
  argv: Argv,
  outcome: Outcome,
): Promise<AgentError> {
  const words = `${outcome.stdout}\n${outcome.stderr}`;
  const fault = findCudaFault(words);
  const lines = words.split('\n').map(line => line.trim());
  const last = lines.filter(Boolean).slice(-QUOTED_LINES);
  const said = fault?.line ?? last.at(-1) ?? `ended with ${exitCodeWords(outcome.code)}`;
  await remember(guest, { ...versions, passed: false, said });
  const quoted = [...new Set([...(fault ? [fault.line] : []), ...last])].map(line => `\n  ${line}`).join('');
  return new AgentError(
    `CUDA ${versions.toolkit} does not work with driver ${versions.driver}: ${argv.join(' ')} ended with ${exitCodeWords(outcome.code)}${quoted}${fault ? `\n  ${fault.cause}` : ''}`,
    { remedy: fault?.remedy ?? 'compile and run a program with that nvcc by hand, or set cuda.prove to false' },
  );
}

async function remember(guest: Guest, proof: CudaProof): Promise<void> {
  await makeStateFolder(guest, STATE_DIRECTORY);
  await guest.writeText(CUDA_PROOF, `${JSON.stringify(proof, null, 2)}\n`, 0o600);
}
