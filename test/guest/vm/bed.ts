import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { buildStandInRun, type StandInRun } from '../../helpers/stand-in-run.ts';
import { type Check, indent, runInOrder, type Tally } from '../checks.ts';
import { type LicenseService, startLicenseService } from '../license/service.ts';
import { buildPackage } from '../packages.ts';
import { type Furnishing, openDisks } from './disks.ts';
import { handOver } from './hand-over.ts';
import { createVm, type Vm } from './vm.ts';

/** A story of a guest in a virtual machine. */
export interface Scenario {
  readonly name: string;
  readonly furnishing: Furnishing;
  readonly gpus?: readonly string[];
  readonly vga?: true;
  readonly secureBoot?: true;
  /** Words on the kernel's command line. */
  readonly append?: readonly string[];
  readonly checks: (scene: Scene) => readonly Check[];
}

/** A guest that is off, and what lies around it. */
export interface Scene {
  readonly vm: Vm;
  readonly service: LicenseService;
  readonly kernel: string;
  /** Ends whatever is being waited for. */
  readonly signal: AbortSignal;
}

export const MINUTE_MS = 60_000;
/** A vGPU of an A10 behind a bridge of its own. */
export const VGPU = '0002:06:00.0/10de:2236/0302/vgpu/10de:14bb';
const GPU = '/sys/bus/pci/devices/0002:06:00.0';
export const TOKEN = '/opt/client_configuration_token_11-20-2026-10-00-00.tok';
export const PROGRAM_LOG = '/var/log/vgpu-guest.log';
/** With nouveau out of the way before any file of the guest says so. */
export const WITHOUT_NOUVEAU = ['modprobe.blacklist=nouveau', 'rd.driver.blacklist=nouveau'];

const PROJECT = resolve(import.meta.dirname, '../../..');
/** The guest's name for the license service, which its hosts file knows at the address that a VM has for this machine. */
export const SERVICE_NAME = 'dls.license.test';
export const SERVICE_ADDRESS = '10.0.2.2';
const CONFIG = '/etc/vgpu-guest/config.yaml';
const EVIDENCE = [PROGRAM_LOG, '/var/log/nvidia-installer.log', '/var/log/apt/term.log'];

/** Plays a scenario on a guest of its own. */
export async function play(scenario: Scenario, log: (line: string) => void, signal: AbortSignal): Promise<Tally> {
  const { name, furnishing, gpus = [VGPU], vga, secureBoot, append } = scenario;
  const disks = await openDisks(furnishing, log, signal);
  await using service = await startLicenseService({ hosts: [SERVICE_NAME, SERVICE_ADDRESS], signal });
  await using vm = await createVm({
    name,
    disks,
    gpus,
    log,
    signal,
    ...(vga ? { vga } : {}),
    ...(secureBoot ? { secureBoot } : {}),
    ...(append ? { append } : {}),
  });
  // awaited here: the guest goes when this function ends
  return await runInOrder(name, scenario.checks({ vm, service, kernel: disks.kernel, signal }), async () => {
    const folder = join(PROJECT, '.cache/vm', name);
    await vm.keepEvidence(folder, EVIDENCE);
    console.log(indent(`console, journal and logs of the guest: ${folder}`));
  });
}

/** Boots a guest for the first time and lays out what an operator brings: program, package, token, configuration. */
export async function furnish(scene: Scene, run: StandInRun = buildStandInRun()): Promise<void> {
  const { vm, service } = scene;
  await bringProgram(scene);
  await vm.write(TOKEN, service.token({ host: SERVICE_NAME }), 0o600);
  await bring(vm, run);
  await configure(vm, run);
}

/** Boots a guest for the first time and brings the program, and what the license service is known by. */
async function bringProgram({ vm, service }: Scene): Promise<void> {
  await vm.boot();
  await vm.waitForBoot(2 * MINUTE_MS);
  await vm.copyIn(join(PROJECT, 'dist/vgpu-guest.mjs'), '/usr/lib/vgpu-guest/vgpu-guest.mjs', 0o644);
  await trust(vm, service);
}

/** Boots a guest for the first time, takes the bed's own way to the program with its Node out of it, and installs the package. */
export async function installPackage({ vm, service, signal }: Scene): Promise<void> {
  const file = '/root/vgpu-guest.deb';
  await vm.boot();
  await vm.waitForBoot(2 * MINUTE_MS);
  await vm.succeed(['rm', '-r', '/usr/lib/vgpu-guest', '/usr/bin/vgpu-guest']);
  await handOver(vm, await buildPackage('deb', signal), file);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await vm.succeed(['apt-get', '--assume-yes', 'install', file], { deadlineMs: 5 * MINUTE_MS, env });
  await vm.succeed(['rm', file]);
  await trust(vm, service);
}

/** A package at its place in /opt. */
export async function bring(vm: Vm, run: StandInRun): Promise<void> {
  await vm.write(`/opt/${run.name}`, run.bytes, 0o755);
}

/** The configuration that asks for this package, with more about the driver, and for a license by token. */
export async function configure(vm: Vm, run: StandInRun, more: Readonly<Record<string, string>> = {}): Promise<void> {
  const driver = Object.entries({ package: `/opt/${run.name}`, ...more }).map(([key, value]) => `  ${key}: ${value}\n`);
  const text = `driver:\n${driver.join('')}license:\n  token: ${TOKEN}\n  timeout: 120s\n`;
  await vm.write(CONFIG, text, 0o644);
}

/** The guest knows the license service by name and trusts its certificate. */
async function trust(vm: Vm, service: LicenseService): Promise<void> {
  await vm.write('/etc/hosts', `127.0.0.1 localhost guest\n${SERVICE_ADDRESS} ${SERVICE_NAME}\n`, 0o644);
  // what update-ca-certificates would make of it, which takes an emulated processor half a minute
  const { stdout: hash } = await execa('openssl', ['x509', '-noout', '-hash'], { input: service.authority });
  await vm.write(`/etc/ssl/certs/${hash}.0`, service.authority, 0o644);
}

/** Every path below these folders with what a change of it would change; a folder that is not there is empty. */
export async function listing(vm: Vm, folders: readonly string[]): Promise<readonly string[]> {
  const shape = '%p %y %m %U:%G %s %T@ %i\\n';
  const { stdout } = await vm.execute(['find', ...folders, '-printf', shape], { deadlineMs: MINUTE_MS });
  return stdout.split('\n').sort();
}

/** The lines of two listings that the other one has not got. */
export function differing(before: readonly string[], after: readonly string[]): readonly string[] {
  const [old, present] = [new Set(before), new Set(after)];
  return [...after.filter(line => !old.has(line)), ...before.filter(line => !present.has(line))];
}

/** The driver to which the GPU is bound. */
export async function boundDriver(vm: Vm, gpu = GPU): Promise<string | undefined> {
  const { stdout } = await vm.execute(['readlink', `${gpu}/driver`]);
  return stdout.trim().split('/').at(-1) || undefined;
}
