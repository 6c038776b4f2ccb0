import { expect, test } from 'vitest';
import { findDriverFault } from '../../../src/formats/driver/driver-log.ts';

// Lines of nv.c, nv-pci.c and osapi.c of NVIDIA's open modules, of the kernel's module loader, and of logs that people have published.
test.each([
  ['NVRM: GPU 0000:01:00.0 is already bound to nouveau.', 'another driver has the GPU'],
  ['NVRM: GPU 0000:01:00.0 is already bound to NovaCore.', 'another driver has the GPU'],
  [
    'NVRM: Xid (PCI:0000:06:00): 78, pid=812, 0xc1d00001(0): Guest driver is incompatible with host driver',
    'the driver of this guest and that of the host do not work together',
  ],
  ['NVRM: vGPU type is not supported', 'the guest driver does not know this type of vGPU'],
  ['NVRM: Xid (PCI:0000:06:00): 78, vGPU Start error', 'the vGPU could not be started'],
  [
    'NVRM: The NVIDIA vGPU 0000:06:00.0 (PCI ID: 10de:2236) installed in this system is not supported by open nvidia.ko.',
    'the open kernel modules do not support this GPU',
  ],
  [
    'NVRM: installed in this system is not supported by the NVIDIA 580.95.05 driver release.',
    'this driver does not support the GPU: a data-center driver in a guest with a vGPU, or one that is too old',
  ],
  [
    'NVRM: API mismatch: the client has the version 570.211.01, but',
    'programs and kernel module of the driver are of different versions',
  ],
  ['Loading of unsigned module is rejected', 'the kernel takes no module that is not signed with an enrolled key'],
  [
    'Loading of module with unavailable key is rejected',
    'the kernel takes no module that is not signed with an enrolled key',
  ],
  [
    'Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7',
    'the kernel takes no module that is not signed with an enrolled key',
  ],
  [
    'NVRM: This PCI I/O region assigned to your NVIDIA device is invalid:',
    'the firmware or the hypervisor has given the GPU no place for its memory',
  ],
  ['NVRM: GPU 0000:06:00.0: RmInitAdapter failed! (0x22:0x40:762)', 'the driver cannot start the GPU'],
  ['NVRM: No NVIDIA GPU found.', 'the driver has found no GPU that it can drive'],
  ['NVRM: The NVIDIA probe routine was not called for 1 device(s).', 'the driver has found no GPU that it can drive'],
])('%s', (line, cause) => {
  const raw = `[   61.200001] ${line}`;
  expect(findDriverFault(['[   61.1] NVRM: loading NVIDIA UNIX x86_64 Kernel Module  570.211.01', raw])).toMatchObject({
    line: raw,
    cause,
    remedy: expect.any(String),
  });
});

test('the reason counts more than what comes of it, and the newest line of it is shown', () => {
  const lines = [
    'NVRM: vGPU type is not supported (1)',
    'NVRM: GPU 0000:06:00.0: RmInitAdapter failed! (0x22:0x40:762)',
    'NVRM: vGPU type is not supported (2)',
    'NVRM: None of the NVIDIA devices were initialized.',
  ];
  expect(findDriverFault(lines)?.line).toBe('NVRM: vGPU type is not supported (2)');
});

test('a driver that has taken the GPU, or that taints the kernel, is no fault', () => {
  expect(
    findDriverFault([
      'NVRM: GPU 0000:06:00.0 is already bound to nvidia.',
      'nvidia: module verification failed: signature and/or required key missing - tainting kernel',
      'nvidia-nvlink: Nvlink Core is being initialized, major device number 236',
    ]),
  ).toBeUndefined();
});
