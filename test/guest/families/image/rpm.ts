import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Inside } from './inside.ts';

export type Take = (root: string, stage: string) => Promise<void>;

/** A package as rpm knows it. */
export interface Rpm {
  readonly name: string;
  /** `VERSION-RELEASE`, or `EPOCH:VERSION-RELEASE`. */
  readonly version: string;
  readonly noarch?: true;
  readonly provides?: readonly string[];
  readonly requires?: readonly string[];
  /** Debian's packages whose files it brings. */
  readonly brings?: readonly string[];
  /** Takes more that it brings out of the root. */
  readonly take?: Take | undefined;
  /** Links that it brings: target by path. */
  readonly links?: Readonly<Record<string, string>>;
  /** What it runs in the guest once its files are there. */
  readonly post?: string;
}

/** A folder of packages that the package manager is told of. */
export interface Repository {
  readonly id: string;
  readonly packages: readonly Rpm[];
  /** Off until a test writes its file anew. */
  readonly off?: true;
}

/** Where the guest has its repositories; what is not served is built in a folder that the finished image has not. */
export const SERVED = '/srv/repositories';
export const WORKSHOP = '/workshop';

/** Pipes of the guest between a slow update and who waits for it. */
export const SLOW_UPDATE_BEGUN = '/run/slow-update.begun';
export const SLOW_UPDATE_GO = '/run/slow-update.go';

/** A repository's definition; zypper and dnf read the same. */
export function repositoryFile({ id }: Repository, state: 'on' | 'off'): string {
  return `[${id}]
name=${id}
enabled=${state === 'on' ? 1 : 0}
baseurl=file://${SERVED}/${id}
gpgcheck=0
`;
}

/** Where the files lie, on this machine, that a package of the workshop is to bring. */
export async function openStage(root: string, rpm: Rpm): Promise<string> {
  const stage = join(root, WORKSHOP, 'stage', fileName(rpm));
  await mkdir(stage, { recursive: true });
  return stage;
}

/** Builds packages from what lies on their stages into a folder of the guest. */
export async function buildRpms(root: string, inside: Inside, rpms: readonly Rpm[], folder: string): Promise<void> {
  const specs = await Promise.all(
    rpms.map(async rpm => {
      const name = fileName(rpm);
      const stage = await openStage(root, rpm);
      await writeFile(join(root, WORKSHOP, `${name}.files`), await fileList(stage));
      await writeFile(join(root, WORKSHOP, `${name}.spec`), specOf(rpm));
      return `${WORKSHOP}/${name}.spec`;
    }),
  );
  const define = (name: string, value: string) => ['--define', `${name} ${value}`];
  const quick = [
    // no compression, and nothing of what usually happens to files on their way into a package
    ...define('_binary_payload', 'w.ufdio'),
    ...define('_empty_manifest_terminate_build', '0'),
    ...define('_build_id_links', 'none'),
    ...define('debug_package', '%{nil}'),
    ...define('__os_install_post', '%{nil}'),
    ...define('_rpmdir', folder),
    ...define('_topdir', WORKSHOP),
    ...define('_build_name_fmt', '%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm'),
  ];
  if (specs.length > 0) await inside(['rpmbuild', '-bb', '--quiet', ...quick, ...specs]);
}

/** Installs what a folder holds, as the packages of an installed system. */
export async function installRpms(root: string, inside: Inside, folder: string): Promise<void> {
  const names = await readdir(join(root, folder));
  await inside(['rpm', '--install', '--nodeps', ...names.map(name => `${folder}/${name}`)]);
}

/** Where the packages of the installed system are built. */
export const INSTALLED_FROM = `${WORKSHOP}/installed`;

/** A package that does not get done until it is let: whoever installs it holds what package managers lock. */
export const SLOW_UPDATE: Rpm = {
  name: 'slow-update',
  version: '1-1',
  noarch: true,
  post: `echo begun > ${SLOW_UPDATE_BEGUN}\nread -r word < ${SLOW_UPDATE_GO}`,
};

function fileName({ name, version }: Rpm): string {
  return `${name}-${version.replace(':', '_')}`;
}

function specOf(rpm: Rpm): string {
  const [, epoch, version, release] = /^(?:(\d+):)?([^-]+)-([^-]+)$/.exec(rpm.version) ?? [];
  const lines = [
    `Name: ${rpm.name}`,
    ...(epoch ? [`Epoch: ${epoch}`] : []),
    `Version: ${version}`,
    `Release: ${release}`,
    'Summary: A package of a test',
    'License: none',
    ...(rpm.noarch ? ['BuildArch: noarch'] : []),
    'AutoReqProv: no',
    ...(rpm.provides ?? []).map(name => `Provides: ${name}`),
    ...(rpm.requires ?? []).map(name => `Requires: ${name}`),
    '%description',
    'A package of a test',
    '%install',
    `cp --archive --link ${WORKSHOP}/stage/${fileName(rpm)}/. %{buildroot}/`,
    ...(rpm.post ? ['%post', rpm.post] : []),
    `%files -f ${WORKSHOP}/${fileName(rpm)}.files`,
  ];
  return `${lines.join('\n')}\n`;
}

/** Files and links; folders belong to nobody. */
async function fileList(stage: string): Promise<string> {
  const entries = await readdir(stage, { recursive: true, withFileTypes: true });
  const paths = entries.filter(entry => !entry.isDirectory()).map(entry => join(entry.parentPath, entry.name));
  return paths.map(path => `"${path.slice(stage.length)}"\n`).join('');
}
