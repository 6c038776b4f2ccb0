import type { Config } from '../config/schema.ts';
import type { Facts } from '../facts/facts.ts';
import { GRIDD_CONF } from '../facts/license/gridd.ts';
import type { GriddSaid } from '../facts/license/gridd-log.ts';
import { asksForLicense, virtualization } from '../facts/license/licensing.ts';
import { featureOfProduct } from '../formats/gpu/nvidia-smi.ts';
import { readGriddConf } from '../formats/license/gridd-conf.ts';
import type { GriddSign } from '../formats/license/license-log.ts';
import { judgeDates, type TokenClaims } from '../formats/license/token.ts';
import { nameOfSignal } from '../formats/signals.ts';
import { timeOf } from '../formats/time.ts';
import { type Evidence, evidence, type Found } from './check.ts';

/** Whether this guest is to be licensed at all: by its configuration, by its vGPU, or by what somebody has put in place by hand. */
export function needsLicense(config: Config, facts: Pick<Facts, 'smi' | 'gpus' | 'gridd' | 'tokenFiles'>): boolean {
  if (asksForLicense(config) || virtualization(facts).mode === 'vgpu') return true;
  return facts.tokenFiles.files.length > 0 || confValue(facts.gridd, 'ServerAddress') !== undefined;
}

/** Every GPU with a licensing section has a license, by the words of nvidia-smi. */
export function isLicensed(smi: Facts['smi']): boolean {
  const states = smi.answers ? smi.gpus.flatMap(({ license }) => (license ? [license.state] : [])) : [];
  return states.includes('licensed') && states.every(state => state === 'licensed' || state === 'not-required');
}

/** What stands in the way of a license is a warning as long as the guest still has one. */
export function gravity(smi: Facts['smi']): Found['severity'] {
  return isLicensed(smi) && !hasNoneOfItsOwn(smi) ? 'warning' : 'error';
}

/** What the driver shows on pass-through where nothing has been licensed: published applications, without an end. */
function hasNoneOfItsOwn(smi: Facts['smi']): boolean {
  const gpus = smi.answers ? smi.gpus.filter(({ mode }) => mode === 'pass-through') : [];
  return gpus.some(
    ({ license }) => featureOfProduct(license?.product ?? '') === 'vapps' && /Expiry: N\/A/.test(license?.raw ?? ''),
  );
}

/** Somebody has to renew it. */
export function hasEnd(smi: Facts['smi']): boolean {
  return smi.answers && smi.gpus.some(({ license }) => license?.expiresAt !== undefined);
}

/** 570 of 570.211.01; undefined: no driver is known. */
export function branchOf({ driver, smi }: Pick<Facts, 'driver' | 'smi'>): number | undefined {
  const version = driver.loaded ?? (smi.answers ? smi.driverVersion : undefined) ?? driver.onDisk;
  const branch = Number.parseInt(version ?? '', 10);
  return Number.isNaN(branch) ? undefined : branch;
}

export function versionEvidence({ driver, smi }: Pick<Facts, 'driver' | 'smi'>): readonly Evidence[] {
  const { installed, onDisk, loaded } = driver;
  return [
    ...(installed ? [evidence('/var/lib/nvidia/log', installed)] : []),
    ...(onDisk ? [evidence('modinfo -F version nvidia', onDisk)] : []),
    ...(loaded ? [evidence('/sys/module/nvidia/version', loaded)] : []),
    smi.answers ? evidence('nvidia-smi -q -x', smi.driverVersion) : evidence('nvidia-smi -q -x', smi.problem),
  ];
}

/** A key of gridd.conf as the daemon reads it, without quotes. */
export function confValue({ conf }: Facts['gridd'], key: string): string | undefined {
  return readGriddConf(conf?.text ?? '')
    .get(key)
    ?.replace(/^"(.*)"$/, '$1');
}

/** The line that counts, as it stands; only of keys that hold no secret. */
export function confEvidence({ conf }: Facts['gridd'], ...keys: readonly string[]): readonly Evidence[] {
  const lines = (conf?.text ?? '').split('\n');
  return keys.flatMap(key => {
    const line = lines.findLast(text => new RegExp(`^\\s*${key}\\s*=`).test(text));
    return line === undefined ? [] : [evidence(GRIDD_CONF, line)];
  });
}

/** The daemon's failures that no later success has taken back. */
export function standing(log: Facts['griddLog'], ...signs: readonly GriddSign[]): readonly GriddSaid[] {
  if (log.is === 'unknown') return [];
  const success = log.said.findLastIndex(({ kind }) => kind === 'success');
  const failures = log.said.slice(success + 1).filter(({ kind }) => kind === 'failure');
  return signs.length === 0 ? failures : failures.filter(({ sign }) => sign !== undefined && signs.includes(sign));
}

/** Where the license server says that the time is over, a token is not given the benefit of a clock that may be off. */
export function hasExpired(claims: TokenClaims, { system, griddLog }: Pick<Facts, 'system' | 'griddLog'>): boolean {
  if (judgeDates(claims, system.nowUs)?.is === 'expired') return true;
  const { expiresUs } = claims;
  return expiresUs !== undefined && expiresUs <= system.nowUs && standing(griddLog, 'clocks-differ').length > 0;
}

/** The newest of such lines; the same words count once. */
export function logEvidence(log: Facts['griddLog'], lines: readonly GriddSaid[]): readonly Evidence[] {
  if (log.is === 'unknown') return [];
  const newest = [...new Map(lines.map(line => [line.message, line])).values()].slice(-MOST_LINES);
  const word = (line: GriddSaid) => (log.earlier.includes(line) ? 'earlier, ' : '');
  return newest.map(line => evidence(log.from, `${word(line)}${beginning(line)}${line.message}`));
}

/** The last words that matter from before the present token, gridd.conf or daemon: no evidence of how things stand now. */
export function earlierEvidence(log: Facts['griddLog']): readonly Evidence[] {
  if (log.is === 'unknown') return [];
  return logEvidence(log, log.earlier.filter(({ kind }) => kind === 'failure').slice(-2));
}

export function licenseEvidence(smi: Facts['smi']): readonly Evidence[] {
  if (!smi.answers) return [evidence('nvidia-smi -q -x', smi.problem)];
  return smi.gpus.map(({ address, name, license }) =>
    evidence(
      'nvidia-smi -q -x',
      `${address} ${name}: ${license ? `${license.product ?? 'no product'}, ${license.raw}` : 'no licensing section'}`,
    ),
  );
}

export function unitEvidence({ unit }: Facts['gridd']): Evidence {
  const { load, active, enabled, result, exitCode, signal } = unit;
  const shown = [
    `LoadState=${load}`,
    `ActiveState=${active}`,
    `UnitFileState=${enabled}`,
    `Result=${result}`,
    ...(exitCode === undefined ? [] : [`ExecMainStatus=${exitCode}`]),
    ...(signal === undefined ? [] : [`ExecMainStatus=${signal} (${nameOfSignal(signal)})`]),
  ];
  return evidence('systemctl show nvidia-gridd.service', shown.join(' '));
}

const MOST_LINES = 5;

function beginning({ atUs }: GriddSaid): string {
  return atUs === undefined ? '' : `${timeOf(atUs)} `;
}
