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

/**
 * `nvidia/535.129.03, KERNEL, x86_64: installed` since DKMS 2.8.7; up to 2.8.5 a comma stands for the slash, 2.8.6 writes
 * both, and weak modules (`installed-weak from KERNEL`) have the comma in every version.
 */
const LINE =
  /^(?<module>[^,/\s:]+)(?:\/|, )(?<version>[^,\s:]+)(?:, (?<kernel>[^,\s]+), (?<architecture>[^,\s:]+))?: (?<status>[a-z][a-z-]*)(?: from \S+)?(?<rest>.*)$/;
/** `(Original modules exist)`, `(Differences between built and installed modules)`, …; there may be several. */
const IN_BRACKETS = /\(([^()]*)\)/g;

/** What `dkms status` prints; lines that are no entry (errors, empty lines) are passed over. */
export function parseDkmsStatus(text: string): readonly DkmsEntry[] {
  return text.split('\n').flatMap(line => parseLine(line.trim()) ?? []);
}

function parseLine(line: string): DkmsEntry | undefined {
  const { module, version, kernel, architecture, status, rest = '' } = LINE.exec(line)?.groups ?? {};
  if (!module || !version || !status) return undefined;
  const warnings = [...rest.matchAll(IN_BRACKETS)].map(([, words]) => words);
  return { module, version, kernel, architecture, status, warning: warnings.join('; ') || undefined };
}
