import { shellValue, strangerIn, unpackedBytesIn } from '../driver/run-header.ts';

/** NVIDIA's runfile of the CUDA toolkit. */
export interface CudaRunfile {
  readonly is: 'runfile';
  /** `12.8.1` */
  readonly version: string;
  /** `12.8` */
  readonly release: string;
  readonly architecture: 'x86_64' | 'aarch64';
  /** What it needs when it is unpacked; undefined: its header does not say. */
  readonly unpackedBytes: number | undefined;
}

/** `cuda_12.8.1_570.124.06_linux.run`, for servers with ARM `cuda_12.8.1_570.124.06_linux_sbsa.run`; the second number is that of the driver inside. */
const NAME = /^cuda_((\d+\.\d+)\.\d+)_\d+(?:\.\d+)+_linux(_sbsa)?\.run$/;

/** Reads the first bytes of a file; its version stands in its name only. */
export function parseCudaRunfile(
  start: string,
  fileName: string,
): CudaRunfile | { readonly is: 'something-else'; readonly because: string } {
  const no = (because: string) => ({ is: 'something-else', because }) as const;
  const stranger = strangerIn(start);
  if (stranger !== undefined) return no(stranger);
  if (!/^#! ?\/bin\/sh\n/.test(start)) return no('it does not begin as a runfile does');
  const script = shellValue(start, 'script') ?? '';
  if (!/(?:^|\/)cuda-installer$/.test(script)) return no(`it runs ${script || 'nothing'} instead of cuda-installer`);
  const [, version, release, arm] = NAME.exec(fileName) ?? [];
  if (!version || !release) return no('its name, which tells the version, is not the one that NVIDIA gave it');
  return {
    is: 'runfile',
    version,
    release,
    architecture: arm ? 'aarch64' : 'x86_64',
    unpackedBytes: unpackedBytesIn(start),
  };
}
