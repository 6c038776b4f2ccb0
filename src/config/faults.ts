import { closest, distance } from 'fastest-levenshtein';
import * as z from 'zod';
import { withoutSecrets } from '../formats/url.ts';
import { configSchema } from './schema.ts';

type Path = readonly PropertyKey[];
/** The part of a JSON Schema that a fault line needs. */
interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly additionalProperties?: Shape | false;
}

/** One line a fault: where, which key, what was found, what is allowed, and the key that was probably meant. */
export function describeIssues(
  issues: readonly z.core.$ZodIssue[],
  input: unknown,
  origin: (path: Path) => string,
): readonly string[] {
  return issues.flatMap(issue => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map(
        key => `${origin([...issue.path, key])}: ${dotted([...issue.path, key])}: ${unknownKey(issue.path, key)}`,
      );
    }
    return [`${origin(issue.path)}: ${dotted(issue.path)}: ${problem(issue, at(input, issue.path))}`];
  });
}

function unknownKey(parent: Path, key: string): string {
  const known = knownKeys(parent);
  const neighbor = known.length > 0 ? closest(key, known) : undefined;
  // a neighbor as far away as the word is long is no neighbor
  const near = neighbor !== undefined && distance(key, neighbor) <= Math.max(2, key.length / 2);
  return `unknown key${near ? `, did you mean ${neighbor}?` : ''} (known: ${known.join(', ')})`;
}

function knownKeys(parent: Path): readonly string[] {
  let shape: Shape | undefined = z.toJSONSchema(configSchema, { io: 'input' }) as Shape;
  for (const key of parent) shape = shape?.properties?.[String(key)];
  return Object.keys(shape?.properties ?? {});
}

function problem(issue: z.core.$ZodIssue, found: unknown): string {
  const what = `found ${found === undefined ? 'nothing' : withoutSecrets(JSON.stringify(found))}`;
  switch (issue.code) {
    case 'invalid_value':
      return `${what}, allowed: ${issue.values.join(', ')}`;
    case 'invalid_type':
      // zod's own words start so; ours say what is allowed
      return `${what}, allowed: ${issue.message.startsWith('Invalid input') ? article(issue.expected) : issue.message}`;
    case 'too_small':
      return `${what}, allowed: ${issue.minimum} or more`;
    case 'too_big':
      return `${what}, allowed: ${issue.maximum} or less`;
    case 'invalid_format':
      return `${what}, allowed: ${issue.message}`;
    case 'invalid_key':
      return `not a key of gridd.conf (allowed: letters and digits)`;
    case 'invalid_union':
      return `${what}, allowed: ${issue.message.startsWith('Invalid input') ? 'text, a number, true or false' : issue.message}`;
    default:
      return `${what}${issue.message.startsWith('allowed: ') ? ',' : ':'} ${issue.message}`;
  }
}

function article(type: string): string {
  const words: Readonly<Record<string, string>> = {
    int: 'a whole number',
    object: 'keys below it',
    boolean: 'true or false',
    record: 'keys below it',
  };
  return words[type] ?? `a ${type}`;
}

function at(input: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], input);
}

function dotted(path: Path): string {
  return path.length === 0 ? 'the whole file' : path.join('.');
}
