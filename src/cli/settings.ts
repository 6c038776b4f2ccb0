import { isAbsolute, resolve } from 'node:path';
import { DEFAULT_CONFIG_PATH } from '../config/default-path.ts';
import type { ConfigFile, Layer } from '../config/load.ts';
import { loadConfig, overlay } from '../config/load.ts';
import type { Config, Settings } from '../config/schema.ts';
import { AgentError } from '../errors.ts';
import type { GuestView } from '../guest/guest.ts';
import type { CommonOptions, SettingOptions } from './io.ts';

/** Each setting that has a flag: its name in commander, its words for a person, its key in the file. */
export const SETTINGS = [
  { option: 'driver', flag: '--driver', variable: 'VGPU_GUEST_DRIVER', key: 'driver.package' },
  { option: 'token', flag: '--token', variable: 'VGPU_GUEST_TOKEN', key: 'license.token' },
  { option: 'server', flag: '--server', variable: 'VGPU_GUEST_SERVER', key: 'license.server' },
  { option: 'feature', flag: '--feature', variable: 'VGPU_GUEST_FEATURE', key: 'license.feature' },
  {
    option: 'licenseTimeout',
    flag: '--license-timeout',
    variable: 'VGPU_GUEST_LICENSE_TIMEOUT',
    key: 'license.timeout',
  },
  { option: 'reboot', flag: '--reboot', variable: 'VGPU_GUEST_REBOOT', key: 'reboot' },
  { option: 'runTimeout', flag: '--run-timeout', variable: 'VGPU_GUEST_RUN_TIMEOUT', key: 'runTimeout' },
] as const;

/** Flags over environment over file over default. `resumed` is what an earlier run was asked for by flags and environment. */
export async function readConfig(
  guest: GuestView,
  options: CommonOptions & SettingOptions,
  env: NodeJS.ProcessEnv,
  resumed?: Settings,
): Promise<{ config: Config; asked: Settings }> {
  const file = await readConfigFile(guest, options, env);
  const fromEnv = layer(
    setting => env[setting.variable],
    setting => setting.variable,
    options.root,
  );
  const fromFlags = layer(
    setting => options[setting.option],
    setting => setting.flag,
    options.root,
  );
  const layers = [...(resumed ? [{ settings: resumed, origins: {} }] : []), fromEnv, fromFlags];
  const asked = layers.reduce<Record<string, unknown>>((below, { settings }) => overlay(below, settings), {});
  return { config: loadConfig(file, layers), asked };
}

/** Some thousand lines; a text of a mebibyte of brackets takes ten seconds to be understood. */
const FILE_LIMIT_BYTES = 64 * 1024;

/** The default file may be absent; one that was named may not. */
export async function readConfigFile(
  guest: GuestView,
  options: CommonOptions,
  env: NodeJS.ProcessEnv,
): Promise<ConfigFile> {
  const named = namedConfigPath(options, env);
  const path = named ?? DEFAULT_CONFIG_PATH;
  const text = await guest.readText(path, FILE_LIMIT_BYTES);
  if (text === undefined && named !== undefined) {
    throw new AgentError(`${path}: there is no such file`, {
      fault: 'config',
      remedy: `write it, or leave --config away to use ${DEFAULT_CONFIG_PATH} or none`,
    });
  }
  if (text !== undefined) await refuseForeign(guest, path);
  return { path, text };
}

/** Root does what this file says, so that nobody else may have a say in it. */
async function refuseForeign(guest: GuestView, path: string): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const real = (await guest.realPath(path)) ?? path;
  const names = real.split('/').filter(Boolean);
  const chain = ['/', ...names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`)];
  const stats = await Promise.all(chain.map(at => guest.stat(at)));
  let foreign = chain.find((_, index) => {
    const at = stats[index];
    if (!at) return false;
    const isOpen = (at.mode & 0o002) !== 0 || ((at.mode & 0o020) !== 0 && at.gid !== 0);
    // in a sticky folder such as /tmp nobody can put something else into the place of root's own
    const isSticky = (at.mode & 0o1000) !== 0 && stats[index + 1]?.uid === 0;
    return at.uid !== 0 || (isOpen && !isSticky);
  });
  foreign ??= await folderOfOpenLink(guest, path);
  if (foreign === undefined) return;
  throw new AgentError(`${path} is not taken: others than root can change ${foreign}`, {
    fault: 'config',
    remedy: `look at what it says, then chown root:root ${foreign} && chmod go-w ${foreign}, or put it below /etc/vgpu-guest`,
  });
}

/** Whoever can replace a link on the way chooses the file, even if only among those of root's own. */
async function folderOfOpenLink(guest: GuestView, path: string): Promise<string | undefined> {
  const names = path.split('/').filter(Boolean);
  for (let depth = 1; depth <= names.length; depth++) {
    const folder = `/${names.slice(0, depth - 1).join('/')}`;
    const isLink = (await guest.readLink(`/${names.slice(0, depth).join('/')}`)) !== undefined;
    if (isLink && ((await guest.stat(folder))?.mode ?? 0) & 0o002) return folder;
  }
  return undefined;
}

/** The configuration file that flag or environment name; undefined: the default one counts. */
export function namedConfigPath({ config, root }: CommonOptions, env: NodeJS.ProcessEnv): string | undefined {
  const named = config ?? (env.VGPU_GUEST_CONFIG || undefined);
  return named === undefined ? undefined : guestPath(named, root, '--config');
}

type Setting = (typeof SETTINGS)[number];

function layer(
  textOf: (setting: Setting) => string | undefined,
  wordFor: (setting: Setting) => string,
  root: string,
): Layer {
  const settings: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  for (const setting of SETTINGS) {
    const text = textOf(setting);
    if (!text) continue; // an empty variable is an unset one
    const word = wordFor(setting);
    const [section, key] = setting.key.split('.') as [string, string?];
    const value = parseSetting(setting, text, root, word);
    settings[section] = key ? { ...(settings[section] as object | undefined), [key]: value } : value;
    origins[setting.key] = word;
    if (setting.option === 'server')
      Object.assign(origins, { 'license.server.address': word, 'license.server.port': word });
  }
  return { settings: settings as Settings, origins };
}

function parseSetting({ option }: Setting, given: string, root: string, word: string): unknown {
  if (option === 'driver' || option === 'token') return given.includes('://') ? given : guestPath(given, root, word);
  if (option !== 'server') return given;
  // HOST, HOST:PORT or [ADDRESS]:PORT
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+|.*:.*:.*?))(?::(\d+))?$/.exec(given) ?? [];
  return { address: bracketed ?? plain ?? given, ...(port ? { port: Number(port) } : {}) };
}

/** A path from the command line: relative to where the person stands, which only exists on this machine itself. */
export function guestPath(given: string, root: string, word: string): string {
  if (isAbsolute(given)) return given;
  if (root === '/') return resolve(given);
  throw new AgentError(`${word} ${given}: with --root a path is the guest's own, and absolute`, { fault: 'usage' });
}
