import { movesTrees } from '../../formats/driver/dkms-framework.ts';
import type { DkmsEntry } from '../../formats/driver/dkms-status.ts';
import type { GuestView } from '../../guest/guest.ts';
import { isInstalled } from '../prerequisites.ts';
import { frameworkTexts } from './dkms-framework.ts';

export const DKMS_TREE = '/var/lib/dkms/nvidia';
const MODULES = '/lib/modules';
const BUILT_MODULE = /\.ko(?:\.(?:gz|xz|zst))?$/;

/**
 * The driver as DKMS has it, where its tree shows that plainly: nothing of it is there; or every version has its source, every build of it
 * is in place, and one is of the running kernel. `dkms status` goes by the same links and folders (is_module_added, is_module_built and
 * _is_module_installed in 2.8.5 to 3.4.3), starts a hundred processes for it and compares all modules, which takes a guest seconds.
 * undefined: DKMS has to be asked.
 */
export async function readDkmsTree(guest: GuestView, kernel: string): Promise<readonly DkmsEntry[] | undefined> {
  const entries = await entriesOf(guest, kernel);
  if (!entries) return undefined;
  const [hasDkms, framework, hasWeak] = await Promise.all([
    isInstalled(guest, 'dkms'),
    frameworkTexts(guest),
    entries.length > 0 && hasWeakModules(guest),
  ]);
  return hasDkms && !movesTrees(framework) && !hasWeak ? entries : undefined;
}

async function entriesOf(guest: GuestView, kernel: string): Promise<readonly DkmsEntry[] | undefined> {
  const names = await guest.list(DKMS_TREE);
  if (names.length === 0) return [];
  const versions = names.filter(name => /^\d/.test(name));
  const links = names.filter(name => name.startsWith('kernel-'));
  if (versions.length + links.length !== names.length) return undefined;
  const builds = await Promise.all(versions.map(version => buildsOf(guest, version)));
  const entries = builds.every(each => each !== undefined) ? builds.flat() : [];
  return entries.length === links.length && entries.some(entry => entry.kernel === kernel) ? entries : undefined;
}

/** undefined: not all of it is installed, or it is not what DKMS leaves behind when it is done. */
async function buildsOf(guest: GuestView, version: string): Promise<readonly DkmsEntry[] | undefined> {
  const folder = `${DKMS_TREE}/${version}`;
  const [source, names] = await Promise.all([guest.stat(`${folder}/source/dkms.conf`), guest.list(folder)]);
  // a folder of its own for builds may be left, empty or not
  const kernels = names.filter(name => name !== 'source' && name !== 'build');
  if (source?.kind !== 'file' || source.sizeBytes === 0 || !kernels.every(name => /^\d+\./.test(name)))
    return undefined;
  const builds = await Promise.all(
    kernels.map(async kernel => {
      const architectures = await guest.list(`${folder}/${kernel}`);
      return Promise.all(architectures.map(architecture => buildOf(guest, { version, kernel, architecture })));
    }),
  );
  const entries = builds.flat();
  return builds.every(each => each.length > 0) && entries.every(each => each !== undefined) ? entries : undefined;
}

interface Build {
  readonly version: string;
  readonly kernel: string;
  readonly architecture: string;
}

async function buildOf(guest: GuestView, build: Build): Promise<DkmsEntry | undefined> {
  const { version, kernel, architecture } = build;
  const path = `${version}/${kernel}/${architecture}`;
  const [link, modules] = await Promise.all([
    guest.readLink(`${DKMS_TREE}/kernel-${kernel}-${architecture}`),
    guest.list(`${DKMS_TREE}/${path}/module`),
  ]);
  if (link !== path || !modules.some(name => BUILT_MODULE.test(name))) return undefined;
  return { module: 'nvidia', ...build, status: 'installed', warning: undefined };
}

/** Modules of one kernel that another one is lent; DKMS tells these apart by what is on disk for each kernel. */
async function hasWeakModules(guest: GuestView): Promise<boolean> {
  const kernels = await guest.list(MODULES);
  const weak = await Promise.all(kernels.map(kernel => guest.list(`${MODULES}/${kernel}/weak-updates`)));
  return weak.flat().some(name => name.startsWith('nvidia'));
}
