import type { Facts } from '../facts/facts.ts';
import { defineSubject, type Evidence, evidence, type Found, seen, unknown } from './check.ts';

const SAME_RELEASE =
  "install the guest driver (-grid.run) of the vGPU release that the host runs: set driver.package to it and run vgpu-guest apply; the host's administrator knows the release (nvidia-smi on the host shows the version), and a guest must not be newer than its host";

/** What the kernel said of the driver, and what the guest's security denied. */
export const kernel = defineSubject({
  id: 'kernel',
  title: "the kernel's log",
  reads: ['kernelLog', 'smi', 'gpus'],
  saw(_config, { kernelLog }) {
    if (kernelLog.is === 'unknown') return unknown(kernelLog.because);
    const denied = kernelLog.denials.length === 0 ? 'none' : String(kernelLog.denials.length);
    return seen(
      `${kernelLog.driver.length} lines of the driver, ${denied} about a denied nvidia-gridd (${kernelLog.from})`,
    );
  },
  checks: [
    {
      id: 'host-incompatible',
      causes: [15, 16],
      judge: (_config, facts) =>
        said(facts, HOST_INCOMPATIBLE, {
          summary: 'the driver of this guest and that of the host do not work together',
          cause: 'the guest driver is of another vGPU release than those that the host accepts',
          remedy: SAME_RELEASE,
        }),
    },
    {
      id: 'vgpu-type-unknown',
      causes: [17],
      judge: (_config, facts) =>
        said(facts, /vGPU type is not supported/, {
          summary: 'the guest driver does not support this type of vGPU',
          cause: 'the vGPU type on the host is newer than the guest driver',
          remedy: `${SAME_RELEASE}; or give the guest a vGPU of another profile on the host`,
        }),
    },
    {
      id: 'open-modules-unsupported',
      causes: [18],
      judge: (_config, facts) =>
        said(facts, /not supported by open|does not include the required GPU/, {
          summary: 'the open kernel modules are installed, and they do not support this GPU',
          cause:
            'the driver was installed with its open kernel modules, and this GPU or vGPU needs the proprietary ones',
          remedy:
            'set driver.kernelModules to proprietary in /etc/vgpu-guest/config.yaml, then vgpu-guest revert --driver, and vgpu-guest apply',
        }),
    },
    {
      id: 'vgpu-and-pass-through',
      causes: [19],
      judge(_config, facts): Found | undefined {
        const words = {
          summary: 'the guest has a vGPU and a passed-through GPU, which the driver does not support together',
          cause: 'both were assigned to this guest on the host',
          remedy: 'take one of the two away from this guest on the host, and start it again',
        };
        const spoken = said(facts, /vGPU and Passthrough not supported simultaneously/i, words);
        const modes = new Set(facts.gpus.map(({ mode }) => mode));
        if (spoken || !(modes.has('vgpu') && modes.has('pass-through'))) return spoken;
        const shown = facts.gpus.map(({ address, mode }) =>
          evidence(`/sys/bus/pci/devices/${address}/config`, mode === 'vgpu' ? 'that of a vGPU' : 'not that of a vGPU'),
        );
        return { ...words, severity: 'warning', evidence: shown };
      },
    },
    {
      id: 'adapter-fails',
      causes: [15],
      judge(_config, facts) {
        // the reason stands in another line, and another check names it
        const { kernelLog } = facts;
        const named = kernelLog.is === 'read' && kernelLog.driver.some(line => NAMED.test(line));
        if (named || isWhole(facts)) return undefined;
        return said(facts, /RmInitAdapter failed/, {
          summary: 'the driver cannot start the GPU',
          cause: 'the guest driver may be outside of the range that the host accepts, or the GPU does not answer',
          remedy: SAME_RELEASE,
        });
      },
    },
    {
      id: 'access-denied',
      causes: [36],
      judge(_config, { kernelLog }) {
        if (kernelLog.is === 'unknown' || kernelLog.denials.length === 0) return undefined;
        const who = /\bcomm="([^"]+)"/.exec(kernelLog.denials.at(-1) ?? '')?.[1] ?? 'a program';
        return {
          severity: 'warning',
          summary: `the security of this guest has denied ${who} an access`,
          cause:
            'a file that it needs may have the label of another place, or its folder is none that the policy knows',
          remedy: who === 'nvidia-gridd' ? LABELS_OF_GRIDD : LABELS,
          evidence: kernelLog.denials
            .slice(-3)
            .map(line => evidence(`${kernelLog.from}, /var/log/audit/audit.log`, line)),
        };
      },
    },
  ],
});

const LABELS_OF_GRIDD =
  'restorecon -Rv /etc/nvidia /var/lib/nvidia (SELinux), or aa-status and the profile that is named (AppArmor); keep the token in /etc/nvidia/ClientConfigToken; then systemctl restart nvidia-gridd';
const LABELS =
  'restorecon -v on the file that is named (SELinux; ausearch -m avc -ts boot | audit2why says which rule), or aa-status and the profile that is named (AppArmor)';

/** Texts of the driver's Xid 78, of the guest's and of the host's side of it. */
const HOST_INCOMPATIBLE =
  /Guest driver is incompatible with host driver|Incompatible Guest\/Host drivers|(?:Guest|Host) VGX version is|The host version \S+ is too old/;
const NAMED = new RegExp(`${HOST_INCOMPATIBLE.source}|vGPU type is not supported|not supported by open`);

type Seen = Pick<Facts, 'kernelLog' | 'smi' | 'gpus'>;

/** A line of this boot may be over by now: where nvidia-smi sees every GPU, it is only a warning. */
function said(facts: Seen, pattern: RegExp, words: Pick<Found, 'summary' | 'cause' | 'remedy'>): Found | undefined {
  const lines = linesWith(facts.kernelLog, pattern);
  if (lines.length === 0) return undefined;
  return { severity: isWhole(facts) ? 'warning' : 'error', ...words, evidence: lines };
}

function isWhole({ smi, gpus }: Seen): boolean {
  return smi.answers && smi.gpus.length > 0 && smi.gpus.length >= gpus.length;
}

/** The driver breaks its sentences into lines, so the one before and the one after belong to it. */
function linesWith(log: Facts['kernelLog'], pattern: RegExp): readonly Evidence[] {
  if (log.is === 'unknown') return [];
  const at = log.driver.findLastIndex(line => pattern.test(line));
  return at < 0 ? [] : log.driver.slice(Math.max(at - 1, 0), at + 2).map(line => evidence(log.from, line));
}
