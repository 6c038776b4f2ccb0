import type { Look } from './facts.ts';

/** The client configuration token: as it was given, and as it lies where nvidia-gridd looks. Its text is not a fact. */
export interface TokenFact {
  readonly source:
    | { readonly is: 'not-asked-for' }
    /** `because` names what is wrong: missing, empty, HTML, not three base64url parts, too large, … */
    | { readonly is: 'unusable'; readonly path: string; readonly because: string }
    | { readonly is: 'usable'; readonly path: string; readonly sha256: string };
  /** Everything in license.tokenDirectory, sorted by name. */
  readonly directory: readonly {
    readonly name: string;
    readonly kind: 'file' | 'directory' | 'other';
    readonly mode: number;
    readonly changedUs: number;
    /** undefined for what is no file or too large for a token. */
    readonly sha256: string | undefined;
  }[];
}

export async function collectToken(_look: Look): Promise<TokenFact> {
  throw new Error('not written yet');
}
