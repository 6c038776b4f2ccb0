import { AgentError } from '../errors.ts';
import { jsonSchemaOf, SCHEMA_KINDS } from '../report/schemas.ts';
import { EXIT } from './exit.ts';
import type { CommonOptions, Io } from './io.ts';

/** The JSON Schema of what --json answers with. */
export async function schemaCommand(
  { argument }: CommonOptions & { readonly argument: string },
  io: Io,
): Promise<number> {
  const schema = jsonSchemaOf(argument);
  if (schema === undefined) {
    throw new AgentError(`schema ${argument}: there are ${SCHEMA_KINDS.join(', ')}`, { fault: 'usage' });
  }
  io.json(schema);
  return EXIT.settled;
}
