/** What went wrong decides the exit code; see `cli/exit.ts`. */
export type Fault = 'failed' | 'blocked' | 'busy' | 'usage' | 'not-root' | 'config';

/** A foreseen fault: says what and where; `remedy` says what to do. Anything else that is thrown is a defect and keeps its stack. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly fault: Fault;
  readonly remedy: string | undefined;

  constructor(message: string, options: { fault?: Fault; remedy?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.fault = options.fault ?? 'failed';
    this.remedy = options.remedy;
  }
}

/** The text of anything thrown, for a sentence that adds what the thrower could not know. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
