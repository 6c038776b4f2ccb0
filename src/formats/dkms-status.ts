/** A line of `dkms status`. */
export interface DkmsEntry {
  readonly module: string;
  readonly version: string;
  /** undefined for a module that is only added. */
  readonly kernel: string | undefined;
  readonly architecture: string | undefined;
  /** `added`, `built`, `installed`, `installed-weak`, `broken`, … */
  readonly status: string;
  /** What DKMS adds in brackets after the status, for example that the installed module differs from the built one. */
  readonly warning: string | undefined;
}
