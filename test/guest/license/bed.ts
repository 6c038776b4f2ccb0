import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RealGuest } from '../real-guest.ts';
import type { LicenseService } from './service.ts';

/** A guest with its driver, and the license service that it reaches. */
export interface LicenseBed {
  readonly guest: RealGuest;
  readonly service: LicenseService;
  /** The service as the guest sees it: 127.0.0.1 in a container, 10.0.2.2 in a VM. */
  readonly address: string;
  readonly pace: Pace;
}

/** How fast a guest is. */
interface Pace {
  /** Between two attempts of the daemon, and for how long it waits for an answer. */
  readonly retryS: number;
  /** How long the program waits for a license that does not come. */
  readonly timeoutMs: number;
}

/** What the vGPU of the test bed is licensed for. */
export const VWS = 'NVIDIA RTX Virtual Workstation';
/** The name of the service, in its certificate and in the guest's /etc/hosts. */
export const SERVICE_HOST = 'dls.license.test';
/** A name of the same machine that is not in the certificate. */
export const OTHER_HOST = 'other.license.test';
export const TOKEN = '/opt/client_configuration_token_11-20-2026-10-00-00.tok';
export const TOKEN_DIRECTORY = '/etc/nvidia/ClientConfigToken';
export const CONF = '/etc/nvidia/gridd.conf';
export const GRIDD = '/usr/bin/nvidia-gridd';
/** Under which a daemon of another branch runs. */
export const ERA_UNIT = 'gridd-of-another-era';
export const STORE = '/var/lib/nvidia/GridLicensing/trusted-store.json';

const GRIDD_SOURCE = join(import.meta.dirname, '../../stubs/driver/nvidia-gridd.py');
const AUTHORITY = '/usr/local/share/ca-certificates/license-test.crt';

/** The stand-in daemon as the package of this version brings it. */
export async function griddOf(version: string): Promise<string> {
  const text = await readFile(GRIDD_SOURCE, 'utf8');
  return text.replaceAll('@VERSION@', version).replaceAll('@FLAVOR@', 'grid');
}

/** A guest that runs gets to know the service's name and trusts its certificate; no other name is found. */
export async function introduceService({ guest, service, address }: LicenseBed): Promise<void> {
  await guest.write('/etc/hosts', `127.0.0.1 localhost\n${address} ${SERVICE_HOST} ${OTHER_HOST}\n`, 0o644);
  // nobody answers there, so that what is not in /etc/hosts is refused at once
  await guest.write('/etc/resolv.conf', 'nameserver 127.0.0.99\n', 0o644);
  await guest.write(AUTHORITY, service.authority, 0o644);
  await guest.succeed(['update-ca-certificates']);
  await guest.write(RESET, RESET_SCRIPT, 0o755);
}

const RESET = '/root/reset';
/** What one check leaves behind and the next one must not find. */
const RESET_SCRIPT = `#!/bin/sh
[ ! -e ${GRIDD}.away ] || mv ${GRIDD}.away ${GRIDD}
systemctl unmask --quiet nvidia-gridd
systemctl stop nvidia-gridd ${ERA_UNIT} 2>/dev/null
systemctl reset-failed nvidia-gridd 2>/dev/null
systemctl enable --quiet nvidia-gridd
[ ! -e /run/covered ] || while read -r path; do umount "$path"; done </run/covered
rm -rf /run/cover /run/covered ${CONF} ${TOKEN_DIRECTORY} ${STORE} /run/stubs-* /var/lib/stubs/gridd-* /var/lib/vgpu-guest
[ ! -f /dev/nvidiactl ] || rm /dev/nvidiactl
rm -f /etc/systemd/system/vgpu-guest-resume.service /etc/systemd/system/*.wants/vgpu-guest-resume.service
mkdir -p ${TOKEN_DIRECTORY} /var/lib/stubs
`;

/** How a check begins; what is not said is as in a guest that will be licensed. */
export interface Scene {
  /** The file that license.token names. */
  readonly token?: string;
  /** Below `license:` in the configuration; what is left out is not asked for. */
  readonly license?: string;
  /** What lies in the token directory from the start. */
  readonly directory?: Readonly<Record<string, string>>;
  readonly griddConf?: string;
  readonly retryS?: number;
}

/** Sets the scene; nvidia-gridd does not run, and the service grants what it is asked for. */
export async function begin(bed: LicenseBed, scene: Scene = {}): Promise<void> {
  const { guest, service, pace } = bed;
  await service.behave({ is: 'grant' });
  service.restore();
  await guest.succeed([RESET]);
  const { license = `token: ${TOKEN}`, directory = {}, griddConf, retryS = pace.retryS } = scene;
  await guest.write('/var/lib/stubs/gridd-retry-s', `${retryS}\n`, 0o644);
  await guest.write(TOKEN, scene.token ?? service.token(), 0o600);
  await guest.write('/etc/vgpu-guest/config.yaml', `license:\n  timeout: ${pace.timeoutMs}ms\n  ${license}\n`, 0o644);
  for (const [name, text] of Object.entries(directory)) await guest.write(`${TOKEN_DIRECTORY}/${name}`, text, 0o744);
  if (griddConf !== undefined) await guest.write(CONF, griddConf, 0o644);
}

/** Shows other content at a path of the guest until the next scene, also below /sys: a file, or a folder with these files. */
export async function cover(
  { guest }: LicenseBed,
  path: string,
  content: Uint8Array | string | Readonly<Record<string, string>>,
): Promise<void> {
  const isFile = typeof content === 'string' || content instanceof Uint8Array;
  const files = Object.entries(isFile ? { '': content } : content);
  // /run is the guest's own and no folder of its root, so that nothing can be written there from outside
  const lines = files.map(([name, text]) => `fill "$1"/cover"$2"${name} ${Buffer.from(text).toString('base64')}`);
  const script = `fill() { mkdir -p "\${1%/*}" && echo "$2" | base64 -d >"$1"; }
${lines.join('\n')}
mount --bind "$1"/cover"$2" "$2" && readlink -f "$2" >>"$1"/covered`;
  await guest.succeed(['sh', '-e', '-c', script, 'cover', '/run', path]);
}

/** What nvidia-gridd has said since its last start. */
export async function talkOf({ guest }: LicenseBed): Promise<string> {
  const all = await guest.succeed(['journalctl', '--boot', '--output=cat', '--identifier=nvidia-gridd']);
  return all.slice(all.lastIndexOf('Started ('));
}

/** The first NVIDIA GPU's address on the PCI bus. */
export async function addressOfGpu({ guest }: LicenseBed): Promise<string> {
  const found = await guest.succeed(['sh', '-c', 'grep -l 0x10de /sys/bus/pci/devices/*/vendor']);
  return found.split('/')[5] ?? '';
}
