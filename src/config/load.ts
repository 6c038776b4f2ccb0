import { isAlias, isNode, LineCounter, parseDocument, visit } from 'yaml';
import * as z from 'zod';
import { AgentError } from '../errors.ts';
import { describeIssues } from './faults.ts';
import { type Config, configSchema, type Settings } from './schema.ts';

/** Some settings and where they come from, for a fault's first word: `--feature`, `VGPU_GUEST_FEATURE`. */
export interface Layer {
  readonly settings: Settings;
  /** Dotted key → the word by which the person gave it. */
  readonly origins: Readonly<Record<string, string>>;
}

export interface ConfigFile {
  readonly path: string;
  /** undefined: there is no such file. */
  readonly text: string | undefined;
}

/** The file and then each layer over it, the strongest last, as one complete configuration. Faults are one line each. */
export function loadConfig(file: ConfigFile, layers: readonly Layer[]): Config {
  const { settings, lineOf } = parseFile(file);
  const merged = layers.reduce<Record<string, unknown>>((below, layer) => overlay(below, layer.settings), settings);
  const origins = Object.assign({}, ...layers.map(layer => layer.origins)) as Record<string, string>;
  const result = configSchema.safeParse(merged);
  if (result.success) return result.data;
  const origin = (path: readonly PropertyKey[]) => origins[path.join('.')] ?? `${file.path}${lineOf(path)}`;
  throw new AgentError(describeIssues(result.error.issues, merged, origin).join('\n'), {
    fault: 'config',
    remedy: 'vgpu-guest config schema prints every key with its allowed values',
  });
}

/** The JSON Schema of the configuration file, from the same zod schema that checks it. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, { io: 'input' });
}

type LineOf = (path: readonly PropertyKey[]) => string;

function parseFile({ path, text }: ConfigFile): { settings: Record<string, unknown>; lineOf: LineOf } {
  if (text === undefined) return { settings: {}, lineOf: () => '' };
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const fault = document.errors[0];
  if (fault) {
    const { line, col } = lines.linePos(fault.pos[0]);
    throw new AgentError(`${path}:${line}:${col}: not YAML: ${fault.message}`, { fault: 'config', cause: fault });
  }
  refuseAliases(path, document, lines);
  const settings: unknown = document.toJS({ maxAliasCount: 0 }) ?? {};
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) {
    throw new AgentError(`${path}: found ${JSON.stringify(settings)} instead of keys such as driver: and license:`, {
      fault: 'config',
    });
  }
  const lineOf: LineOf = keys => {
    for (let depth = keys.length; depth > 0; depth--) {
      const node = document.getIn(keys.slice(0, depth) as string[], true);
      if (isNode(node) && !isAlias(node) && node.range) return `:${lines.linePos(node.range[0]).line}`;
    }
    return '';
  };
  return { settings: settings as Record<string, unknown>, lineOf };
}

/** A file of a few lines needs none, and a few of them, nested, would fill the memory. */
function refuseAliases(path: string, document: ReturnType<typeof parseDocument>, lines: LineCounter): void {
  visit(document, {
    Alias(_, { source, range }) {
      const { line, col } = lines.linePos(range?.[0] ?? 0);
      throw new AgentError(`${path}:${line}:${col}: *${source} refers to another place, which this file cannot do`, {
        fault: 'config',
        remedy: 'write out what it refers to',
      });
    },
  });
}

/** Settings over settings: keys of `above` win; token and server replace each other, since a license comes from one of them. */
export function overlay(below: Record<string, unknown>, above: object): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...below };
  if ('token' in above) delete merged.server;
  if ('server' in above) delete merged.token;
  for (const [key, value] of Object.entries(above)) {
    if (value === undefined) continue;
    const under = merged[key];
    merged[key] = isPlain(value) && isPlain(under) && key !== 'server' ? overlay(under, value) : value;
  }
  return merged;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
