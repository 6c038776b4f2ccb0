import type { Config } from '../config/schema.ts';
import type { Facts } from '../facts/facts.ts';
import { GRIDD_CONF } from '../facts/license/gridd.ts';
import { asksForLicense, virtualization } from '../facts/license/licensing.ts';
import { readGriddConf } from '../formats/license/gridd-conf.ts';
import { faultOfGriddValue, GRIDD_KEYS } from '../formats/license/gridd-keys.ts';
import { defineSubject, evidence, type Found, seen } from './check.ts';
import {
  branchOf,
  confEvidence,
  confValue,
  gravity,
  isLicensed,
  logEvidence,
  needsLicense,
  standing,
  versionEvidence,
} from './situation.ts';

/** NVIDIA License System: tokens since vGPU 13. */
const FIRST_TOKEN_BRANCH = 470;
/** vGPU 15, whose release notes end the legacy license server. */
const FIRST_BRANCH_WITHOUT_SERVER = 525;
const CONFIG_FILE = '/etc/vgpu-guest/config.yaml';

/** gridd.conf, and whether this driver can do what it says. */
export const griddConf = defineSubject({
  id: 'gridd-conf',
  title: 'gridd.conf',
  reads: ['gridd', 'driver', 'smi', 'gpus', 'tokenFiles', 'griddLog'],
  saw(_config, { gridd }) {
    if (!gridd.conf) return seen('there is none, so every key has its default');
    const keys = ['ServerAddress', 'FeatureType', 'ClientConfigTokenPath', 'IgnoreSP'];
    const set = keys.flatMap(key => {
      const value = confValue(gridd, key);
      return value === undefined ? [] : [`${key}=${value}`];
    });
    return seen(set.length === 0 ? 'every key of the license has its default' : set.join(', '));
  },
  checks: [
    {
      id: 'server-unsupported',
      causes: [24],
      judge({ license: { server } }, facts): Found | undefined {
        const branch = branchOf(facts) ?? 0;
        const usable = facts.tokenFiles.files.some(({ inspection }) => inspection.is === 'token');
        const isNamed = confValue(facts.gridd, 'ServerAddress') !== undefined && !usable;
        if (branch < FIRST_BRANCH_WITHOUT_SERVER || !(server || isNamed)) return undefined;
        return {
          severity: gravity(facts.smi),
          summary: `${isNamed ? 'gridd.conf' : 'license.server'} names a legacy license server, which a driver of R${branch} cannot use`,
          cause: 'the legacy license server ended with R510 (vGPU 14); since R525 the license comes by a token',
          remedy: `get a client configuration token of CLS or DLS, set license.token in ${CONFIG_FILE} to it instead of license.server, and run vgpu-guest apply`,
          evidence: [
            ...(server ? [evidence(CONFIG_FILE, `license.server.address: ${server.address}`)] : []),
            ...confEvidence(facts.gridd, 'ServerAddress', 'ServerPort'),
            ...versionEvidence(facts),
          ],
        };
      },
    },
    {
      id: 'token-unsupported',
      causes: [25],
      judge(config, facts): Found | undefined {
        const branch = branchOf(facts);
        const { files } = facts.tokenFiles;
        const given = files.length > 0 || config.license.token !== undefined;
        if (branch === undefined || branch >= FIRST_TOKEN_BRANCH || !given) return undefined;
        return {
          severity: gravity(facts.smi),
          summary: `a token is given, and a driver of R${branch} knows no tokens`,
          cause: 'client configuration tokens came with R470 (vGPU 13)',
          remedy: `set driver.package in ${CONFIG_FILE} to a guest driver of R470 or later that the host accepts, or license.server instead of license.token; then run vgpu-guest apply`,
          evidence: [
            ...files.map(({ path }) => evidence(path, 'a file in the token directory')),
            ...versionEvidence(facts),
          ],
        };
      },
    },
    {
      id: 'source-missing',
      causes: [1],
      judge(config, facts): Found | undefined {
        const branch = branchOf(facts) ?? FIRST_TOKEN_BRANCH;
        const isNamed = confValue(facts.gridd, 'ServerAddress') !== undefined;
        if (branch >= FIRST_TOKEN_BRANCH || isNamed || isLicensed(facts.smi) || !needsLicense(config, facts))
          return undefined;
        return {
          severity: 'error',
          summary: 'gridd.conf names no license server',
          cause: `ServerAddress is empty or not set, and a driver of R${branch} gets its license from a legacy server only`,
          remedy: `set license.server in ${CONFIG_FILE} to the address of the license server, and run vgpu-guest apply`,
          evidence: [
            ...confEvidence(facts.gridd, 'ServerAddress'),
            ...versionEvidence(facts),
            ...logEvidence(facts.griddLog, standing(facts.griddLog)),
          ],
        };
      },
    },
    {
      id: 'both-worlds',
      causes: [27],
      judge(_config, facts): Found | undefined {
        const branch = branchOf(facts) ?? 0;
        const { files } = facts.tokenFiles;
        const servers = confEvidence(facts.gridd, 'ServerAddress', 'BackupServerAddress');
        if (branch < FIRST_TOKEN_BRANCH || branch >= FIRST_BRANCH_WITHOUT_SERVER) return undefined;
        if (files.length === 0 || !confValue(facts.gridd, 'ServerAddress')) return undefined;
        return {
          severity: 'warning',
          summary: 'gridd.conf names a legacy license server, and there is a token as well',
          cause: `a driver of R${branch} knows both worlds and may try both, so that errors of the one stand in the log of the other`,
          remedy: `keep license.token or license.server in ${CONFIG_FILE}, and run vgpu-guest apply: it takes the other world's keys out of gridd.conf`,
          evidence: [...servers, ...files.map(({ path }) => evidence(path, 'a file in the token directory'))],
        };
      },
    },
    {
      id: 'gridd-conf-value',
      causes: [],
      judge(_config, { gridd }): Found | undefined {
        const faults = [...readGriddConf(gridd.conf?.text ?? '')].flatMap(([key, value]) => faultOf(key, value));
        if (faults.length === 0) return undefined;
        const keys = faults.map(({ key }) => key);
        return {
          severity: 'warning',
          summary: `gridd.conf has what nvidia-gridd may not take: ${keys.join(', ')}`,
          cause: faults.map(({ because }) => because).join('; '),
          remedy: `correct ${keys.length === 1 ? 'the line' : 'these lines'} in ${GRIDD_CONF}, or set the key under gridd: in ${CONFIG_FILE} and run vgpu-guest apply; text after a value is part of it, also after #`,
          evidence: confEvidence(gridd, ...keys),
        };
      },
    },
    {
      id: 'feature-type',
      causes: [21],
      judge(config, facts): Found | undefined {
        const { gridd, griddLog } = facts;
        const refused = standing(griddLog, 'feature-type');
        const value = confValue(gridd, 'FeatureType') ?? '';
        const isLegal = ['', '0', '1', '2', '4'].includes(value) && !confEvidence(gridd, 'FeatureType').some(isQuoted);
        const found = virtualization(facts);
        if (refused.length === 0 && isLegal) return nobodySays(config, facts);
        return {
          severity: refused.length > 0 ? gravity(facts.smi) : 'warning',
          summary:
            refused.length > 0
              ? `nvidia-gridd refuses FeatureType ${value || '(not set)'} on this GPU`
              : 'FeatureType in gridd.conf has a value that is none: 0, 1, 2 and 4 are, without quotes',
          cause:
            found.mode === 'pass-through'
              ? `on pass-through FeatureType decides which license is asked for: 2 for a workstation, 4 for compute (${found.evidence})`
              : `the value does not fit a GPU in mode ${found.mode} (${found.evidence}); on a vGPU its profile decides, and the key is not needed`,
          remedy: `set license.feature in ${CONFIG_FILE} to ${found.mode === 'pass-through' ? 'vws or compute' : 'auto, and take FeatureType out of gridd.conf'}, and run vgpu-guest apply; after a change on pass-through, reboot`,
          evidence: [...confEvidence(gridd, 'FeatureType'), ...logEvidence(griddLog, refused)],
        };
      },
    },
    {
      id: 'gridd-conf-no-text',
      causes: [],
      judge: (_config, { gridd }) =>
        isText(gridd.conf?.text)
          ? undefined
          : {
              severity: 'warning',
              summary: 'gridd.conf holds bytes that are no UTF-8 text',
              cause:
                'it was written in another encoding, or damaged; vgpu-guest apply changes nothing in it before that is mended',
              remedy: `look at it (file ${GRIDD_CONF}), and convert it (iconv -f latin1 -t utf-8) or take what is no text out of it`,
              evidence: [evidence(GRIDD_CONF, 'bytes that are no UTF-8 text')],
            },
    },
  ],
});

function isText(text: string | undefined): boolean {
  return text === undefined || !/[\0\uFFFD]/.test(text);
}

/** FeatureType has a check of its own. */
function faultOf(key: string, value: string): readonly { readonly key: string; readonly because: string }[] {
  if (key === 'FeatureType') return [];
  const meant = Object.keys(GRIDD_KEYS).find(known => known.toLowerCase() === key.toLowerCase());
  if (meant === undefined) return [];
  if (meant !== key) return [{ key, because: `names are case-sensitive, and the one that counts is ${meant}` }];
  const fault = faultOfGriddValue(key, value);
  return fault === undefined ? [] : [{ key, because: `${key}: ${fault}` }];
}

/** On pass-through apply goes no further without it. */
function nobodySays(config: Config, { smi, gpus, gridd }: Pick<Facts, 'smi' | 'gpus' | 'gridd'>): Found | undefined {
  const { mode, evidence: shows } = virtualization({ smi, gpus });
  const isSaid = config.license.feature !== 'auto' || config.gridd.FeatureType !== undefined;
  if (mode !== 'pass-through' || isSaid || !asksForLicense(config)) return undefined;
  return {
    severity: gravity(smi),
    summary: 'the GPU is passed through, and the configuration does not say which license it needs',
    cause: 'on pass-through FeatureType decides which license is asked for, and only the operator can know it',
    remedy: `set license.feature in ${CONFIG_FILE} to vws (graphics), compute or vapps, and run vgpu-guest apply`,
    evidence: [evidence('virtualization mode', shows), ...confEvidence(gridd, 'FeatureType')],
  };
}

/** The daemon compares the bare text with `2` and `4`. */
function isQuoted({ shows }: { readonly shows: string }): boolean {
  return shows.includes('"');
}
