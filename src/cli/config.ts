import { stringify } from 'yaml';
import { configJsonSchema } from '../config/load.ts';
import { withoutSecrets } from '../formats/url.ts';
import { openEyes } from '../guest/open-guest.ts';
import { harmlessYaml } from '../report/visible.ts';
import { EXIT } from './exit.ts';
import type { CommonOptions, Io } from './io.ts';
import { readConfig, readConfigFile } from './settings.ts';

/** Says nothing wrong, or every fault in a line of its own. */
export async function configValidateCommand(options: CommonOptions, io: Io): Promise<number> {
  const guest = openEyes({ root: options.root, env: io.env, stop: io.stop });
  await readConfig(guest, options, io.env);
  const { path, text } = await readConfigFile(guest, options, io.env);
  if (options.json) io.json({ schema: 'vgpu-guest/config-validation/1', valid: true, path });
  else if (!options.quiet) io.out(text === undefined ? `${path} is not there, and need not be` : `${path} is right`);
  return EXIT.settled;
}

/** The JSON Schema of the configuration file. */
export async function configSchemaCommand(_options: CommonOptions, io: Io): Promise<number> {
  io.json(configJsonSchema());
  return EXIT.settled;
}

/** The configuration that counts: file, environment and defaults together, in the words of the file. */
export async function configShowCommand(options: CommonOptions, io: Io): Promise<number> {
  const guest = openEyes({ root: options.root, env: io.env, stop: io.stop });
  const { config } = await readConfig(guest, options, io.env);
  const { lockTimeoutMs, runTimeoutMs, license, ...rest } = config;
  const { timeoutMs, ...source } = license;
  const token = source.token === undefined ? {} : { token: withoutSecrets(source.token) };
  const shown = {
    ...rest,
    license: { ...source, ...token, timeout: words(timeoutMs) },
    lockTimeout: words(lockTimeoutMs),
    runTimeout: words(runTimeoutMs),
  };
  if (options.json) io.json(shown);
  else {
    const quoted = () => stringify(shown, { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN', lineWidth: 0 });
    io.data(harmlessYaml(stringify(shown), quoted).trimEnd());
  }
  return EXIT.settled;
}

/** A duration as the file has it. */
function words(ms: number): string {
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}
