import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configSchema, type Settings } from '../../src/config/schema.ts';
import { lookAt } from '../../src/facts/facts.ts';
import { openEyes } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../helpers/temporary.ts';

const SLES = {
  release: 'NAME="SLES"\nVERSION_ID="15.6"\nID="sles"\nID_LIKE="suse"\n',
  kernel: '6.4.0-150600.23.47-default',
};
const UBUNTU = {
  release: 'NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n',
  kernel: '6.8.0-49-generic',
};

function guestOf({ release, kernel }: typeof SLES): string {
  const root = temporaryFolder();
  writeFiles(root, { 'etc/os-release': release, 'proc/sys/kernel/osrelease': `${kernel}\n` });
  return root;
}

async function missing(root: string, settings: Settings = {}) {
  const look = lookAt(openEyes({ root, env: {} }), configSchema.parse(settings));
  const fact = await look.fact('prerequisites');
  return { manager: fact.manager, names: fact.missing.map(({ name }) => name) };
}

describe('a guest of the SUSE family', () => {
  // rpm's words for what is not there are typed from rpm 4.14
  const rpm = `printf '%s\\n' "$*" >>"$GUEST_ROOT/calls"
shift 3
code=0
for name; do
  case $name in gcc | make) echo "$name" ;; *) echo "package $name is not installed"; code=$((code + 1)) ;; esac
done
exit $code`;

  test('is asked once for all packages, and the headers are looked for on disk', async () => {
    const root = guestOf(SLES);
    writeProgram(root, 'rpm', rpm);
    writeProgram(root, 'zypper', '');
    expect(await missing(root)).toEqual({
      manager: 'zypper',
      names: ['kernel-default-devel', 'libglvnd-devel', 'dkms'],
    });
    const { readText } = openEyes({ root, env: {} });
    expect(await readText('/calls')).toBe('--query --queryformat %{NAME}\\n libglvnd-devel gcc make dkms\n');
  });

  test('has its headers when the build tree can be used, whatever its package', async () => {
    const root = guestOf(SLES);
    writeProgram(root, 'rpm', rpm);
    writeFiles(root, { 'usr/src/linux-obj/Makefile': 'all:\n', [`lib/modules/${SLES.kernel}/modules.dep`]: '' });
    symlinkSync('/usr/src/linux-obj', join(root, 'lib/modules', SLES.kernel, 'build'));
    expect(await missing(root)).toEqual({ manager: undefined, names: ['libglvnd-devel', 'dkms'] });
  });

  test('lacks headers whose removal left a link to nowhere', async () => {
    const root = guestOf(SLES);
    writeProgram(root, 'rpm', rpm);
    writeFiles(root, { [`lib/modules/${SLES.kernel}/modules.dep`]: '' });
    symlinkSync('/usr/src/gone', join(root, 'lib/modules', SLES.kernel, 'build'));
    expect((await missing(root)).names).toContain('kernel-default-devel');
  });

  test('needs no DKMS where none is asked for', async () => {
    const root = guestOf(SLES);
    writeProgram(root, 'rpm', rpm);
    expect((await missing(root, { driver: { dkms: false } })).names).toEqual([
      'kernel-default-devel',
      'libglvnd-devel',
    ]);
  });

  test('without rpm lacks everything', async () => {
    expect((await missing(guestOf(SLES))).names).toHaveLength(5);
  });
});

test('a guest of the Debian family has what dpkg calls installed, also on hold, and not what is left or broken', async () => {
  const root = guestOf(UBUNTU);
  // as dpkg-query 1.22 prints ${db:Status-Abbrev} and a name
  writeProgram(
    root,
    'dpkg-query',
    `printf 'ii  gcc\\nii  libc6-dev\\nhi  make\\nrc  dkms\\niU  libglvnd-dev\\niiR pkg-config\\n'
echo 'dpkg-query: no packages found matching nothing' >&2
exit 1`,
  );
  writeProgram(root, 'apt-get', '');
  expect(await missing(root)).toEqual({
    manager: 'apt-get',
    names: ['linux-headers-6.8.0-49-generic', 'pkg-config', 'libglvnd-dev', 'dkms'],
  });
});

test('a guest of an unknown family lacks nothing that could be named', async () => {
  expect(await missing(guestOf({ release: 'ID=alpine\n', kernel: '6.6.1' }))).toEqual({
    manager: undefined,
    names: [],
  });
});

test('a pkg-config that another package brought is one all the same', async () => {
  const root = guestOf(UBUNTU);
  writeProgram(root, 'dpkg-query', 'printf "ii  %s\\n" pkgconf libglvnd-dev gcc libc6-dev make dkms');
  writeProgram(root, 'pkg-config', '');
  writeFiles(root, { [`lib/modules/${UBUNTU.kernel}/build/Makefile`]: 'all:\n' });
  expect((await missing(root)).names).toEqual([]);
});
