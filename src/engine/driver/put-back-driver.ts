import { basename, dirname } from 'node:path/posix';
import type { Argv, InstallDriver } from '../../change.ts';
import { AgentError, messageOf } from '../../errors.ts';
import { collectKernelLog } from '../../facts/driver/kernel-log.ts';
import { PACKAGE_STORE } from '../../facts/driver/room.ts';
import { STATE_DIRECTORY, whyForeign } from '../../facts/record.ts';
import { findDriverFault } from '../../formats/driver/driver-log.ts';
import { exitCodeWords } from '../../formats/signals.ts';
import type { Guest, GuestView } from '../../guest/guest.ts';
import { InstallerKilled, runPackage } from '../run-package.ts';
import type { Tell } from '../tell.ts';

/** A package, and how it was run. */
interface KeptPackage {
  readonly version: string;
  readonly path: string;
  readonly sha256: string;
  readonly argv: Argv;
  readonly log: string;
  readonly workshop: string;
}

const RECORD = `${STATE_DIRECTORY}/driver.json`;
const SMI_TIMEOUT_MS = 60_000;
const MODPROBE_TIMEOUT_MS = 120_000;

/** Loaded in this version, and nvidia-smi has an answer. */
export async function checkDriver(guest: Guest, version: string): Promise<void> {
  const loaded = (await guest.readText('/sys/module/nvidia/version'))?.trim();
  if (loaded !== version)
    throw await doesNotWork(guest, `driver ${version} is installed, and ${loaded || 'none'} is loaded`);
  const { code, stdout, stderr } = await guest.query(['nvidia-smi'], SMI_TIMEOUT_MS);
  if (code === 0) return;
  const words = (stderr.trim() || stdout.trim()).split('\n')[0];
  throw await doesNotWork(
    guest,
    `driver ${version} is loaded, and nvidia-smi ends with ${exitCodeWords(code)}${words ? `: ${words}` : ''}`,
  );
}

async function doesNotWork(guest: Guest, because: string): Promise<AgentError> {
  const log = await collectKernelLog({ guest });
  const fault = log.is === 'read' ? findDriverFault(log.driver) : undefined;
  if (!fault) return new AgentError(because, { remedy: 'see what the kernel says: dmesg | grep NVRM' });
  return new AgentError(`${because}\n  ${fault.line.trim()}\n  ${fault.cause}`, { remedy: fault.remedy });
}

/** Before it is installed, so that a cut leaves nothing unknown; the one that it takes the place of is kept beside it. */
export async function rememberPackage(guest: Guest, deed: InstallDriver): Promise<void> {
  const { version, package: given, argv, log, workshop, replaces } = deed;
  const path = given.copy ?? given.path;
  const sha256 = given.sha256 ?? (await guest.digest(path, 'sha256')) ?? '';
  const old = (await readRecord(guest)).filter(kept => kept.version === replaces && kept.version !== version);
  const record: readonly KeptPackage[] = [...old, { version, path, sha256, argv, log, workshop }];
  await guest.makeDirectory(STATE_DIRECTORY, 0o700);
  await guest.writeText(RECORD, `${JSON.stringify(record, null, 2)}\n`, 0o600);
}

/** Of the packages that this program has stored, the one in use is kept. */
export async function forgetOtherPackages(guest: Guest, { package: given }: InstallDriver): Promise<void> {
  const used = basename(dirname(given.copy ?? given.path));
  for (const name of await guest.list(PACKAGE_STORE)) {
    if (name !== used) await guest.removeFolder(`${PACKAGE_STORE}/${name}`);
  }
}

interface Loss {
  readonly failed: string;
  readonly lost: string;
  readonly failure: AgentError;
}

/** The failure of the new driver, with what has become of the old one. */
export async function putBack(guest: Guest, { failed, lost, failure }: Loss, tell: Tell): Promise<AgentError> {
  const { fault, remedy } = failure;
  // one whose last installer was killed has ended nothing
  const told = (end: string, last?: AgentError) => {
    const Kind = last instanceof InstallerKilled ? InstallerKilled : AgentError;
    return new Kind(`${failure.message}\n${end}`, { fault, remedy, cause: failure });
  };
  if (await isOnDisk(guest, lost)) {
    const why = await load(guest, lost);
    return told(why ?? `driver ${lost} is still installed, and works`);
  }
  const kept = (await readRecord(guest)).find(({ version }) => version === lost);
  const lacks = await lackOf(guest, kept);
  if (!kept || lacks) return told(`driver ${lost} is gone, and cannot be put back: ${lacks}`, failure);
  tell.info(`driver ${failed} does not work; driver ${lost} is put back from ${kept.path}`);
  try {
    await runPackage(guest, kept, tell);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return told(`driver ${lost} could not be put back either: ${messageOf(error)}`, error);
  }
  const why = await load(guest, lost);
  return told(why ?? `driver ${lost} has been put back from ${kept.path}, and works as before`);
}

/** The installer gives up before it takes the old driver away, most of the times. */
async function isOnDisk(guest: GuestView, version: string): Promise<boolean> {
  const kernel = (await guest.readText('/proc/sys/kernel/osrelease'))?.trim() ?? '';
  const [log, modinfo] = await Promise.all([
    guest.readStart('/var/lib/nvidia/log', 256),
    guest.query(['modinfo', '-F', 'version', '-k', kernel, 'nvidia']),
  ]);
  return (log?.split('\n')[0]?.includes(`(${version})`) ?? false) && modinfo.stdout.trim() === version;
}

/** Why it does not work; undefined: it does. */
async function load(guest: Guest, version: string): Promise<string | undefined> {
  await guest.run(['modprobe', 'nvidia'], { timeoutMs: MODPROBE_TIMEOUT_MS });
  try {
    await checkDriver(guest, version);
    return undefined;
  } catch (error) {
    return `driver ${version} is on disk, and does not work: ${messageOf(error)}`;
  }
}

async function readRecord(guest: GuestView): Promise<readonly KeptPackage[]> {
  if (await whyForeign(guest, RECORD)) return []; // its argv is run
  try {
    const record: unknown = JSON.parse((await guest.readText(RECORD)) ?? '[]');
    return Array.isArray(record) ? (record as readonly KeptPackage[]) : [];
  } catch {
    return []; // not what this program wrote: then there is nothing to put back
  }
}

async function lackOf(guest: GuestView, kept: KeptPackage | undefined): Promise<string | undefined> {
  if (!kept) return 'this program has not installed it, and does not know its package';
  const sha256 = await guest.digest(kept.path, 'sha256');
  if (sha256 === undefined) return `its package ${kept.path} is not there any more`;
  if (sha256 !== kept.sha256) return `${kept.path} is not the package that it came from`;
  const exposed = await guest.exposure(kept.path);
  return exposed ? `others can change ${exposed}` : undefined;
}
