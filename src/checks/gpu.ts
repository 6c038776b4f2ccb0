import type { SmiGpu, SmiSetting } from '../facts/gpu/smi.ts';
import { defineSubject, evidence, seen } from './check.ts';
import { licenseEvidence } from './situation.ts';

const NO_ECC: SmiSetting = { current: 'N/A', pending: 'N/A' };

/** The GPU on the PCI bus, before any driver. */
export const gpu = defineSubject({
  id: 'gpu',
  title: 'the GPU',
  reads: ['gpus', 'smi'],
  saw: (_config, { gpus }) =>
    seen(
      gpus.length === 0
        ? 'no NVIDIA GPU on the PCI bus'
        : gpus
            .map(({ address, device, driver }) => `${address} [10de:${device}], driver ${driver ?? 'none'}`)
            .join('; '),
    ),
  checks: [
    {
      id: 'gpu-missing',
      causes: [12],
      judge: (_config, { gpus }) =>
        gpus.length > 0
          ? undefined
          : {
              severity: 'error',
              summary: 'there is no NVIDIA GPU on the PCI bus',
              cause:
                'no vGPU is assigned to this guest and no GPU is passed through, or this is another machine than was meant',
              remedy:
                'assign a vGPU (or pass a GPU through) to this guest on the host, start it again, and run vgpu-guest apply',
              evidence: [evidence('/sys/bus/pci/devices', 'no display controller of vendor 0x10de')],
            },
    },
    {
      id: 'gpu-taken',
      causes: [],
      judge(_config, { gpus }) {
        const taken = gpus.filter(({ driver }) => driver !== undefined && driver !== 'nvidia');
        const [first] = taken;
        if (!first) return undefined;
        const openOne = taken.every(({ driver }) => /nouveau|nova/i.test(driver ?? ''));
        return {
          severity: 'error',
          summary: `the GPU ${first.address} is bound to ${first.driver} instead of nvidia`,
          cause: openOne
            ? `${first.driver} was loaded before NVIDIA's driver, which happens while it is not kept out of the initrd`
            : 'another program or an administrator has given the GPU to this driver',
          remedy: openOne
            ? 'vgpu-guest apply keeps it out and says when a reboot is needed'
            : `find out who gives the GPU to ${first.driver} (a file in /etc/modprobe.d, driverctl list-overrides), take that back and reboot`,
          evidence: taken.map(({ address, driver }) =>
            evidence(`/sys/bus/pci/devices/${address}/driver`, driver ?? ''),
          ),
        };
      },
    },
    {
      id: 'ecc-differs',
      causes: [],
      judge({ gpu: { ecc } }, { smi }) {
        if (ecc === undefined || !smi.answers) return undefined;
        const wanted = ecc ? 'Enabled' : 'Disabled';
        const has = ({ ecc: setting = NO_ECC }: SmiGpu) => setting;
        // what is not there is as good as off
        const differing = smi.gpus.filter(
          seen => has(seen).current !== (has(seen).current === 'N/A' && !ecc ? 'N/A' : wanted),
        );
        const [first] = differing;
        if (!first) return undefined;
        const comes = differing.every(seen => has(seen).pending === wanted);
        return {
          severity: 'warning',
          summary: `ECC of the GPU ${first.address} is not as gpu.ecc asks`,
          cause: comes
            ? 'it is set, and counts from the next boot on; a host that does not allow it may keep it as it is'
            : has(first).current === 'N/A'
              ? 'the GPU may have none, or the host may have turned it off for its vGPUs'
              : 'it was not set since gpu.ecc was changed, or the host may not allow it',
          remedy: comes ? 'reboot' : 'vgpu-guest apply says what can be done',
          evidence: differing.map(seen =>
            evidence(
              'nvidia-smi -q -x',
              `${seen.address} ecc_mode: current ${has(seen).current}, pending ${has(seen).pending}`,
            ),
          ),
        };
      },
    },
    {
      id: 'on-the-host',
      causes: [],
      judge: (_config, { smi }) =>
        smi.answers && smi.gpus.some(({ mode }) => mode === 'host-vgpu' || mode === 'host-vsga')
          ? {
              severity: 'error',
              summary: 'this machine is a host that hands out vGPUs, not a guest',
              cause: 'the driver in memory is the vGPU Manager',
              remedy: 'run this program inside the virtual machine that has the vGPU',
              evidence: licenseEvidence(smi),
            }
          : undefined,
    },
  ],
});
