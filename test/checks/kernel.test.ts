import { expect, test } from 'vitest';
import { find, HEALTHY, kernelLog } from '../helpers/doctor.ts';

const DEAD = { smi: { answers: false, problem: 'nvidia-smi says: No devices were found', code: 6 } } as const;

// texts of the open kernel modules (gpu.c, rpc.c, osapi.c)
test.each([
  ['host-incompatible', 'NVRM: Xid (PCI:0000:02:00): 78, Guest driver is incompatible with host driver'],
  ['host-incompatible', 'NVRM: nvidia: SetGuestSystemInfo: The host version (16.1) is too old'],
  [
    'host-incompatible',
    'NVRM: Incompatible Guest/Host drivers: Guest VGX version is newer than the maximum version supported by the Host. Disabling vGPU.',
  ],
  ['vgpu-type-unknown', 'NVRM: Xid (PCI:0000:02:00): 78, vGPU type is not supported'],
  ['open-modules-unsupported', 'NVRM: installed in this system is not supported by open'],
  ['vgpu-and-pass-through', 'NVRM: vGPU and Passthrough not supported simultaneously on the same VM'],
  ['adapter-fails', 'NVRM: GPU 0000:00:06.0: RmInitAdapter failed! (0x24:0xffff:1389)'],
])('%s is found by "%s"', (id, line) => {
  expect(find(id, { ...DEAD, ...kernelLog('NVRM: before', line) })).toMatchObject({
    severity: 'error',
    evidence: expect.arrayContaining([{ at: 'journalctl -b -k', shows: line }]),
  });
  expect(find(id, { ...DEAD, ...kernelLog('NVRM: before') })).toBeUndefined();
});

test('a line from before the GPU came to life is a warning', () => {
  const log = kernelLog('NVRM: Xid (PCI:0000:02:00): 78, Guest driver is incompatible with host driver');
  expect(find('host-incompatible', log)?.severity).toBe('warning');
});

test('a GPU that cannot be started is blamed on the host only once', () => {
  const log = kernelLog(
    'NVRM: Xid (PCI:0000:02:00): 78, Guest driver is incompatible with host driver',
    'NVRM: GPU 0000:02:00.0: RmInitAdapter failed! (0x23:0x40:624)',
  );
  expect(find('adapter-fails', { ...DEAD, ...log })).toBeUndefined();
  expect(
    find('adapter-fails', kernelLog('NVRM: GPU 0000:00:06.0: RmInitAdapter failed! (0x24:0xffff:1389)')),
  ).toBeUndefined();
});

test('the driver breaks its sentences, and all of one is shown', () => {
  const log = [
    'NVRM: The NVIDIA vGPU (PCI ID: 10de:2236)',
    'NVRM: installed in this system is not supported by open',
    'NVRM: nvidia.ko because it does not',
  ];
  expect(
    find('open-modules-unsupported', { ...DEAD, ...kernelLog(...log) })?.evidence.map(({ shows }) => shows),
  ).toEqual(log);
});

test('a vGPU and a whole GPU side by side may not work, even before the driver says so', () => {
  const gpu = HEALTHY.gpus[0]!;
  const found = find('vgpu-and-pass-through', {
    gpus: [gpu, { ...gpu, address: '0000:3b:00.0', mode: 'pass-through' }],
  });
  expect(found).toMatchObject({
    severity: 'warning',
    evidence: [{ shows: 'that of a vGPU' }, { shows: 'not that of a vGPU' }],
  });
});

test('a denied access of the daemon is shown as the kernel wrote it', () => {
  const line =
    'audit: type=1400 audit(1795194087.1:42): avc:  denied  { read } for  pid=812 comm="nvidia-gridd" name="a.tok"';
  const facts = { kernelLog: { is: 'read', from: 'dmesg', driver: [], denials: [line] } } as const;
  expect(find('access-denied', facts)).toMatchObject({
    severity: 'warning',
    evidence: [{ shows: line }],
    remedy: expect.stringContaining('restorecon'),
  });
});

test('a denied access of another program is said by its name, and not as one of the daemon', () => {
  const line = 'avc:  denied  { module_load } for  pid=9 comm="modprobe" path="/usr/lib/modules/6.4/nvidia.ko"';
  const facts = { kernelLog: { is: 'read', from: 'dmesg', driver: [], denials: [line] } } as const;
  expect(find('access-denied', facts)).toMatchObject({
    summary: 'the security of this guest has denied modprobe an access',
    remedy: expect.not.stringContaining('nvidia-gridd'),
  });
});
