import { describe, expect, test } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import type { Gpu } from '../../../src/facts/gpu/gpus.ts';
import type { SmiFact, SmiGpu } from '../../../src/facts/gpu/smi.ts';
import { setEcc } from '../../../src/steps/gpu/set-ecc.ts';

const [FIRST, SECOND] = ['0000:00:06.0', '0000:3b:1f.0'] as const;
const GPUS: readonly Gpu[] = [{ address: FIRST, device: '2236', kind: 'vga', driver: 'nvidia', mode: 'vgpu' }];
const NO_DRIVER: SmiFact = { answers: false, problem: 'there is no nvidia-smi', code: 127 };

function gpu(address: string, setting?: string, mode: SmiGpu['mode'] = 'vgpu'): SmiGpu {
  const [current = '', pending = current] = setting?.split(' ') ?? [];
  return {
    address,
    name: 'NVIDIA A10-4Q',
    uuid: 'GPU-1',
    mode,
    license: undefined,
    ...(setting ? { ecc: { current, pending } } : {}),
  };
}

function judge(ecc: boolean | undefined, seen: SmiFact | readonly SmiGpu[], ...ahead: readonly string[]) {
  const smi = 'answers' in seen ? seen : ({ answers: true, driverVersion: '570.211.01', gpus: seen } as const);
  return setEcc.judge(
    configSchema.parse({ gpu: ecc === undefined ? {} : { ecc } }),
    { smi, gpus: GPUS },
    new Set(ahead),
  );
}

describe('ECC of the GPU memory', () => {
  test('is left as it is where nobody asks', () => {
    expect(judge(undefined, [gpu(FIRST, 'Enabled Disabled')])).toMatchObject({ is: 'settled' });
    expect(judge(undefined, NO_DRIVER)).toMatchObject({ is: 'settled' });
  });

  test.each([
    [true, 'Enabled'],
    [false, 'Disabled'],
    [false, 'N/A'],
    [false, undefined],
  ])('asked for as %s is settled at %s', (ecc, setting) => {
    expect(judge(ecc, [gpu(FIRST, setting)])).toMatchObject({ is: 'settled' });
  });

  test.each([
    [true, 'Disabled', 'on', 'off'],
    [false, 'Enabled', 'off', 'on'],
  ])('asked for as %s is set where it is %s, and takes a reboot', (wanted, setting, ecc, before) => {
    expect(judge(wanted, [gpu(FIRST, setting)])).toEqual({
      is: 'due',
      changes: [
        {
          kind: 'set-ecc',
          address: FIRST,
          ecc,
          before,
          because: `nvidia-smi says ECC ${setting}, pending ${setting} (${FIRST})`,
        },
        { kind: 'reboot', because: `ECC of the GPU ${FIRST} is ${before} until a reboot` },
      ],
    });
  });

  test('that is set already takes only the reboot', () => {
    const verdict = judge(true, [gpu(FIRST, 'Disabled Enabled')]);
    expect(verdict).toEqual({
      is: 'due',
      changes: [{ kind: 'reboot', because: `ECC of the GPU ${FIRST} is off until a reboot` }],
    });
  });

  test('that somebody is about to change back needs no reboot to stay', () => {
    const verdict = judge(true, [gpu(FIRST, 'Enabled Disabled')]);
    expect(verdict).toMatchObject({ is: 'due', changes: [{ kind: 'set-ecc', ecc: 'on', before: 'off' }] });
    expect(verdict.is === 'due' && verdict.changes).toHaveLength(1);
  });

  test('is set on those GPUs only that need it', () => {
    expect(judge(true, [gpu(FIRST, 'Enabled'), gpu(SECOND, 'Disabled')])).toMatchObject({
      changes: [{ kind: 'set-ecc', address: SECOND }, { kind: 'reboot' }],
    });
  });

  test.each([
    ['vgpu', /the host decides about ECC of a vGPU/],
    ['pass-through', /^this GPU has no ECC/],
  ] as const)('that a %s has not got blocks the run, with whom to ask', (mode, remedy) => {
    for (const setting of ['N/A', undefined]) {
      expect(judge(true, [gpu(SECOND, 'Disabled', mode), gpu(FIRST, setting, mode)])).toEqual({
        is: 'blocked',
        because: `ECC is to be on, and nvidia-smi says ECC N/A, pending N/A (${FIRST})`,
        remedy: expect.stringMatching(remedy),
      });
    }
  });

  test('of a host is not touched, and without a GPU there is none', () => {
    for (const seen of [[gpu(FIRST, 'Disabled', 'host-vgpu')], []]) {
      expect(judge(true, seen)).toMatchObject({ is: 'blocked' });
      expect(judge(false, seen)).toMatchObject({ is: 'blocked' });
      expect(judge(undefined, seen)).toMatchObject({ is: 'settled' });
    }
  });

  test.each([true, false])('that cannot be read is not guessed (%s)', ecc => {
    expect(judge(ecc, [gpu(FIRST, 'ERR!')])).toMatchObject({
      is: 'blocked',
      because: expect.stringContaining('ECC ERR!'),
    });
  });

  test('is due with the driver that is about to come, and blocked without one', () => {
    expect(judge(true, NO_DRIVER, 'install-driver')).toMatchObject({
      is: 'due',
      changes: [{ kind: 'set-ecc', address: FIRST }],
    });
    expect(judge(true, NO_DRIVER)).toMatchObject({
      is: 'blocked',
      because: 'ECC is to be on, and there is no nvidia-smi',
    });
    // a driver that is replaced has told already
    expect(judge(true, [gpu(FIRST, 'Enabled')], 'install-driver')).toMatchObject({ is: 'settled' });
  });
});
