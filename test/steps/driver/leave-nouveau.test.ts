import { expect, test } from 'vitest';
import type { Config } from '../../../src/config/schema.ts';
import type { Gpu } from '../../../src/facts/gpu/gpus.ts';
import { leaveNouveau } from '../../../src/steps/driver/leave-nouveau.ts';

function judge(...drivers: readonly (string | undefined)[]) {
  const gpus = drivers.map(
    (driver, index): Gpu => ({ address: `0000:00:0${index + 6}.0`, device: '2236', kind: 'vga', driver, mode: 'vgpu' }),
  );
  return leaveNouveau.judge({} as Config, { gpus }, new Set());
}

test.each(['nouveau', 'NovaCore', 'nova'])('a GPU that is bound to %s needs a reboot', driver => {
  expect(judge('nvidia', driver)).toEqual({
    is: 'due',
    changes: [{ kind: 'reboot', because: `the GPU 0000:00:07.0 is bound to ${driver}` }],
  });
});

test('a GPU that is bound to nvidia or to nothing is free of nouveau', () => {
  expect(judge('nvidia', undefined).is).toBe('settled');
});

test('a GPU that was given away to another driver is somebody else’s decision', () => {
  expect(judge('vfio-pci')).toMatchObject({
    is: 'blocked',
    because: 'the GPU 0000:00:06.0 is bound to vfio-pci, which is neither nouveau nor nvidia',
  });
});
