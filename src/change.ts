/** A program and its arguments; never a shell line. */
export type Argv = readonly [string, ...string[]];

/** One deed, as data. Paths are the guest's own; modes are octal numbers; times are milliseconds. */
export type Deed =
  /**
   * The whole text of a file, put in place at once; an existing file keeps its owner and label, and its mode unless one is given. `latin1`:
   * of a file that is not UTF-8, each of whose bytes is one character of the text.
   */
  | {
      readonly kind: 'write';
      readonly path: string;
      readonly text: string;
      readonly mode?: number;
      readonly encoding?: 'latin1';
    }
  /** A file's bytes, put in place at once; the content is a secret and is never shown. */
  | { readonly kind: 'copy-secret'; readonly from: string; readonly path: string; readonly mode: number }
  /** The token that `license.token` names by a URL, judged before it gets its name; `from` is that URL as it may be shown. */
  | { readonly kind: 'fetch-token'; readonly from: string; readonly path: string }
  /** A file out of the way: never deleted, never overwriting; a number is added to `to` when that name is taken. */
  | { readonly kind: 'move'; readonly path: string; readonly to: string }
  | { readonly kind: 'set-mode'; readonly path: string; readonly mode: number }
  /**
   * `welcome`: packages that are asked for as well, and whose absence is told and ends nothing. `without`: nothing is installed where these
   * would bring a driver along.
   */
  | {
      readonly kind: 'install-packages';
      readonly packages: readonly string[];
      readonly welcome?: readonly string[];
      readonly without?: 'drivers';
    }
  /** These and no others. */
  | { readonly kind: 'remove-packages'; readonly packages: readonly string[] }
  /** `holds`: a new image that carries nouveau.ko must carry this file too, as it stands on disk; `lacks`: it must not carry these. */
  | {
      readonly kind: 'rebuild-initrd';
      readonly kernel: string;
      readonly image: string;
      readonly builder: InitrdBuilder;
      readonly holds?: string;
      readonly lacks?: readonly string[];
    }
  /** The package that `driver.package` names by a URL, kept only when it hashes to `sha256`; `from` is that URL as it may be shown. */
  | { readonly kind: 'fetch-package'; readonly from: string; readonly path: string; readonly sha256: string }
  | InstallDriver
  /** DKMS lets go of this version, for every kernel. */
  | { readonly kind: 'forget-dkms'; readonly version: string }
  /** What an installer has written reaches the disk, though the run that began it was killed. */
  | { readonly kind: 'end-install' }
  | InstallCuda
  /** Compiles and runs a small program with this nvcc, in a folder of root's own; what came of it is remembered. */
  | { readonly kind: 'prove-cuda'; readonly workshop: string }
  /** `tolerated`: what its failure means, which is then told and ends nothing. */
  | { readonly kind: 'run'; readonly argv: Argv; readonly timeoutMs: number; readonly tolerated?: string }
  /** A new configuration of X for the GPU at this address, by nvidia-xconfig where that works, else a small one. */
  | { readonly kind: 'render-xorg'; readonly path: string; readonly address: string }
  /** A unit of ours, enabled for the graphical target; its command line is that of the program that runs. */
  | { readonly kind: 'add-unit'; readonly unit: 'vgpu-guest-screen.service' }
  /** Of the GPU at this address, from the next boot on; `before`: what it would have had then, where the driver has told already. */
  | { readonly kind: 'set-ecc'; readonly address: string; readonly ecc: Ecc; readonly before?: Ecc }
  /** As it was before this program first set it; it is then forgotten. */
  | { readonly kind: 'restore-ecc'; readonly address: string; readonly ecc: Ecc }
  /** A file as it was before this program first changed it. */
  | {
      readonly kind: 'restore';
      readonly path: string;
      readonly original: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      readonly label?: string;
      /** Nothing of it is shown. */
      readonly isSecret?: true;
    }
  /** A folder in which nothing is left. */
  | { readonly kind: 'remove-folder'; readonly path: string }
  /** The driver of a .run package, by its own uninstaller. */
  | RemoveDriver
  /** Until the next boot it is known that this boot is not as that one will be. */
  | { readonly kind: 'mark-boot' }
  /** No boot goes on with a journey any more. */
  | { readonly kind: 'end-resume'; readonly firstBoot: boolean }
  /** The record of this program's changes, and what else it has kept for itself; `stays`: the text of the record that is left. */
  | { readonly kind: 'forget-changes'; readonly stays?: string }
  /** Stopped, disabled and gone. */
  | { readonly kind: 'remove-unit'; readonly unit: string }
  /** A file that this program has made; `isText`: what goes with it may be shown. */
  | { readonly kind: 'remove'; readonly path: string; readonly isText?: true }
  | { readonly kind: 'service'; readonly unit: string; readonly action: ServiceAction }
  | { readonly kind: 'await-license'; readonly timeoutMs: number }
  | { readonly kind: 'reboot' };

/** Memory that corrects its errors, of a GPU. */
export type Ecc = 'on' | 'off';

/** What systemctl is asked for. */
export type ServiceAction = 'enable' | 'restart' | 'start' | 'stop' | 'disable';

/** Runs the uninstaller of a .run package's driver. */
export interface RemoveDriver {
  readonly kind: 'remove-driver';
  readonly argv: Argv;
  readonly log: string;
  readonly version: string;
  /** X holds the GPU, so the graphical target is left for it and comes back after it. */
  readonly leaveGraphical: boolean;
}

/** Runs the .run package. */
export interface InstallDriver {
  readonly kind: 'install-driver';
  readonly argv: Argv;
  readonly log: string;
  readonly version: string;
  readonly package: {
    readonly path: string;
    /** What it was judged by; undefined: it was not there yet. */
    readonly sha256: string | undefined;
    /** Where it is copied to and run from, since others can change it where it is. */
    readonly copy?: string;
  };
  /** A folder of root's own in which it unpacks itself; made for it, and gone afterwards. */
  readonly workshop: string;
  /** X holds the GPU, so the graphical target is left for it and comes back after it. */
  readonly leaveGraphical: boolean;
  /** The driver that is there now, which comes back when the new one does not work. */
  readonly replaces?: string;
}

/** Runs the runfile of the CUDA toolkit, for the toolkit alone. */
export interface InstallCuda {
  readonly kind: 'install-cuda';
  readonly argv: Argv;
  readonly log: string;
  /** `12.8` */
  readonly release: string;
  readonly package: { readonly path: string; readonly sha256: string | undefined };
  readonly workshop: string;
}

/** A deed and the reason why it is due, a present-tense sentence about the guest. */
export type Change = Deed & { readonly because: string };

/** The program that makes this system's initrd. */
export type InitrdBuilder = 'dracut' | 'mkinitrd' | 'initramfs-tools';

/** What a step says about the guest. */
export type Verdict =
  | { readonly is: 'settled'; readonly because: string; readonly warnings?: readonly string[] }
  | { readonly is: 'due'; readonly changes: readonly [Change, ...Change[]]; readonly warnings?: readonly string[] }
  | { readonly is: 'blocked'; readonly because: string; readonly remedy: string };

/** The guest is as asked for in this respect. */
export function settled(because: string): Verdict {
  return { is: 'settled', because };
}

/** These deeds are due, in this order. */
export function due(first: Change, ...rest: readonly Change[]): Verdict {
  return { is: 'due', changes: [first, ...rest] };
}

/** Somebody must act first; `remedy` says who does what. */
export function blocked(because: string, remedy: string): Verdict {
  return { is: 'blocked', because, remedy };
}

/** What the guest can live with, and somebody should know. */
export function warned(verdict: Verdict, warnings: readonly string[]): Verdict {
  return verdict.is === 'blocked' || warnings.length === 0 ? verdict : { ...verdict, warnings };
}
