import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import type { Architecture } from './node-binary.ts';
import { DEB_SCRIPTS, RPM_SCRIPTS } from './scriptlets.ts';
import type { Shipped } from './shipped.ts';
import { stage } from './stage.ts';

export interface PackageOptions {
  /** Where to work. */
  readonly folder: string;
  readonly output: string;
  readonly architecture: Architecture;
  readonly files: readonly Shipped[];
  /** Every time in the package. */
  readonly timeS: number;
  /** Of xz: 0 to 9. */
  readonly level: number;
}

const DEB_ARCHITECTURE = { x64: 'amd64', arm64: 'arm64' } as const;
const RPM_ARCHITECTURE = { x64: 'x86_64', arm64: 'aarch64' } as const;
/** The configuration is the operator's to write, so no package has it: only where it will lie. */
const FOLDERS = ['/etc/vgpu-guest'];
const SUMMARY = 'Brings a guest with an NVIDIA vGPU to licensed and proved';
const DESCRIPTION = `vgpu-guest installs NVIDIA's guest driver, configures and starts nvidia-gridd, waits for
the license, goes on after a reboot, and says what is wrong where it cannot go on.`;
const HOMEPAGE = 'https://docs.nvidia.com/vgpu/';

/** For dpkg, from Debian 10 and Ubuntu 20.04 on. */
export function buildDeb({ folder, output, architecture, files, timeS, level }: PackageOptions): string {
  const tree = join(folder, 'deb');
  const name = join(output, `${manifest.name}_${manifest.version}_${DEB_ARCHITECTURE[architecture]}.deb`);
  const sizeKiB = files.reduce((sum, { bytes }) => sum + Math.ceil(Buffer.byteLength(bytes) / 1024), 0);
  const control = `Package: ${manifest.name}
Version: ${manifest.version}
Architecture: ${DEB_ARCHITECTURE[architecture]}
Maintainer: ${manifest.name} <root@localhost>
Installed-Size: ${sizeKiB}
Depends: libc6 (>= 2.28), libgcc-s1 | libgcc1, libstdc++6 (>= 5)
Section: admin
Priority: optional
Homepage: ${HOMEPAGE}
Description: ${SUMMARY}
${DESCRIPTION.split('\n')
  .map(line => ` ${line}`)
  .join('\n')}
`;
  const sums = files.map(({ path, bytes }) => `${createHash('md5').update(bytes).digest('hex')}  ${path.slice(1)}\n`);
  const meta = [
    { path: '/DEBIAN/control', bytes: control, mode: 0o644 },
    { path: '/DEBIAN/md5sums', bytes: sums.sort().join(''), mode: 0o644 },
    ...Object.entries(DEB_SCRIPTS).map(([script, bytes]) => ({ path: `/DEBIAN/${script}`, bytes, mode: 0o755 })),
  ];
  stage(tree, [...files, ...meta], FOLDERS, timeS);
  const argv = ['--root-owner-group', '-Zxz', `-z${level}`, '--threads-max=1', '--build', tree, name];
  execFileSync('dpkg-deb', argv, { env: { ...process.env, SOURCE_DATE_EPOCH: String(timeS) }, stdio: 'pipe' });
  return name;
}

/** For rpm, from RHEL 8 and SLES 15 SP3 on; what the executable needs of the C library is found in it by rpmbuild. */
export function buildRpm({ folder, output, architecture, files, timeS, level }: PackageOptions): string {
  const top = join(folder, 'rpm');
  const tree = join(top, 'tree');
  const target = RPM_ARCHITECTURE[architecture];
  stage(tree, files, FOLDERS, timeS);
  const spec = join(top, `${manifest.name}.spec`);
  writeFileSync(spec, specText(tree, files, level));
  const argv = ['-bb', '--target', `${target}-linux`, '--define', `_topdir ${top}`, spec];
  execFileSync('rpmbuild', argv, {
    env: { ...process.env, LC_ALL: 'C', SOURCE_DATE_EPOCH: String(timeS) },
    stdio: 'pipe',
  });
  const file = `${manifest.name}-${manifest.version}-1.${target}.rpm`;
  mkdirSync(output, { recursive: true });
  renameSync(join(top, 'RPMS', target, file), join(output, file));
  rmSync(join(top, 'BUILDROOT'), { recursive: true, force: true });
  chmodSync(join(output, file), 0o644);
  return join(output, file);
}

function specText(tree: string, files: readonly Shipped[], level: number): string {
  const rows = files.map(({ path }) => `${kindOf(path)}${path}`);
  const folders = OWN_FOLDERS.filter(folder => files.some(({ path }) => path.startsWith(`${folder}/`)));
  return `# the executable is finished: nothing is to be stripped, linked or compressed once more
%global debug_package %{nil}
%global __os_install_post %{nil}
%global _build_id_links none
%global _binary_payload w${level}.xzdio
# the same sources give the same bytes
%global _buildhost localhost
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%global source_date_epoch_from_changelog 0
Name: ${manifest.name}
Version: ${manifest.version}
Release: 1
Summary: ${SUMMARY}
License: ${manifest.license}
URL: ${HOMEPAGE}
Group: System/Base
%description
${DESCRIPTION}
%install
mkdir -p %{buildroot}
cp -a ${tree}/. %{buildroot}/
%files
%defattr(-,root,root,-)
${FOLDERS.map(path => `%dir ${path}`).join('\n')}
${folders.map(path => `%dir ${path}`).join('\n')}
${rows.join('\n')}
${RPM_SCRIPTS}`;
}

/** Below these, folders that no other package has. */
const OWN_FOLDERS = [
  '/usr/share/doc/vgpu-guest',
  '/usr/share/licenses/vgpu-guest',
  '/usr/share/vgpu-guest',
  '/usr/share/vgpu-guest/examples',
  '/usr/share/vgpu-guest/schemas',
];

function kindOf(path: string): string {
  if (path.startsWith('/usr/share/licenses/')) return '%license ';
  return /^\/usr\/share\/(doc|man)\//.test(path) ? '%doc ' : '';
}
