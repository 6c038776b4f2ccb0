import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const XML = readFileSync(new URL('../../fixtures/nvidia-smi/h200-passthrough-580.159.04.xml', import.meta.url), 'utf8');

async function smiOf(script: string | undefined) {
  const root = temporaryFolder();
  writeFiles(root, { 'smi.xml': XML });
  if (script !== undefined) writeProgram(root, 'nvidia-smi', script);
  return await lookAt(openGuest({ root }), configSchema.parse({})).fact('smi');
}

it('a guest without nvidia-smi says so', async () => {
  expect(await smiOf(undefined)).toEqual({ answers: false, problem: 'there is no nvidia-smi', code: 127 });
});

it('an answer counts, whatever the exit code says about the infoROM', async () => {
  const smi = await smiOf(
    '[ "$*" = "-q -x" ] && cat "$GUEST_ROOT/smi.xml"; echo "WARNING: infoROM is corrupted"; exit 14',
  );
  expect(smi.answers && smi.driverVersion).toBe('580.159.04');
});

it.each([
  [
    'has failed is quoted',
    'printf "NVIDIA-SMI has failed because it could not\\n communicate.\\n\\n"; exit 9',
    { problem: 'nvidia-smi says: NVIDIA-SMI has failed because it could not communicate.', code: 9 },
  ],
  [
    'complains elsewhere is quoted too',
    'echo "no library" >&2; exit 12',
    { problem: 'nvidia-smi says: no library', code: 12 },
  ],
  ['says nothing is named by its exit code', 'exit 255', { problem: 'nvidia-smi ended with exit code 255', code: 255 }],
  [
    'is cut is no answer',
    'head -c 9000 "$GUEST_ROOT/smi.xml"',
    { problem: 'nvidia-smi printed XML that ends before </nvidia_smi_log>', code: 0 },
  ],
])('an nvidia-smi that %s', async (_title, script, said) => {
  expect(await smiOf(script)).toEqual({ answers: false, ...said });
});
