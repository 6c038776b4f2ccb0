import type { Config } from '../../config/schema.ts';
import type { DkmsEntry } from '../../formats/driver/dkms-status.ts';
import type { Outcome } from '../../guest/guest.ts';
import type { Facts, Look } from '../facts.ts';
import { howItEnded } from '../how-it-ended.ts';
import { type BegunInstall, type Cut, lookAtBegunInstall } from './begun-install.ts';

/** The NVIDIA driver as it lies on disk, as DKMS knows it and as the kernel has it. */
export interface DriverFact {
  /** Version in /var/lib/nvidia/log: a .run package is installed. */
  readonly installed: string | undefined;
  /** Version of the module `nvidia` on disk for the running kernel. */
  readonly onDisk: string | undefined;
  /** Version of the module `nvidia` in memory. */
  readonly loaded: string | undefined;
  /** Whether the modules in memory are the open ones; not there: nothing says so. */
  readonly isOpen?: boolean;
  /** What DKMS knows of `nvidia`; undefined when there is no DKMS. */
  readonly dkms: readonly DkmsEntry[] | undefined;
  /** Versions of `nvidia` for which it has a folder: `dkms status` says nothing of one whose dkms.conf has lost its content. */
  readonly inTree?: readonly string[];
  /** Nobody has seen the end of the installation of this version: it goes on, was killed, or was `cut` by a reset or a loss of power. */
  readonly begun?: { readonly version: string; readonly cut?: Cut };
  /** What gave no whole answer, so that what it did not tell of may still be there: `dkms status: exit code 4`. */
  readonly unanswered?: { readonly modinfo?: string; readonly dkms?: string };
}

/** nvidia-installer's backup log; its first line is `1.0-53512903 (535.129.03)`, with the version in the brackets. */
const INSTALL_LOG = '/var/lib/nvidia/log';
const MODULE_VERSION = '/sys/module/nvidia/version';
/** `NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu …`, or `… Open Kernel Module for x86_64  595.45.04  …`. */
const PROC_VERSION = '/proc/driver/nvidia/version';

export async function collectDriver(look: Look): Promise<DriverFact> {
  const { kernel, bootId } = await look.fact('system');
  const { guest } = look;
  const [installLog, modinfo, sys, proc, dkms, begun] = await Promise.all([
    guest.readStart(INSTALL_LOG, 256),
    guest.query(['modinfo', '-F', 'version', '-k', kernel, 'nvidia']),
    guest.readText(MODULE_VERSION),
    guest.readText(PROC_VERSION),
    look.fact('dkms'),
    lookAtBegunInstall(guest),
  ]);
  const unanswered = {
    ...(isAnswerOfModinfo(modinfo) ? {} : { modinfo: howItEnded('modinfo nvidia', modinfo) }),
    ...(dkms.unanswered === undefined ? {} : { dkms: dkms.unanswered }),
  };
  return {
    installed: /^.*\((\d+(?:\.\d+)+)\)/.exec(installLog ?? '')?.[1],
    onDisk: modinfo.code === 0 ? versionIn(modinfo.stdout) : undefined,
    loaded: versionIn(sys ?? '') ?? /^NVRM version: .*?Module.*? {2}(\d+(?:\.\d+)+) {2}/.exec(proc ?? '')?.[1],
    ...(proc?.startsWith('NVRM version: ') ? { isOpen: / Open Kernel Module /.test(proc) } : {}),
    dkms: dkms.entries,
    ...(dkms.inTree.length > 0 ? { inTree: dkms.inTree } : {}),
    ...(begun ? { begun: { version: begun.version, ...cutOf(begun, bootId) } } : {}),
    ...(Object.keys(unanswered).length > 0 ? { unanswered } : {}),
  };
}

/** A boot that came after a signal is what did it more harm. */
function cutOf(begun: BegunInstall, bootId: string): { readonly cut?: Cut } {
  if (begun.bootId !== bootId) return { cut: 'boot' };
  return begun.isKilled ? { cut: 'signal' } : {};
}

/** It is there, or it is not. */
function isAnswerOfModinfo({ code, stdout }: Outcome): boolean {
  return code === 1 || (code === 0 && (stdout === '' || versionIn(stdout) !== undefined));
}

/** Whether DKMS has put this version into place for this kernel, by a build or as a weak module. */
export function isRegistered(driver: DriverFact, version: string, kernel: string): boolean {
  const entries = driver.dkms?.filter(entry => entry.version === version && entry.kernel === kernel);
  return entries?.some(({ status }) => status === 'installed' || status === 'installed-weak') ?? false;
}

/** Whether nothing of this version has to be installed; it may still have to be loaded. */
export function isDriverInPlace(
  version: string,
  config: Config,
  { driver, smi, system }: Pick<Facts, 'driver' | 'smi' | 'system'>,
): boolean {
  if (driver.begun?.cut || driver.installed !== version || driver.onDisk !== version) return false;
  if (config.driver.dkms && !isRegistered(driver, version, system.kernel)) return false;
  return smi.answers || lostFile(smi.code) === undefined;
}

/** nvidia-smi(1): code 12 is that its library cannot be found or loaded, as an installation that was ended in the middle leaves it. */
const WITHOUT_LIBRARY = 12;

/** What of the driver's own files is gone, by how nvidia-smi ended; undefined: nothing that it tells. */
export function lostFile(code: number): string | undefined {
  return code === 127 ? 'nvidia-smi' : code === WITHOUT_LIBRARY ? 'libnvidia-ml.so' : undefined;
}

function versionIn(text: string): string | undefined {
  return /^\d+(?:\.\d+)+$/.exec(text.trim())?.[0];
}
