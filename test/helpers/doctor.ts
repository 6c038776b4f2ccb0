import type { Finding } from '../../src/checks/check.ts';
import { subjects } from '../../src/checks/index.ts';
import { configSchema, type Settings } from '../../src/config/schema.ts';
import type { Facts } from '../../src/facts/facts.ts';
import { FAMILIES } from '../../src/facts/families.ts';
import { NO_CUDA } from '../../src/facts/gpu/cuda.ts';
import type { SmiGpu, SmiLicense } from '../../src/facts/gpu/smi.ts';
import type { LicenseServer } from '../../src/facts/license/servers.ts';
import type { TokenFile } from '../../src/facts/license/token-files.ts';
import { interpret } from '../../src/formats/license/license-log.ts';
import type { TokenClaims } from '../../src/formats/license/token.ts';

export const NOW_US = Date.parse('2026-11-21T10:00:00Z') * 1000;
const MINUTE_US = 60_000_000;
export const DAY_US = 86_400_000_000;
export const DIRECTORY = '/etc/nvidia/ClientConfigToken';
export const TOKEN = `${DIRECTORY}/a.tok`;
export const SETTINGS: Settings = { license: { token: '/opt/a.tok' } };

export const CLAIMS: TokenClaims = {
  issuer: 'NLS Service Instance',
  audience: 'NLS Licensed Client',
  issuedUs: NOW_US - 30 * DAY_US,
  notBeforeUs: NOW_US - 30 * DAY_US,
  expiresUs: NOW_US + 1e14,
  nodes: [{ host: 'dls.example.com', ports: [{ service: 'lease', port: 443 }] }],
};

export function tokenFile(path = TOKEN, given: Partial<TokenFile> = {}): TokenFile {
  const inspection = { is: 'token', claims: CLAIMS } as const;
  return { path, link: undefined, realPath: path, mode: 0o744, uid: 0, changedUs: 0, inspection, ...given };
}

export function tokenFiles(...files: readonly TokenFile[]): Pick<Facts, 'tokenFiles'> {
  return { tokenFiles: { path: DIRECTORY, is: 'directory', files, mode: 0o755, uid: 0, changedUs: 0 } };
}

/** nvidia-smi's answer: one GPU, its name and mode, and what it says of the license (undefined: no section). */
export function smi(
  license: string | undefined,
  {
    name = 'NVIDIA A10-4Q',
    mode = 'vgpu' as SmiGpu['mode'],
    product = 'NVIDIA RTX Virtual Workstation',
    version = '570.211.01',
  } = {},
): Pick<Facts, 'smi'> {
  const states: Readonly<Record<string, SmiLicense['state']>> = {
    Licensed: 'licensed',
    'Unlicensed (Unrestricted)': 'grace',
    'Unlicensed (Restricted)': 'restricted',
    Unlicensed: 'unlicensed',
  };
  const expiry = /\(Expiry: (\d+-\d\d-\d\d \S+) GMT\)/.exec(license ?? '')?.[1];
  const section: SmiLicense | undefined =
    license === undefined
      ? undefined
      : {
          state: states[license] ?? (license.startsWith('Licensed') ? 'licensed' : 'unknown'),
          product,
          expiresAt: expiry?.replace(' ', 'T'),
          raw: license,
        };
  const gpu: SmiGpu = { address: '0000:00:06.0', name, uuid: 'GPU-1', mode, license: section };
  return { smi: { answers: true, driverVersion: version, gpus: [gpu] } };
}

export const NO_SMI: Pick<Facts, 'smi'> = { smi: { answers: false, problem: 'there is no nvidia-smi', code: 127 } };

/** What the daemon that was started last has said, after its first line. */
export function griddLog(...messages: readonly string[]): Pick<Facts, 'griddLog'> {
  const said = ['Started (812)', ...messages].map((message, index) => ({
    message,
    pid: 812,
    atUs: NOW_US - 5 * MINUTE_US + index * 1e6,
    ...interpret(message),
  }));
  return { griddLog: { is: 'read', from: 'journalctl -b -t nvidia-gridd', said, earlier: [] } };
}

export function kernelLog(...driver: readonly string[]): Pick<Facts, 'kernelLog'> {
  return { kernelLog: { is: 'read', from: 'journalctl -b -k', driver, denials: [] } };
}

export function versions(version: string | undefined, given: Partial<Facts['driver']> = {}): Pick<Facts, 'driver'> {
  return { driver: { installed: version, onDisk: version, loaded: version, dkms: [], ...given } };
}

/** A guest that shows nothing, as most of them. */
export function noScreen(): Pick<Facts, 'graphics' | 'screen' | 'xorg'> {
  return {
    graphics: {
      programs: [],
      log: undefined,
      xSinceUs: undefined,
      otherDisplays: ['0000:00:02.0'],
    },
    screen: { graphical: false, displayManager: 'inactive', xServers: [] },
    xorg: { dropIns: [], conf: undefined, nvidiaXconfig: false, changedUs: undefined },
  };
}

export function conf(...lines: readonly string[]): Pick<Facts, 'gridd'> {
  return { gridd: { ...HEALTHY.gridd, conf: { text: lines.join('\n'), changedUs: NOW_US - 60 * MINUTE_US } } };
}

export function unit(
  given: Partial<Facts['gridd']['unit']>,
  gridd: Partial<Facts['gridd']> = {},
): Pick<Facts, 'gridd'> {
  return { gridd: { ...HEALTHY.gridd, ...gridd, unit: { ...HEALTHY.gridd.unit, ...given } } };
}

export function server(given: Partial<LicenseServer> = {}): LicenseServer {
  return {
    host: 'dls.example.com',
    port: 443,
    services: ['lease'],
    world: 'token',
    from: TOKEN,
    resolution: { is: 'found', addresses: ['192.0.2.10'] },
    probe: { is: 'connected', tls: { is: 'agreed', chain: [], serverAheadUs: 0 } },
    ...given,
  };
}

/** A vGPU guest of the SUSE family that has its license. */
export const HEALTHY: Facts = {
  system: {
    name: 'SLES 15',
    version: '15.6',
    family: FAMILIES.find(({ id }) => id === 'suse'),
    kernel: '6.4.0-default',
    bootId: 'b',
    readOnly: undefined,
    nowUs: NOW_US,
  },
  gpus: [{ address: '0000:00:06.0', device: '2236', kind: 'vga', driver: 'nvidia', mode: 'vgpu' }],
  ...versions('570.211.01'),
  dkmsStatus: { entries: [], unanswered: undefined },
  kernels: { next: undefined },
  secureBoot: { unsigned: 'taken', evidence: [], keys: {}, enrolled: undefined },
  prerequisites: { manager: 'zypper', missing: [], later: [], offered: new Set() },
  ...smi('Licensed'),
  gridd: {
    binary: true,
    binaryChangedUs: NOW_US - 60 * MINUTE_US,
    unit: {
      load: 'loaded',
      active: 'active',
      enabled: 'enabled',
      result: 'success',
      exitCode: 0,
      mainPid: 812,
      startedUs: NOW_US - 5 * MINUTE_US,
      lastStartedUs: NOW_US - 5 * MINUTE_US,
    },
    conf: {
      text: 'FeatureType=0\nClientConfigTokenPath=/etc/nvidia/ClientConfigToken\n',
      changedUs: NOW_US - 60 * MINUTE_US,
    },
    template: 'ServerAddress=\nFeatureType=0\n',
  },
  token: {
    source: { is: 'usable', path: '/opt/a.tok', sha256: 'aa', claims: CLAIMS },
    directory: [{ name: 'a.tok', kind: 'file', mode: 0o744, changedUs: 0, sha256: 'aa' }],
    directoryChangedUs: 0,
  },
  ...tokenFiles(tokenFile()),
  ...griddLog(
    'NLS initialized',
    'License acquired successfully. (Info: dls.example.com, X; Expiry: 2026-11-22 0:0:0 GMT)',
  ),
  ...kernelLog('NVRM: loading NVIDIA UNIX x86_64 Kernel Module  570.211.01'),
  surroundings: {
    stateFolder: { kind: 'directory', sizeBytes: 0, mode: 0o755, uid: 0, gid: 0, modifiedUs: 0, changedUs: 0 },
    readOnlyMount: undefined,
    freeBytes: 1e9,
    dbusPolicy: '/etc/dbus-1/system.d/nvidia-grid.conf',
    azure: undefined,
  },
  clock: {
    synchronized: true,
    hardwareClockIsLocal: false,
    aheadS: undefined,
    evidence: [{ at: 'timedatectl show', shows: 'NTPSynchronized=yes' }],
  },
  network: { interfaces: [{ name: 'eth0', device: true, mac: '52:54:00:00:00:01' }], proxies: [] },
  servers: [server()],
  ...noScreen(),
  cuda: NO_CUDA,
} as Partial<Facts> as Facts;

/** All that doctor's checks say of such a guest, in their order. */
export function diagnose(given: Partial<Facts>, settings: Settings = SETTINGS): readonly Finding[] {
  const config = configSchema.parse(settings);
  const facts = { ...HEALTHY, ...given };
  return subjects.flatMap(({ checks }) =>
    checks.flatMap(check => {
      const found = check.judge(config, facts);
      return found ? [{ id: check.id, ...found }] : [];
    }),
  );
}

export function find(id: string, given: Partial<Facts>, settings?: Settings): Finding | undefined {
  return diagnose(given, settings).find(finding => finding.id === id);
}

/** `error token-missing`, without what is only to know. */
export function brief(findings: readonly Finding[]): readonly string[] {
  return findings.filter(({ severity }) => severity !== 'info').map(({ severity, id }) => `${severity} ${id}`);
}
