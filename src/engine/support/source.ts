/** Something that support asks for. */
export interface Source {
  /** Its path in the archive. */
  readonly name: string;
  /** How it is got: a command, or a file of the guest. */
  readonly how: string;
  readonly timeoutMs: number;
  readonly limit: number;
  readonly get: () => Promise<Got>;
}

/** What came of it. `note`: what else there is to know, such as an exit code. */
export type Got =
  | { readonly is: 'text'; readonly text: string; readonly isPart?: boolean; readonly note?: string }
  | { readonly is: 'data'; readonly value: object }
  | { readonly is: 'absent'; readonly because: string };
