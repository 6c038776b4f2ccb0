import { expect, test } from 'vitest';
import { ANSWERS } from '../../src/report/schemas.ts';
import { makeFolderGuest } from '../helpers/folder-guest.ts';

test.each([
  [
    'suse',
    'vgpu',
    'NVIDIA H100L-1-12C',
    'Enabled Enabled 1',
    { current: 'Enabled', devices: 1, profile: 'NVIDIA H100L-1-12C' },
  ],
  [
    'debian',
    'pass-through',
    'NVIDIA H100 80GB HBM3',
    'Disabled Enabled 0',
    { current: 'Disabled', pending: 'Enabled' },
  ],
] as const)('on %s status shows the MIG of a GPU by %s', async (family, mode, gpuName, mig, shown) => {
  using guest = makeFolderGuest({ family, mode, gpuName, nouveau: 'not-bound', prerequisites: 'installed' });
  guest.write('/var/lib/stubs/mig', `${mig}\n`);
  expect(JSON.parse((await guest.vgpuGuest(['status', '--json'])).stdout).gpus[0]).not.toHaveProperty('mig');
  const { code, stderr } = await guest.vgpuGuest(['apply', '--only', 'install-driver']);
  expect(code, stderr).toBe(0);
  const status = JSON.parse((await guest.vgpuGuest(['status', '--json'])).stdout);
  expect(status.gpus).toMatchObject([{ mode, mig: shown }]);
  expect(ANSWERS.status.parse(status)).toEqual(status);
});
