import { blocked, type Verdict } from '../change.ts';
import type { Facts } from '../facts/facts.ts';

/** Refuses a machine that is no guest with an NVIDIA GPU, or a system that this program cannot change. */
export function notAGuestForUs(facts: Pick<Facts, 'system' | 'gpus' | 'smi'>): Verdict | undefined {
  return notAGuest(facts) ?? notChangeable(facts);
}

/** Refuses a hypervisor, and a machine without an NVIDIA GPU. */
export function notAGuest({ gpus, smi }: Pick<Facts, 'gpus' | 'smi'>): Verdict | undefined {
  const hosting = smi.answers ? smi.gpus.find(({ mode }) => mode === 'host-vgpu' || mode === 'host-vsga') : undefined;
  if (hosting) {
    return blocked(
      `the GPU ${hosting.address} hands out vGPUs (virtualization mode ${hosting.mode}): this machine is a host, not a guest`,
      'run vgpu-guest inside the virtual machine that has the vGPU',
    );
  }
  if (gpus.length > 0) return undefined;
  return blocked(
    'there is no NVIDIA GPU on the PCI bus',
    'assign a vGPU (or pass a GPU through) to this guest on the host, then run vgpu-guest apply again',
  );
}

/** Refuses a distribution that this program does not know, and one whose files cannot be written. */
export function notChangeable({ system }: Pick<Facts, 'system'>): Verdict | undefined {
  if (!system.family) {
    return blocked(
      `${system.name} is neither SUSE, nor Red Hat, Fedora, Debian or Ubuntu, nor like one of them`,
      'use such a guest, or install the driver by hand and run vgpu-guest without driver.package',
    );
  }
  return system.readOnly && blocked(system.readOnly.because, system.readOnly.remedy);
}

/** Refuses the package that is made for the host. */
export function hostPackage({ driverPackage }: Pick<Facts, 'driverPackage'>): Verdict | undefined {
  const flavor =
    driverPackage.is === 'remote' ? driverPackage.namedFlavor : driverPackage.is === 'present' && driverPackage.flavor;
  if (flavor !== 'host' || !('path' in driverPackage)) return undefined;
  return blocked(
    `${driverPackage.path} is the vGPU Manager for the host, not a driver for the guest`,
    'set driver.package to the package of the same vGPU release whose name ends in -grid.run',
  );
}
