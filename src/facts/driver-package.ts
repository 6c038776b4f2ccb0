import type { Look } from './facts.ts';

/** The .run package that the configuration names. */
export type DriverPackageFact =
  /** The configuration names none. */
  | { readonly is: 'not-asked-for' }
  /** Not there; `namedVersion` is what its file name says, a second witness only. */
  | { readonly is: 'missing'; readonly path: string; readonly namedVersion: string | undefined }
  /** There, and not a package that this program knows; `because` says how that is seen. */
  | { readonly is: 'unreadable'; readonly path: string; readonly because: string }
  | {
      readonly is: 'present';
      readonly path: string;
      /** `570.211.01`; from the header, never from the file name alone. */
      readonly version: string;
      /** `-grid` and its cloud variants, `-vgpu-kvm` and other host packages, or a plain data-center or desktop driver. */
      readonly flavor: 'guest' | 'host' | 'plain';
      /** `x86_64` or `aarch64`, from TARGET_ARCH. */
      readonly architecture: string;
      /** Option names that the package's own help lists, without dashes; undefined when its text carries no help. */
      readonly options: ReadonlySet<string> | undefined;
      /** undefined: not looked at, because this version is installed already; else what its own sums and the given sha256 say. */
      readonly damage: string | 'none' | undefined;
    };

export async function collectDriverPackage(_look: Look): Promise<DriverPackageFact> {
  throw new Error('not written yet');
}
