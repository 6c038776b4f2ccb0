/** What `nvcc --version` says of the toolkit that it belongs to. */
export interface NvccVersion {
  /** `12.8`: by this toolkits are told from each other, and their folders and packages are named. */
  readonly release: string;
  /** `12.8.93` */
  readonly version: string;
}

/** Its fourth line is `Cuda compilation tools, release 12.8, V12.8.93`. */
export function parseNvccVersion(text: string): NvccVersion | undefined {
  const [, release, version] = /^Cuda compilation tools, release (\d+\.\d+), V(\d+(?:\.\d+)+)/m.exec(text) ?? [];
  return release && version ? { release, version } : undefined;
}
