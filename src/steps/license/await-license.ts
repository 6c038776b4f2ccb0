import { blocked, due, settled, type Verdict } from '../../change.ts';
import { type Config, FEATURE_TYPES } from '../../config/schema.ts';
import type { SmiFact, SmiGpu, SmiLicense } from '../../facts/gpu/smi.ts';
import { asksForLicense, virtualization } from '../../facts/license/licensing.ts';
import { featureOfProduct } from '../../formats/gpu/nvidia-smi.ts';
import { defineStep } from '../step.ts';
import { bringDriver } from './missing-driver.ts';
import { restartGridd } from './restart-gridd.ts';

/** The proof: nvidia-smi, and nothing else, says whether the guest is licensed. */
export const awaitLicense = defineStep({
  id: 'await-license',
  title: 'Wait until the GPU is licensed',
  reads: ['smi', 'gpus', 'gridd', 'token', 'driver', 'system'],
  judge(config, facts, ahead) {
    const { smi, gpus, gridd } = facts;
    const wait = (because: string) => due({ kind: 'await-license', timeoutMs: config.license.timeoutMs, because });
    const asked = asksForLicense(config);
    // a vGPU needs its license even where the cloud brings it
    const needed = asked || virtualization({ smi, gpus }).mode === 'vgpu';
    if (['leave-nouveau', 'install-driver'].some(id => ahead.has(id))) {
      return needed ? wait('the driver is about to be installed') : settled('no license is asked for');
    }
    if (!smi.answers)
      return asked ? unanswered(config, smi, wait) : settled(`no license is asked for, and ${smi.problem}`);
    if (smi.gpus.some(({ mode }) => mode === 'host-vgpu' || mode === 'host-vsga')) return ON_THE_HOST;
    const kept = keptProduct(config, smi);
    if (kept !== undefined) {
      const because = `the driver keeps ${kept}, which was licensed before another feature was asked for, until the next boot`;
      return due({ kind: 'reboot', because });
    }
    if (needed && isAboutToRestart(config, facts, ahead)) return wait('nvidia-gridd is about to be restarted');

    const license = licenseOf(config, smi);
    if (license.state === 'licensed') return settled(`the guest is licensed: ${describe(license)}`);
    if (license.state === 'not-required') return settled(NOT_REQUIRED);
    if (asked && smi.gpus.length === 0) {
      return blocked(
        'a license is asked for, and nvidia-smi sees no GPU',
        'give the guest a vGPU, or look for NVRM in dmesg',
      );
    }
    if (!smi.gpus.some(hasSection)) {
      if (!gridd.binary) return dataCenterDriver(smi.driverVersion);
      return wait('a license is asked for, and nvidia-smi shows no license section yet');
    }
    return wait(
      `nvidia-smi says ${licensable(smi.gpus)
        .map(({ address, license: { raw } }) => `${raw || 'nothing'} (${address})`)
        .join(', ')}`,
    );
  },
});

/** A daemon that is only enabled keeps its license. */
function isAboutToRestart(config: Config, facts: Parameters<typeof restartGridd.judge>[1], ahead: ReadonlySet<string>) {
  if (!ahead.has(restartGridd.id)) return false;
  const verdict = restartGridd.judge(config, facts, ahead);
  return (
    verdict.is === 'due' && verdict.changes.some(change => change.kind === 'service' && change.action === 'restart')
  );
}

/** The license as the report and `status` show it; the GPU that stands worst decides. */
export interface License {
  readonly state: SmiLicense['state'];
  readonly product?: string;
  /** RFC 3339 UTC. */
  readonly expiresAt?: string;
}

/** How the guest is licensed, seen through what is asked for: without asking, pass-through needs no license. */
export function licenseOf(config: Config, smi: SmiFact): License {
  if (!smi.answers) return { state: 'unknown' };
  const licenses = licensable(smi.gpus).map(gpu => ({ ...gpu.license, state: stateOf(config, gpu) }));
  const [worst] = licenses.toSorted((one, other) => rank(one) - rank(other) || byExpiry(one, other));
  if (!worst || worst.state === 'not-required')
    return { state: asksForLicense(config) ? 'unlicensed' : 'not-required' };
  return {
    state: worst.state,
    ...(worst.product === undefined ? {} : { product: worst.product }),
    ...(worst.expiresAt === undefined ? {} : { expiresAt: worst.expiresAt }),
  };
}

/** `NVIDIA RTX Virtual Workstation until 2026-07-07T16:01:44Z` */
export function describe({ product, expiresAt }: License): string {
  return `${product ?? 'a product without a name'}${expiresAt === undefined ? '' : ` until ${expiresAt}`}`;
}

const NOT_REQUIRED = 'no license is asked for, and the GPU needs none (pass-through, or a driver without licensing)';

const ON_THE_HOST: Verdict = blocked(
  'nvidia-smi says that this is the host of vGPUs, and not a guest',
  'run vgpu-guest inside the virtual machine',
);

/** From the worst to the best. */
const STATES: readonly SmiLicense['state'][] = [
  'restricted',
  'unlicensed',
  'unknown',
  'grace',
  'licensed',
  'not-required',
];

type Licensable = SmiGpu & { readonly license: SmiLicense };

function hasSection(gpu: SmiGpu): gpu is Licensable {
  return gpu.license !== undefined;
}

/** Where one GPU has a licensing section, a vGPU without one is not licensed either. */
function licensable(gpus: readonly SmiGpu[]): readonly Licensable[] {
  if (!gpus.some(hasSection)) return [];
  return gpus.flatMap(gpu => (hasSection(gpu) ? [gpu] : gpu.mode === 'vgpu' ? [{ ...gpu, license: NO_SECTION }] : []));
}

const NO_SECTION: SmiLicense = { state: 'unknown', product: undefined, expiresAt: undefined, raw: '' };

/**
 * The product that the driver has enabled on a passed-through GPU instead of the one that is asked for: once licensed, it stays enabled
 * until the next boot, whatever nvidia-gridd does (nvidia-settings asks for a restart of the system then).
 */
function keptProduct({ license, gridd }: Config, smi: Extract<SmiFact, { answers: true }>): string | undefined {
  const type = license.feature === 'auto' ? gridd.FeatureType : String(FEATURE_TYPES[license.feature]);
  const asked = PASS_THROUGH_FEATURES.find(feature => String(FEATURE_TYPES[feature]) === type);
  if (asked === undefined) return undefined;
  const products = smi.gpus.flatMap(({ mode, license: said }) =>
    mode === 'pass-through' && said?.state === 'licensed' && said.product !== undefined ? [said.product] : [],
  );
  // FeatureType 0 licenses nothing that could stay
  return products.find(product => {
    const feature = featureOfProduct(product);
    return feature !== undefined && feature !== 'vapps' && feature !== asked;
  });
}

const PASS_THROUGH_FEATURES = ['vws', 'compute', 'vapps'] as const;

function stateOf(config: Config, { mode, license }: Licensable): SmiLicense['state'] {
  if (mode !== 'pass-through' && mode !== 'none') return license.state;
  if (hasApplicationsOnly(config, license)) return 'unlicensed';
  return license.state === 'licensed' || asksForLicense(config) ? license.state : 'not-required';
}

/** Whether the driver still shows on pass-through what FeatureType 0 stands for, although another feature is asked for. */
export function isWithoutFeature(config: Config, smi: SmiFact): boolean {
  const gpus = smi.answers ? smi.gpus.filter(hasSection) : [];
  return gpus.some(({ mode, license }) => mode === 'pass-through' && hasApplicationsOnly(config, license));
}

/** FeatureType 0 prints this, and so does a feature that the daemon refused: a license for nothing but published applications. */
function hasApplicationsOnly({ license: { feature } }: Config, { state, product }: SmiLicense): boolean {
  const applications = state === 'licensed' && featureOfProduct(product ?? '') === 'vapps';
  return applications && feature !== 'vapps' && feature !== 'auto';
}

function rank({ state }: SmiLicense): number {
  return STATES.indexOf(state);
}

/** The one that ends first decides; RFC 3339 of one zone sorts by its letters. */
function byExpiry(one: SmiLicense, other: SmiLicense): number {
  return (one.expiresAt ?? '~') < (other.expiresAt ?? '~') ? -1 : 1;
}

function unanswered(
  config: Config,
  { problem, code }: Extract<SmiFact, { answers: false }>,
  wait: (because: string) => Verdict,
): Verdict {
  if (code === TIMED_OUT) return wait(problem);
  if (code === 0) return blocked(`a license is asked for, and ${problem}`, LOOK_AT_ITS_ANSWER);
  return blocked(
    `a license is asked for, and ${problem}`,
    code === ABSENT
      ? bringDriver(config)
      : 'reboot the guest if the driver was just installed or upgraded; else look for NVRM in dmesg',
  );
}

const LOOK_AT_ITS_ANSWER = 'run nvidia-smi -q -x by hand and look at the end of its answer; then run this again';

/** Exit codes of a look; see `Outcome`. */
const TIMED_OUT = 124;
const ABSENT = 127;

function dataCenterDriver(version: string): Verdict {
  return blocked(
    `a license is asked for, and the driver ${version} is a data-center driver without licensing`,
    'set driver.package in /etc/vgpu-guest/config.yaml to the guest driver of the vGPU release (the -grid.run), or take license.token or license.server away',
  );
}
