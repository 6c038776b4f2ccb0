import type { SmiGpu } from '../facts/gpu/smi.ts';
import { virtualization } from '../facts/license/licensing.ts';
import { defineSubject, type Found, seen, unknown } from './check.ts';
import {
  confEvidence,
  confValue,
  isLicensed,
  licenseEvidence,
  logEvidence,
  needsLicense,
  standing,
} from './situation.ts';

/** vGPU or pass-through, and which license that takes. */
export const mode = defineSubject({
  id: 'mode',
  title: 'virtualization mode',
  reads: ['smi', 'gpus', 'gridd', 'griddLog', 'tokenFiles'],
  saw(_config, facts) {
    const found = virtualization(facts);
    if (found.mode === 'unknown') return unknown(found.evidence);
    const profiles = profilesOf(facts.smi.answers ? facts.smi.gpus : []);
    const series = profiles.map(({ name, letter }) => `, ${name}: ${letter} series`).join('');
    return seen(`${found.mode} (${found.evidence})${series}`);
  },
  checks: [
    {
      id: 'profile-needs-license',
      causes: [8],
      judge(config, facts): Found | undefined {
        const { smi, griddLog } = facts;
        if (!smi.answers || isLicensed(smi) || !needsLicense(config, facts)) return undefined;
        const vgpus = smi.gpus.filter(gpu => gpu.mode === 'vgpu');
        const [profile] = profilesOf(vgpus);
        if (!profile) return undefined;
        const refused = standing(griddLog, 'no-product');
        return {
          // that somebody has bought another license is not seen; the refusal itself stands in a finding of its own
          severity: refused.length > 0 ? 'warning' : 'info',
          summary: `the profile ${profile.name} is of the ${profile.letter} series, which needs ${LICENSES[profile.letter]}`,
          cause: `on a vGPU the profile decides which license is asked for, whatever FeatureType says${refused.length > 0 ? '; the license server has none of it' : ''}`,
          remedy:
            'assign that license to the license server in the licensing portal, or give this guest a vGPU of the series whose license you own (a new profile on the host, and a start of the guest)',
          evidence: [...licenseEvidence(smi), ...logEvidence(griddLog, refused)],
        };
      },
    },
    {
      id: 'vapps-license',
      causes: [22],
      judge(config, { smi, gridd }): Found | undefined {
        const published = passedThrough(smi).filter(({ license }) => isApplications(license?.product));
        const featureType = confValue(gridd, 'FeatureType') ?? '0';
        const isMeant = config.license.feature === 'vapps' || config.gridd.FeatureType === '0';
        if (published.length === 0 || featureType !== '0' || isMeant) return undefined;
        return {
          severity: 'warning',
          summary:
            'the GPU is passed through and has the license for published applications, not one for a workstation',
          cause: 'FeatureType is 0 or not set in gridd.conf, and on pass-through FeatureType decides',
          remedy:
            'set license.feature in /etc/vgpu-guest/config.yaml to vws or compute, with license.token, run vgpu-guest apply and reboot; to vapps if this license is meant',
          evidence: [...licenseEvidence(smi), ...confEvidence(gridd, 'FeatureType', 'IgnoreSP')],
        };
      },
    },
    {
      id: 'feature-needs-reboot',
      causes: [23],
      judge(_config, { smi, gridd }): Found | undefined {
        const featureType = confValue(gridd, 'FeatureType') ?? '';
        const expected = PRODUCTS[featureType];
        const other = passedThrough(smi).find(
          ({ license }) =>
            license?.state === 'licensed' && license.product && expected && !expected.test(license.product),
        );
        if (!other) return undefined;
        return {
          severity: 'warning',
          summary: `gridd.conf asks for FeatureType ${featureType}, and the license is one for ${other.license?.product}`,
          cause:
            'the driver keeps the feature that was licensed first until the next boot; FeatureType may have been changed since',
          remedy: 'reboot the guest',
          evidence: [...confEvidence(gridd, 'FeatureType'), ...licenseEvidence(smi)],
        };
      },
    },
  ],
});

type Letter = keyof typeof LICENSES;

/** Which license a vGPU's series needs, by the letter at the end of its profile. */
const LICENSES = {
  Q: 'NVIDIA RTX Virtual Workstation (vWS)',
  B: 'NVIDIA Virtual PC (vPC) or NVIDIA RTX Virtual Workstation (vWS)',
  A: 'NVIDIA Virtual Applications (vApps)',
  C: 'NVIDIA Virtual Compute Server, which is NVIDIA vGPU for Compute of NVIDIA AI Enterprise by now',
} as const;

/** Words in the names of the products that FeatureType 2 and 4 bring on pass-through; any other value promises none. */
const PRODUCTS: Readonly<Record<string, RegExp>> = { 2: /Workstation/i, 4: /Comput/i };

/** `NVIDIA A10-4Q`, `GRID T4-16Q`, `NVIDIA A100-1-5CME` */
function profilesOf(gpus: readonly SmiGpu[]): readonly { readonly name: string; readonly letter: Letter }[] {
  return gpus.flatMap(({ name }) => {
    const letter = /-\d+([ABCQ])(?:ME)?$/.exec(name)?.[1];
    return letter ? [{ name, letter: letter as Letter }] : [];
  });
}

function passedThrough(smi: Parameters<typeof isLicensed>[0]): readonly SmiGpu[] {
  return smi.answers ? smi.gpus.filter(gpu => gpu.mode === 'pass-through' && gpu.license?.state === 'licensed') : [];
}

function isApplications(product: string | undefined): boolean {
  return /Virtual Applications/.test(product ?? '');
}
