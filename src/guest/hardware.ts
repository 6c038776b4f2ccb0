import type { Hardware } from './guest.ts';

/**
 * What systeminformation finds out about this machine: DMI for the hypervisor, lspci for the names of display controllers.
 * It takes tens of milliseconds and is asked only where a person reads the answer. An empty answer means unknown, never absent.
 */
export async function lookAtHardware(): Promise<Hardware> {
  const { graphics, system } = await import('systeminformation');
  const [machine, screens] = await Promise.all([system(), graphics()]);
  return {
    ...(machine.virtual && machine.virtualHost ? { virtualHost: machine.virtualHost } : {}),
    displays: screens.controllers.flatMap(({ busAddress, model }) =>
      busAddress && model
        ? [{ address: busAddress.length === 7 ? `0000:${busAddress}` : busAddress, name: model }]
        : [],
    ),
  };
}
