import type { Hardware } from './guest.ts';

/**
 * What systeminformation finds out about this machine: DMI for the hypervisor, lspci for the names of display controllers. Each takes
 * tens of milliseconds and is asked only where nothing else knows the answer. An empty answer means unknown, never absent.
 */
export const machineHardware: Hardware = {
  async virtualHost() {
    const { system } = await import('systeminformation');
    const { virtual, virtualHost } = await system();
    return virtual && virtualHost ? virtualHost : undefined;
  },

  async displayNames() {
    const { graphics } = await import('systeminformation');
    const { controllers } = await graphics();
    // lspci leaves out the domain where there is only one
    const addressOf = (bus: string) => (bus.length === '00:06.0'.length ? `0000:${bus}` : bus);
    return new Map(
      controllers.flatMap(({ busAddress, model }) => (busAddress && model ? [[addressOf(busAddress), model]] : [])),
    );
  },
};

/** A guest in a folder is its files: nothing is asked of the machine that it lies on. */
export const noHardware: Hardware = {
  virtualHost: async () => undefined,
  displayNames: async () => new Map(),
};
