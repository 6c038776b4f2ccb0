import type { Argv } from '../change.ts';
import type { Spell } from '../report/spelling.ts';

/** What a command gets of the process that it runs in. */
export interface Io {
  /** The answer, for a person: as this process's locale can show it. */
  readonly out: (text: string) => void;
  /** An answer that is data, byte for byte. */
  readonly data: (text: string) => void;
  /** The one answer of --json. */
  readonly json: (answer: object) => void;
  /** The talk. */
  readonly err: NodeJS.WriteStream;
  readonly spell: Spell;
  readonly env: NodeJS.ProcessEnv;
  /** How this very program is started again. */
  readonly program: Argv;
  readonly stop: AbortSignal;
  /** A second signal: what is let finish after the first one is killed. */
  readonly hurry: AbortSignal;
  /** A part of every time limit of a program; absent: the whole. */
  readonly patience?: number;
}

/** Options of every command, as commander hands them over. */
export interface CommonOptions {
  readonly config?: string;
  readonly root: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly color: boolean;
}

/** Settings that are flags of `plan` and `apply` too. */
export interface SettingOptions {
  readonly driver?: string;
  readonly token?: string;
  readonly server?: string;
  readonly feature?: string;
  readonly reboot?: string;
  readonly licenseTimeout?: string;
  readonly runTimeout?: string;
  readonly only?: readonly string[];
  readonly skip?: readonly string[];
  readonly detailedExitcode?: boolean;
  readonly rebootExitCode?: number;
}
