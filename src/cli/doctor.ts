import { subjects } from '../checks/index.ts';
import { type Diagnosis, examine } from '../engine/examine.ts';
import { lookAt } from '../facts/facts.ts';
import { doctorJson, doctorText, findingText } from '../report/doctor-report.ts';
import { paintFor } from '../report/text.ts';
import { EXIT } from './exit.ts';
import type { CommonOptions, Io } from './io.ts';
import { openEyesFor } from './open.ts';
import { readConfig } from './settings.ts';

/** nvidia-smi alone may take a minute on a guest with many GPUs and without persistence. */
const DEADLINE_MS = 90_000;

/** Every known cause checked; each finding with evidence and remedy. */
export async function doctorCommand(options: CommonOptions, io: Io): Promise<number> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const guest = openEyesFor(options, { ...io, stop: AbortSignal.any([io.stop, deadline]) });
  const { config } = await readConfig(guest, options, io.env);
  const diagnosis = await examine(subjects, lookAt(guest, config), { stop: io.stop, deadline });
  if (options.json) io.json(doctorJson(diagnosis));
  else answer(diagnosis, options, io);
  return diagnosis.findings.some(({ severity }) => severity === 'error') ? EXIT.blocked : EXIT.settled;
}

function answer(diagnosis: Diagnosis, { quiet, color }: CommonOptions, io: Io): void {
  const paint = paintFor(process.stdout, color);
  const wrong = diagnosis.findings.filter(({ severity }) => severity !== 'info');
  if (!quiet) io.out(doctorText(diagnosis, paint));
  else if (wrong.length > 0) io.out(wrong.map(finding => findingText(finding, paint)).join('\n\n'));
}
