import { basename, dirname } from 'node:path/posix';
import type { Config } from '../../config/schema.ts';
import { AgentError } from '../../errors.ts';
import { collect, lookAt } from '../../facts/facts.ts';
import { GRIDD_CONF } from '../../facts/license/gridd.ts';
import { fetchedTokenPath, lookAtToken } from '../../facts/license/token.ts';
import { STATE_DIRECTORY } from '../../facts/record.ts';
import { readGriddConf } from '../../formats/license/gridd-conf.ts';
import { judgeDates } from '../../formats/license/token.ts';
import { isUrl } from '../../formats/url.ts';
import type { Guest } from '../../guest/guest.ts';
import { awaitLicense, licenseOf } from '../../steps/license/await-license.ts';
import { placeToken, SET_ASIDE } from '../../steps/license/place-token.ts';
import { restartGridd } from '../../steps/license/restart-gridd.ts';
import type { Step } from '../../steps/step.ts';
import { journey, type Report, type Run } from '../apply.ts';
import { clearLeftovers } from '../clear-leftovers.ts';
import { freeName } from '../remember.ts';
import { makeStateFolder } from '../resume.ts';
import { fetchToken } from './fetch-token.ts';

export interface Rotation extends Omit<Run, 'steps'> {
  /** A file of this guest or a URL. */
  readonly token: string;
}

/** `restored`: the new token brought no license, and the old one is in its place again, whether or not it brings one. */
export interface RotationReport extends Report {
  readonly restored: boolean;
}

/** The driver and gridd.conf are none of its business. */
const STEPS = [placeToken, restartGridd, awaitLicense] as readonly Step[];
/** As long as the old token lies here, the new one has not brought a license yet. */
const ROTATION = `${STATE_DIRECTORY}/rotation`;
const DOWNLOADED = `${ROTATION}/new`;

/**
 * Puts another token in its place, and the old one back if the guest gets no license with it. Cut at any moment, a second run knows by
 * the old token that is kept aside what there is to put back.
 */
export async function rotateToken(rotation: Rotation): Promise<RotationReport> {
  const release = await rotation.guest.lock();
  try {
    await clearLeftovers(rotation.guest, rotation.watcher);
    await refuseOtherWorlds(rotation);
    return await rotate(rotation);
  } finally {
    await release();
  }
}

async function rotate(rotation: Rotation): Promise<RotationReport> {
  const { guest, config, token, watcher } = rotation;
  const path = isUrl(token) ? await download(guest, token) : token;
  const kept = await keepPresent(guest, config, path);
  const run = (wanted: string) => journey({ ...rotation, config: withToken(config, wanted), steps: STEPS });

  const report = await run(path);
  const why = report.steps.find(({ outcome }) => ['failed', 'blocked', 'unlicensed'].includes(outcome))?.because;
  // a token that a cut run has put in its place is tried without any change
  const isTried = report.changed || report.outcome === 'unlicensed';
  if (!why || !isTried || !kept || !(await canBePutBack(guest, kept.path))) {
    if (why === undefined && kept) await setAside(guest, kept.path);
    else if (!isTried && kept?.isNew) await guest.remove(kept.path);
    if (isUrl(token)) await (why && !isTried ? guest.remove(path) : keepDownloaded(guest, token, path));
    return { ...report, restored: false };
  }
  // a token that could not be put in its place has not been tried
  const neverTried = report.steps.some(({ id, outcome }) => id === placeToken.id && outcome === 'failed');
  const what = neverTried ? 'cannot be put in its place' : 'brings no license';
  watcher.warn(`the new token ${what}, so the old one is put back: ${why}`);
  const back = await run(kept.path);
  const restored = back.steps.some(
    ({ id, outcome }) => id === placeToken.id && ['settled', 'changed'].includes(outcome),
  );
  if (restored) for (const over of [kept.path, ...(isUrl(token) ? [path] : [])]) await guest.remove(over);
  const outcome = back.outcome === 'failed' || neverTried ? 'failed' : 'unlicensed';
  return { ...report, outcome, license: back.license, restored, ...(back.error ? { error: back.error } : {}) };
}

function withToken(config: Config, token: string): Config {
  return { ...config, license: { ...config.license, token } };
}

async function refuseOtherWorlds({ guest, config }: Rotation): Promise<void> {
  const refuse = (message: string, remedy: string) => new AgentError(message, { fault: 'blocked', remedy });
  if (config.license.server) {
    throw refuse(
      'this guest is to get its license from a legacy license server, which takes no token',
      'set license.token instead of license.server, and run vgpu-guest apply',
    );
  }
  const { gridd } = await collect(lookAt(guest, config), ['gridd']);
  const said = readGriddConf(gridd.conf?.text ?? '').get('ClientConfigTokenPath') ?? DEFAULT_DIRECTORY;
  const directory = said.replace(/^"(.*)"$/, '$1');
  if (bare(directory) === bare(config.license.tokenDirectory)) return;
  throw refuse(
    `nvidia-gridd looks for its token in ${directory} (ClientConfigTokenPath in ${GRIDD_CONF}), and not in ${config.license.tokenDirectory}`,
    'run vgpu-guest apply first, or set license.tokenDirectory to where it looks',
  );
}

/** NVIDIA's own, which counts where gridd.conf names none. */
const DEFAULT_DIRECTORY = '/etc/nvidia/ClientConfigToken';

function bare(directory: string): string {
  return directory.replace(/(?<=.)\/+$/, '');
}

/** Always anew, and not yet where the next apply would find it. */
async function download(guest: Guest, url: string): Promise<string> {
  const path = `${DOWNLOADED}/${basename(fetchedTokenPath(url))}`;
  await fetchToken(guest, url, path);
  return path;
}

async function keepDownloaded(guest: Guest, url: string, path: string): Promise<void> {
  const kept = fetchedTokenPath(url);
  await makeStateFolder(guest, dirname(kept));
  await guest.rename(path, kept);
}

interface Kept {
  readonly path: string;
  /** Kept by this run, and not by one that was cut. */
  readonly isNew: boolean;
}

/** The token to go back to: what lies in place, unless a rotation was cut and what lies there has never brought a license. */
async function keepPresent(guest: Guest, config: Config, newPath: string): Promise<Kept | undefined> {
  const { token } = await collect(lookAt(guest, withToken(config, newPath)), ['token']);
  // what place-token refuses by name, it will not replace
  if (token.source.is !== 'usable' || judgeDates(token.source.claims, guest.nowUs())) return undefined;
  const { sha256 } = token.source;
  const [one, ...more] = (await tokensIn(guest, bare(config.license.tokenDirectory))).filter(
    present => present.sha256 !== sha256,
  );
  if (more.length > 0) throw severalTokens(config.license.tokenDirectory);
  const [left] = await tokensIn(guest, ROTATION);
  if (left && (!one || left.sha256 === one.sha256 || !(await bringsLicense(guest, withToken(config, one.path))))) {
    return { path: left.path, isNew: false };
  }
  if (left) await setAside(guest, left.path);
  if (!one) return undefined;
  const copy = `${ROTATION}/${basename(one.path)}`;
  await makeStateFolder(guest, ROTATION);
  await guest.copyFile(one.path, copy, 0o600);
  return { path: copy, isNew: true };
}

/** What a cut write has left is not among them. */
async function tokensIn(guest: Guest, folder: string) {
  const names = (await guest.list(folder)).filter(name => !name.startsWith('.'));
  const looked = await Promise.all(names.map(name => lookAtToken(guest, `${folder}/${name}`)));
  return looked.filter(found => found.is === 'usable');
}

function severalTokens(directory: string): AgentError {
  return new AgentError(`there are several tokens in ${directory} beside the new one`, {
    fault: 'blocked',
    remedy: 'leave the one there that counts, or run vgpu-guest apply, which does so; then run this again',
  });
}

async function bringsLicense(guest: Guest, config: Config): Promise<boolean> {
  const facts = await collect(lookAt(guest, config), [...restartGridd.reads]);
  return (
    licenseOf(config, facts.smi).state === 'licensed' && restartGridd.judge(config, facts, new Set()).is === 'settled'
  );
}

/** One that has expired in the meantime would bring no license either. */
async function canBePutBack(guest: Guest, path: string): Promise<boolean> {
  const found = await lookAtToken(guest, path);
  return found.is === 'usable' && judgeDates(found.claims, guest.nowUs()) === undefined;
}

/** Never deleted: only what lies there already goes away. */
async function setAside(guest: Guest, path: string): Promise<void> {
  const sha256 = await guest.digest(path, 'sha256');
  const names = await guest.list(SET_ASIDE);
  const known = await Promise.all(names.map(name => guest.digest(`${SET_ASIDE}/${name}`, 'sha256')));
  if (known.includes(sha256)) return await guest.remove(path);
  await makeStateFolder(guest, SET_ASIDE);
  await guest.rename(path, await freeName(guest, `${SET_ASIDE}/${basename(path)}`));
}
