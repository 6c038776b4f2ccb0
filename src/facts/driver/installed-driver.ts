import type { GuestView } from '../../guest/guest.ts';
import type { Look } from '../facts.ts';
import { STATE_DIRECTORY } from '../record.ts';

/** What a .run package has left for taking its driver away again. */
export interface InstalledDriverFact {
  /** The program that does so; undefined: it is not there. */
  readonly uninstaller: readonly [string, ...string[]] | undefined;
  /** Kernels for which the module nvidia is on disk. */
  readonly kernels: readonly string[];
  /** Versions that this program has installed. */
  readonly ours: readonly string[];
}

/** Written by each installation, for putting a driver back. */
const PACKAGES = `${STATE_DIRECTORY}/driver.json`;
/** The same program by two names. */
const UNINSTALLERS = [
  ['/usr/bin/nvidia-uninstall', ['nvidia-uninstall']],
  ['/usr/bin/nvidia-installer', ['nvidia-installer', '--uninstall']],
] as const;

export async function collectInstalledDriver({ guest, fact }: Look): Promise<InstalledDriverFact> {
  const { record } = await fact('record');
  const [kernels, kept, ...there] = await Promise.all([
    kernelsWithModule(guest),
    guest.readText(PACKAGES),
    ...UNINSTALLERS.map(([path]) => guest.stat(path)),
  ]);
  const ours = [...versionsIn(kept ?? '[]'), ...(record.driver ? [record.driver.version] : [])];
  return { uninstaller: UNINSTALLERS[there.findIndex(Boolean)]?.[1], kernels, ours };
}

/** Every one of them may be booted next. */
export async function kernelsWithModule(guest: GuestView): Promise<readonly string[]> {
  const kernels = await guest.list('/lib/modules');
  const found = await Promise.all(
    kernels.map(async kernel => {
      const { code } = await guest.query(['modinfo', '-F', 'version', '-k', kernel, 'nvidia']);
      return code === 0 ? [kernel] : [];
    }),
  );
  return found.flat();
}

function versionsIn(text: string): readonly string[] {
  try {
    const kept: unknown = JSON.parse(text);
    return Array.isArray(kept) ? kept.map(({ version }) => String(version)) : [];
  } catch {
    return []; // not what this program wrote
  }
}
