import type { Look } from './facts.ts';

/** The licensing daemon, its unit and the files that it reads. */
export interface GriddFact {
  /** /usr/bin/nvidia-gridd is there: a GRID driver is installed, not a data-center one. */
  readonly binary: boolean;
  readonly unit: {
    /** systemd's LoadState: `loaded`, `not-found`, `masked`, …; `unknown` where systemd does not answer. */
    readonly load: string;
    /** ActiveState: `active`, `inactive`, `failed`, `activating`, … */
    readonly active: string;
    /** UnitFileState: `enabled`, `disabled`, … */
    readonly enabled: string;
    /** Result and exit code of the last run, `success`, `exit-code`, … */
    readonly result: string;
    readonly exitCode: number | undefined;
    readonly mainPid: number | undefined;
    /** When systemd began to start the running daemon, which is before it reads anything; undefined when it does not run. */
    readonly startedUs: number | undefined;
  };
  /** /etc/nvidia/gridd.conf; undefined: there is none. */
  readonly conf: { readonly text: string; readonly changedUs: number } | undefined;
  /** /etc/nvidia/gridd.conf.template, as the driver ships it. */
  readonly template: string | undefined;
}

export async function collectGridd(_look: Look): Promise<GriddFact> {
  throw new Error('not written yet');
}
