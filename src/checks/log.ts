import type { Facts } from '../facts/facts.ts';
import { virtualization } from '../facts/license/licensing.ts';
import type { GriddSign } from '../formats/license/license-log.ts';
import { timeOf } from '../formats/time.ts';
import { defineSubject, type Evidence, evidence, type Found, seen, unknown } from './check.ts';
import { confEvidence, gravity, licenseEvidence, logEvidence, standing, unitEvidence } from './situation.ts';

/** What nvidia-gridd has said since it was started last. */
export const log = defineSubject({
  id: 'log',
  title: "nvidia-gridd's log",
  reads: ['griddLog', 'smi', 'gpus', 'gridd', 'network'],
  saw(_config, { griddLog }) {
    if (griddLog.is === 'unknown') return unknown(griddLog.because);
    const last = griddLog.said.findLast(({ kind }) => kind !== 'noise') ?? griddLog.said.at(-1);
    if (!last) return seen(`nothing in this boot (${griddLog.from})`);
    const time = last.atUs === undefined ? '' : `${timeOf(last.atUs)} `;
    return seen(`${griddLog.said.length} lines since its start, the last that matters: ${time}${last.message}`);
  },
  checks: [
    {
      id: 'product-not-on-server',
      causes: [6],
      judge: (_config, facts) =>
        heard(facts, 'no-product', line => !LEGACY.test(line), {
          summary: 'the license server has no license of the product that this guest asks for',
          cause:
            'no license of that product is bound to this license server, or the vGPU has another profile than was meant',
          remedy:
            'assign licenses of the product that this line names to the license server and to its CLS or DLS instance in the licensing portal, or give this guest a vGPU of another profile on the host',
          more: ({ smi }) => licenseEvidence(smi),
        }),
    },
    {
      id: 'feature-not-on-server',
      causes: [7],
      judge: (_config, facts) =>
        heard(facts, 'no-product', line => LEGACY.test(line), {
          summary: 'the legacy license server does not have the feature that this guest asks for',
          cause:
            virtualization(facts).mode === 'vgpu'
              ? 'no license of the feature that the profile of the vGPU needs is installed there'
              : 'FeatureType asks for a feature whose license is not installed there',
          remedy:
            'install a license of that feature on the license server; on pass-through, or set license.feature to one that it has and run vgpu-guest apply',
          more: ({ smi, gridd }) => [...licenseEvidence(smi), ...confEvidence(gridd, 'FeatureType', 'ServerAddress')],
        }),
    },
    {
      id: 'licenses-exhausted',
      causes: [31],
      judge: (_config, facts) =>
        heard(facts, 'exhausted', () => true, {
          summary: 'all licenses of that product are in use',
          cause: 'as many guests have one as there are; guests that were killed keep theirs until it expires',
          remedy:
            'free licenses on the license server, add some, or wait until old ones expire (vgpu-guest license wait); shut guests down instead of killing them, so that they give theirs back',
        }),
    },
    {
      id: 'identity-too-large',
      causes: [9],
      judge: (_config, facts) =>
        heard(facts, 'identity-too-large', () => true, {
          summary: 'nvidia-gridd cannot keep or send the identity of this guest: it is too large',
          cause: `the guest may have too many network interfaces or addresses (${countOf(facts)})`,
          remedy:
            'take away interfaces that the guest does not need, let nvidia-gridd start before whatever makes them (containers, a CNI), or run it in a network namespace of its own; then systemctl restart nvidia-gridd',
          more: ({ network }) => [evidence('/sys/class/net', `${countOf({ network })}: ${namesOf(network)}`)],
        }),
    },
    {
      id: 'fingerprint-mismatch',
      causes: [10],
      judge: (_config, facts) =>
        heard(facts, 'other-fingerprint', () => true, {
          summary: 'this guest has other MAC addresses than the one whose license was kept',
          cause: 'a network interface was added or changed, MAC addresses are random, or the guest is a clone',
          remedy:
            'give the guest MAC addresses that stay; with its license server in reach it registers anew by itself (vgpu-guest license wait), and a license that was made for an offline guest must be made again',
          more: ({ network }) =>
            network.interfaces
              .filter(({ device }) => device)
              .slice(0, 5)
              .map(({ name, mac }) => evidence(`/sys/class/net/${name}/address`, mac)),
        }),
    },
    {
      id: 'licenses-mismatch',
      causes: [11],
      judge(_config, { griddLog }): Found | undefined {
        const lines = griddLog.is === 'read' ? griddLog.said.filter(({ sign }) => sign === 'held-elsewhere') : [];
        if (griddLog.is === 'unknown' || lines.length < 2) return undefined;
        return {
          severity: 'warning',
          summary: `guest and license server have disagreed ${lines.length} times about the license that the guest holds`,
          cause:
            'another guest may be a clone of this one, with the same identity, or the license server was restored or replaced',
          remedy:
            'give each clone its own MAC address and machine-id; then systemctl stop nvidia-gridd, move /var/lib/nvidia/GridLicensing away, systemctl start nvidia-gridd (in a golden image before it is cloned)',
          evidence: lines
            .slice(-3)
            .map(({ atUs, message }) => evidence(griddLog.from, `${atUs ? `${timeOf(atUs)} ` : ''}${message}`)),
        };
      },
    },
    {
      id: 'gpu-not-licensable',
      causes: [12],
      judge: (_config, facts) =>
        heard(facts, 'no-licensable-gpu', () => true, {
          summary: 'nvidia-gridd finds no GPU in this guest that can be licensed',
          cause: 'no vGPU is assigned to it, its GPU is one that takes no license, or the driver had not taken it yet',
          remedy:
            'assign a vGPU to this guest on the host; for a GPU that needs no license take license.token or license.server out of /etc/vgpu-guest/config.yaml; if the GPU is right: systemctl restart nvidia-gridd',
          more: ({ smi, gridd }) => [unitEvidence(gridd), ...licenseEvidence(smi)],
        }),
    },
    {
      id: 'license-refused',
      causes: [],
      judge(_config, facts): Found | undefined {
        const { griddLog } = facts;
        const all = standing(griddLog);
        const lines = all.filter(({ sign }) => sign === 'refused' || sign === 'unknown');
        // a line with a reason says more
        if (lines.length === 0 || all.some(({ sign }) => sign !== undefined && !VAGUE.includes(sign))) return undefined;
        return {
          severity: gravity(facts.smi),
          summary: 'nvidia-gridd gets no license, for a reason that this program does not know',
          cause: 'the line of its log is all that is known',
          remedy: 'look for the line in the log of the license server (CLS or DLS event page), and give both to NVIDIA',
          evidence: logEvidence(griddLog, lines),
        };
      },
    },
  ],
});

/** The legacy server's words; a license of the NLS is refused with others. */
const LEGACY = /feature was not found|7000000B/i;
const VAGUE: readonly GriddSign[] = ['refused', 'unknown', 'restricted'];

type Seen = Pick<Facts, 'griddLog' | 'smi' | 'gpus' | 'gridd' | 'network'>;

interface Words extends Pick<Found, 'summary' | 'cause' | 'remedy'> {
  readonly more?: (facts: Seen) => readonly Evidence[];
}

function heard(
  facts: Seen,
  sign: GriddSign,
  fits: (message: string) => boolean,
  { more, ...words }: Words,
): Found | undefined {
  const lines = standing(facts.griddLog, sign).filter(({ message }) => fits(message));
  if (lines.length === 0) return undefined;
  return {
    severity: gravity(facts.smi),
    ...words,
    evidence: [...logEvidence(facts.griddLog, lines), ...(more?.(facts) ?? [])],
  };
}

function countOf({ network: { interfaces } }: Pick<Facts, 'network'>): string {
  const made = interfaces.filter(({ device }) => !device).length;
  return `${interfaces.length} interfaces, ${made} of them made by software`;
}

function namesOf({ interfaces }: Facts['network']): string {
  const names = interfaces.map(({ name }) => name);
  return names.length > 12 ? `${names.slice(0, 12).join(' ')} …` : names.join(' ');
}
