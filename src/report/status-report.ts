import type { Facts } from '../facts/facts.ts';
import type { Gpu } from '../facts/gpu/gpus.ts';
import type { SmiGpu, SmiSetting } from '../facts/gpu/smi.ts';
import { failureOf } from '../facts/license/gridd.ts';
import type { Shown } from '../facts/screen/graphics.ts';
import { isMigProfile } from '../formats/gpu/nvidia-smi.ts';
import type { License } from '../steps/license/await-license.ts';
import { visible } from './visible.ts';

/** What the report needs to know. */
export interface StatusFacts extends Pick<Facts, 'system' | 'gpus' | 'smi' | 'driver' | 'gridd' | 'kernels' | 'cuda'> {
  readonly virtualization: string;
  /** By PCI address, for GPUs that nvidia-smi does not name. */
  readonly displayNames: ReadonlyMap<string, string>;
  readonly license: License;
  readonly shown: Shown;
  readonly rebootNeeded: boolean;
  /** The configuration asks for the CUDA toolkit. */
  readonly cudaAsked: boolean;
}

/** `vgpu-guest/status/1` of the contract. */
export interface StatusJson {
  readonly schema: 'vgpu-guest/status/1';
  readonly guest: { readonly distribution: string; readonly kernel: string; readonly virtualization: string };
  readonly gpus: readonly {
    readonly address: string;
    readonly name?: string;
    readonly mode: string;
    readonly driver?: string;
    /** The driver on the host, where a vGPU tells. */
    readonly hostDriver?: string;
    /** In nvidia-smi's words; absent where there is none, or nobody says. */
    readonly ecc?: SmiSetting;
    /** The same; `devices` are those that nvidia-smi lists, `profile` is a vGPU's that has a part of the GPU to itself. */
    readonly mig?: Partial<SmiSetting> & { readonly devices?: number; readonly profile?: string };
  }[];
  readonly driver: {
    readonly installed?: string;
    readonly loaded?: string;
    /** Not there: NVIDIA's own, or nothing says so. */
    readonly modules?: 'open';
    /** The kernel that the next boot takes, where it is not the running one, and the driver that it has. */
    readonly next?: { readonly kernel: string; readonly installed?: string };
  };
  /** `failure` goes on after its name: `was ended by SIGKILL (signal)`. */
  readonly gridd: { readonly unit: string; readonly active: string; readonly failure?: string };
  readonly license: License;
  /** `gpus` is absent where nobody says which GPU draws it. */
  readonly screen: {
    readonly by: Shown['by'];
    readonly programs: readonly string[];
    readonly gpus?: readonly string[];
  };
  /** Where the configuration asks for the CUDA toolkit; `works`: with this driver, once it was tried. */
  readonly cuda?: { readonly installed?: string; readonly path?: string; readonly works?: boolean };
  readonly rebootNeeded: boolean;
}

export function statusJson(facts: StatusFacts): StatusJson {
  const { system, gpus, driver, gridd } = facts;
  const { next } = facts.kernels;
  const installed = driver.installed ?? driver.onDisk;
  const failure = failureOf(gridd.unit);
  return {
    schema: 'vgpu-guest/status/1',
    guest: { distribution: system.name, kernel: system.kernel, virtualization: facts.virtualization },
    gpus: gpus.map(gpu => gpuJson(gpu, facts)),
    driver: {
      ...(installed ? { installed } : {}),
      ...(driver.loaded ? { loaded: driver.loaded } : {}),
      ...(driver.isOpen ? { modules: 'open' as const } : {}),
      ...(next ? { next: { kernel: next.release, ...(next.onDisk ? { installed: next.onDisk } : {}) } } : {}),
    },
    gridd: { unit: gridd.unit.load, active: gridd.unit.active, ...(failure ? { failure } : {}) },
    license: facts.license,
    screen: {
      by: facts.shown.by,
      programs: facts.shown.programs,
      ...(facts.shown.gpus ? { gpus: facts.shown.gpus } : {}),
    },
    ...(facts.cudaAsked ? { cuda: cudaJson(facts) } : {}),
    rebootNeeded: facts.rebootNeeded,
  };
}

/** What was seen with another driver or toolkit says nothing of these. */
function cudaJson({ cuda: { nvcc, proof }, smi }: StatusFacts): NonNullable<StatusJson['cuda']> {
  if (!nvcc) return {};
  const isOfThese = proof?.toolkit === nvcc.version && smi.answers && proof.driver === smi.driverVersion;
  return { installed: nvcc.version, path: nvcc.path, ...(isOfThese ? { works: proof.passed } : {}) };
}

function cudaText({ installed, works }: NonNullable<StatusJson['cuda']>): string {
  if (installed === undefined) return 'not installed';
  return `${installed}, ${works === undefined ? 'not tried with this driver' : works ? 'seen to work with this driver' : 'it failed with this driver'}`;
}

export function statusText({ guest, gpus, driver, gridd, license, screen, cuda, rebootNeeded }: StatusJson): string {
  const rows: readonly (readonly [string, string])[] = [
    ['guest', `${guest.distribution}, kernel ${guest.kernel}, ${guest.virtualization}`],
    ...(gpus.length === 0 ? [['GPU', 'none on the PCI bus'] as const] : []),
    ...gpus.map(
      ({ address, name, mode, driver: bound, hostDriver, ecc, mig }) =>
        [
          'GPU',
          [
            address,
            name,
            mode,
            `driver ${bound ?? 'none'}`,
            hostDriver && `${hostDriver} on the host`,
            ecc && `ECC ${settingText(ecc)}`,
            mig && migText(mig),
          ]
            .filter(Boolean)
            .join(', '),
        ] as const,
    ),
    [
      'driver',
      `${driverOnDisk(driver)}, ${driver.loaded ?? 'none'} loaded${driver.modules ? ' (open kernel modules)' : ''}`,
    ],
    ...(driver.next
      ? [['next boot', `${driver.next.kernel}, driver ${driver.next.installed ?? 'none'}`] as const]
      : []),
    ['nvidia-gridd', `unit ${gridd.unit}, ${gridd.active}${gridd.failure ? `: it ${gridd.failure}` : ''}`],
    [
      'license',
      [
        license.state,
        license.product,
        license.expiresAt && `until ${localTime(license.expiresAt)}`,
        ...(license.expiresAt && ['inactive', 'failed'].includes(gridd.active) ? ['and nobody renews it'] : []),
      ]
        .filter(Boolean)
        .join(', '),
    ],
    ['screen', screenText(screen)],
    ...(cuda ? [['CUDA', cudaText(cuda)] as const] : []),
    ['reboot', rebootNeeded ? 'needed' : 'not needed'],
  ];
  return rows.map(([label, value]) => `${label.padEnd(13)} ${visible(value)}`).join('\n');
}

/** `Enabled`, or `Enabled (pending Disabled)`. */
function settingText({ current, pending }: SmiSetting): string {
  return current === pending ? current : `${current} (pending ${pending})`;
}

function migText({ current, pending, devices = 0, profile }: NonNullable<StatusJson['gpus'][number]['mig']>): string {
  return [
    ...(profile ? ['MIG-backed vGPU'] : []),
    ...(current !== undefined && pending !== undefined ? [`MIG ${settingText({ current, pending })}`] : []),
    ...(devices > 0 ? [`${devices} MIG device${devices > 1 ? 's' : ''}`] : []),
  ].join(', ');
}

/** undefined: nvidia-smi says nothing of MIG, or that there is none. */
function migOf(answer: SmiGpu | undefined): StatusJson['gpus'][number]['mig'] {
  const setting = settingOf(answer?.mig);
  const profile = answer?.mode === 'vgpu' && isMigProfile(answer.name) ? answer.name : undefined;
  const devices = answer?.mig?.devices ?? 0;
  if (!setting && profile === undefined && devices === 0) return undefined;
  return {
    ...(setting ? { current: setting.current, pending: setting.pending } : {}),
    ...(devices > 0 ? { devices } : {}),
    ...(profile === undefined ? {} : { profile }),
  };
}

/** `N/A` twice says that there is no such thing. */
function settingOf(setting: SmiSetting | undefined): SmiSetting | undefined {
  return setting && [setting.current, setting.pending].some(word => word !== 'N/A') ? setting : undefined;
}

/** A loaded driver came from somewhere, though not from where .run packages and kernel modules lie. */
function driverOnDisk({ installed, loaded }: StatusJson['driver']): string {
  if (installed !== undefined) return `${installed} installed`;
  return loaded === undefined ? 'none installed' : 'none found on disk';
}

/** Wayland is said plainly: what was set in xorg.conf means nothing to it. */
function screenText({ by, programs, gpus }: StatusJson['screen']): string {
  if (by === 'none') return 'none is shown';
  const where =
    gpus === undefined ? 'on an unknown GPU' : gpus.length > 0 ? `on ${gpus.join(', ')}` : 'on no NVIDIA GPU';
  return `${by === 'x' ? 'X' : 'Wayland'} (${programs.join(', ')}) ${where}`;
}

function gpuJson(gpu: Gpu, { smi, displayNames }: StatusFacts): StatusJson['gpus'][number] {
  const answer = smi.answers ? smi.gpus.find(({ address }) => address === gpu.address) : undefined;
  const name = answer?.name ?? displayNames.get(gpu.address);
  const mode = answer?.mode === 'vgpu' || answer?.mode === 'pass-through' ? answer.mode : (gpu.mode ?? 'none');
  const [ecc, mig] = [settingOf(answer?.ecc), migOf(answer)];
  return {
    address: gpu.address,
    ...(name ? { name } : {}),
    mode,
    ...(gpu.driver ? { driver: gpu.driver } : {}),
    ...(gpu.host ? { hostDriver: gpu.host.version } : {}),
    ...(ecc ? { ecc } : {}),
    ...(mig ? { mig } : {}),
  };
}

/** A person reads times in the guest's own zone. Not by Intl, whose tables take longer to load than nvidia-smi to answer. */
function localTime(rfc3339: string): string {
  const time = new Date(rfc3339);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  const ahead = -time.getTimezoneOffset(); // minutes
  const minutes = Math.abs(ahead);
  const zone = ahead === 0 ? 'UTC' : `${ahead < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
  return `${day} ${clock} ${zone}`;
}
