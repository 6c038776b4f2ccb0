import type { Traits } from '../../../helpers/distributions.ts';
import type { KernelTraits } from './kernel.ts';
import type { Repository, Rpm } from './rpm.ts';

/** What a Debian root must get and lose to pass for a guest of this family. */
export interface Family {
  readonly id: 'suse' | 'rhel';
  readonly traits: Traits;
  readonly kernel: KernelTraits;
  readonly packageManager: 'zypper' | 'dnf';
  readonly databasePath: string;
  readonly repositoryFolder: string;
  readonly repositories: readonly Repository[];
  /** The only repositories that have dkms, and the headers of the kernel that runs. */
  readonly missing: { readonly dkms: Repository; readonly headers: Repository };
  /** Usually off: has a dkms that needs what no repository has. */
  readonly broken: Repository;
  /** What the package database knows from the start; the files are Debian's. */
  readonly installed: readonly Rpm[];
  /** Files that the family ships and Debian has not, or has others of. */
  readonly files: Readonly<Record<string, string>>;
  /** Target of a link by its path. */
  readonly links?: Readonly<Record<string, string>>;
  /** Debian's packages of another family's programs. */
  readonly strange: readonly string[];
}
