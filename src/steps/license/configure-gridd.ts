import { closest, distance } from 'fastest-levenshtein';
import { blocked, due, settled, type Verdict, warned } from '../../change.ts';
import { type Config, FEATURE_TYPES } from '../../config/schema.ts';
import type { Facts } from '../../facts/facts.ts';
import { GRIDD_CONF } from '../../facts/license/gridd.ts';
import { asksForLicense, virtualization } from '../../facts/license/licensing.ts';
import { editGriddConf, markedKeys, namedKeys, readGriddConf } from '../../formats/license/gridd-conf.ts';
import { GRIDD_KEYS } from '../../formats/license/gridd-keys.ts';
import { defineStep } from '../step.ts';

/** Says in gridd.conf where the license comes from; it is edited in place, and what is not asked for stays as it is. */
export const configureGridd = defineStep({
  id: 'configure-gridd',
  title: 'Tell nvidia-gridd where the license comes from',
  reads: ['gridd', 'smi', 'gpus', 'driver', 'driverPackage', 'system'],
  judge(config, facts, ahead) {
    const { gridd, system } = facts;
    const refusal = refuseServer(config, facts) ?? refuseFeature(config, facts) ?? refuseDoubles(config);
    if (refusal) return refusal;
    if (!asksForLicense(config) && !gridd.binary && gridd.conf === undefined && !ahead.has('install-driver')) {
      return settled('no license is asked for, and the guest has no licensing daemon');
    }
    const wanted = wantedKeys(config);
    if (wanted.size === 0 && !gridd.conf) return settled('nothing is asked of gridd.conf, and there is none');

    const text = gridd.conf?.text ?? '';
    const wantedText = editGriddConf(
      text.trim() === '' && wanted.size > 0 ? (gridd.template ?? '') : text,
      wanted,
      gridd.template,
    );
    if (wantedText !== text && /[\0\uFFFD]/.test(text)) return NO_TEXT;
    const warnings = unknownKeys(config, gridd.template);
    const write = (because: string) =>
      warned(due({ kind: 'write', path: GRIDD_CONF, text: wantedText, because }), warnings);
    if (!gridd.conf) return write(`there is no ${GRIDD_CONF}, and ${reason(config)}`);
    if (wantedText !== text) return write(difference(config, text, wanted));
    if (gridd.conf.changedUs > system.nowUs) {
      return write('gridd.conf comes from the future, so that nobody can tell whether the daemon has read it');
    }
    const because = wanted.size === 0 ? 'nothing is asked of gridd.conf' : `gridd.conf says that ${reason(config)}`;
    return warned(settled(because), warnings);
  },
});

const NO_TEXT = blocked(
  `${GRIDD_CONF} holds bytes that are no UTF-8 text, and changing it would damage it`,
  `look at it (file ${GRIDD_CONF}), and convert it (iconv -f latin1 -t utf-8) or take what is no text out of it`,
);

const CONFIG_FILE = '/etc/vgpu-guest/config.yaml';
/** NVIDIA License System: tokens since vGPU 13. */
const FIRST_TOKEN_BRANCH = 470;
/** vGPU 15, whose release notes end the legacy license server; vGPU 14 (R510) was the last that could use it. */
const FIRST_BRANCH_WITHOUT_SERVER = 525;

type Reads = Pick<Facts, 'driver' | 'driverPackage' | 'smi' | 'gpus'>;

/** A key of gridd.conf, what it should be (undefined: what the template says), and the setting that decides. */
type Owned = readonly [key: string, value: string | undefined, setting: string];

function ownedKeys({ license: { feature, token, tokenDirectory, server } }: Config): readonly Owned[] {
  const owned: Owned[] = feature === 'auto' ? [] : [['FeatureType', String(FEATURE_TYPES[feature]), 'license.feature']];
  if (token !== undefined) {
    owned.push(['ClientConfigTokenPath', tokenDirectory, 'license.tokenDirectory']);
  } else if (server) {
    owned.push(['ClientConfigTokenPath', undefined, 'license.server']);
  } else {
    return owned;
  }
  const text = (value: string | number | undefined) => (value === undefined ? undefined : String(value));
  return [
    ...owned,
    ['ServerAddress', server?.address, server ? 'license.server.address' : 'license.token'],
    ['ServerPort', text(server?.port), server ? 'license.server.port' : 'license.token'],
    ['BackupServerAddress', server?.backupAddress, server ? 'license.server.backupAddress' : 'license.token'],
    ['BackupServerPort', text(server?.backupPort), server ? 'license.server.backupPort' : 'license.token'],
  ];
}

function wantedKeys(config: Config): ReadonlyMap<string, string | undefined> {
  return new Map([...ownedKeys(config).map(([key, value]) => [key, value] as const), ...Object.entries(config.gridd)]);
}

/** What was asked for once is named too: its line goes back to the template's. */
function difference(config: Config, text: string, wanted: ReadonlyMap<string, string | undefined>): string {
  const dropped = markedKeys(text).filter(key => wanted.get(key) === undefined);
  const said = readGriddConf(text);
  const isMissing = [...wanted].some(
    ([key, value]) => !dropped.includes(key) && (said.get(key) ?? '') !== (value ?? ''),
  );
  return [
    ...(isMissing || dropped.length === 0 ? [`gridd.conf does not say that ${reason(config)}`] : []),
    ...(dropped.length === 0 ? [] : [`gridd.conf has ${dropped.join(', ')}, for which nothing asks any more`]),
  ].join(', and ');
}

/** nvidia-gridd passes over what it does not know, so that nobody would notice. Names are case-sensitive. */
function unknownKeys({ gridd }: Config, template: string | undefined): readonly string[] {
  if (template === undefined) return [];
  const known = [...namedKeys(template), ...Object.keys(GRIDD_KEYS)];
  const unknown = Object.keys(gridd).filter(key => !known.includes(key) && gridd[key] !== '');
  return unknown.map(key => {
    const neighbor = closest(key, known);
    const hint = distance(key.toLowerCase(), neighbor.toLowerCase()) <= 2 ? `, did you mean ${neighbor}?` : '';
    return `gridd.${key}: the gridd.conf.template of this driver does not know this key, and nvidia-gridd may pass over it${hint}`;
  });
}

/** In the words of the settings that decide; a value of `gridd:` may be a secret, so only its name is said. */
function reason(config: Config): string {
  const { token, tokenDirectory, server, feature } = config.license;
  const others = Object.keys(config.gridd).filter(key => config.gridd[key] !== '');
  const leftOut = Object.keys(config.gridd).filter(key => config.gridd[key] === '');
  const parts = [
    ...(token === undefined ? [] : [`the token is in ${tokenDirectory}`]),
    ...(server ? [`the license comes from ${server.address}:${server.port}`] : []),
    ...(feature === 'auto' ? [] : [`FeatureType is ${FEATURE_TYPES[feature]} (${feature})`]),
    ...(others.length === 0 ? [] : [`${others.join(', ')} ${others.length === 1 ? 'is' : 'are'} as configured`]),
    ...(leftOut.length === 0 ? [] : [`${leftOut.join(', ')} ${leftOut.length === 1 ? 'is' : 'are'} left out`]),
  ];
  return parts.join(' and ');
}

function refuseServer({ license }: Config, facts: Reads): Verdict | undefined {
  const version = comingVersion(facts);
  const branch = Number.parseInt(version ?? '', 10);
  if (license.token !== undefined && branch < FIRST_TOKEN_BRANCH) {
    return blocked(
      `the driver ${version} knows no client configuration token: R${FIRST_TOKEN_BRANCH} is the first that does`,
      `set driver.package in ${CONFIG_FILE} to a guest driver of R${FIRST_TOKEN_BRANCH} or later, or license.server instead of license.token`,
    );
  }
  if (license.server && branch >= FIRST_BRANCH_WITHOUT_SERVER) {
    return blocked(
      `the driver ${version} cannot use a legacy license server: R510 was the last that could`,
      `set license.token in ${CONFIG_FILE} to a client configuration token (CLS or DLS) and take license.server away`,
    );
  }
  return undefined;
}

/** The version that will run: that of the package, else what the next boot loads, else what is loaded. */
function comingVersion({ driver, driverPackage, smi }: Reads): string | undefined {
  if (driverPackage.is === 'present') return driverPackage.version;
  return driver.onDisk ?? driver.loaded ?? (smi.answers ? smi.driverVersion : undefined);
}

/** A vGPU's profile decides by itself; on pass-through only the operator can know which license is meant. */
function refuseFeature(config: Config, facts: Reads): Verdict | undefined {
  if (!asksForLicense(config) || config.license.feature !== 'auto' || config.gridd.FeatureType !== undefined)
    return undefined;
  const { mode, evidence } = virtualization(facts);
  if (mode !== 'pass-through') return undefined;
  return blocked(
    `the GPU is passed through (${evidence}), and nothing says which license it needs`,
    `set license.feature in ${CONFIG_FILE} to vws (graphics), compute or vapps; to vgpu if it is a vGPU after all`,
  );
}

function refuseDoubles(config: Config): Verdict | undefined {
  const double = ownedKeys(config).find(([key]) => Object.hasOwn(config.gridd, key));
  if (!double) return undefined;
  const [key, , setting] = double;
  return blocked(
    `gridd.${key} and ${setting} both decide about ${key}`,
    `take gridd.${key} or ${setting} out of ${CONFIG_FILE}`,
  );
}
