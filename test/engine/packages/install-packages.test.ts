import { describe, expect, test } from 'vitest';
import { installPackages } from '../../../src/engine/packages/install-packages.ts';
import { FAMILIES } from '../../../src/facts/families.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const DNF_OPTIONS = '--assumeyes --setopt=exit_on_lock=True --exclude=kernel,kernel-core,kernel-uek,kernel-uek-core';

const KERNELS = {
  suse: '6.4.0-150600.23.47-default',
  rhel: '5.14.0-503.14.1.el9_5.x86_64',
  debian: '6.8.0-49-generic',
};

/** Runs the deed on a guest with these programs; what it says and what it called come back with its fault. */
async function install(
  id: keyof typeof KERNELS,
  programs: Record<string, string>,
  packages: string[],
  lockTimeoutMs = 0,
  without?: 'drivers',
) {
  const root = temporaryFolder();
  writeFiles(root, { 'proc/sys/kernel/osrelease': `${KERNELS[id]}\n`, calls: '' });
  for (const [name, script] of Object.entries(programs)) {
    writeProgram(root, name, `printf '%s %s\\n' ${name} "$*" >>"$GUEST_ROOT/calls"\n${script}`);
  }
  const said: string[] = [];
  const tell = {
    info: (text: string) => said.push(`info ${text}`),
    warn: (text: string) => said.push(`warn ${text}`),
    progress: (line: string) => said.push(line),
  };
  const guest = openGuest({ root, env: {} });
  const family = FAMILIES.find(candidate => candidate.id === id)!;
  const fault = await installPackages(guest, {
    family,
    packages,
    lockTimeoutMs,
    tell,
    ...(without ? { without } : {}),
  }).then(
    () => undefined,
    ({ fault, message, remedy }) => ({ fault, message, remedy }),
  );
  return { fault, said, calls: ((await guest.readText('/calls')) ?? '').trim().split('\n') };
}

describe('a guest of the SUSE family', () => {
  test('has zypper install, asking nothing, and each line is told', async () => {
    const zypper =
      '[ "$ZYPP_LOCK_TIMEOUT" = 0 ] || exit 1; echo "Loading repository data..."; echo "Installing: gcc" >&2';
    expect(await install('suse', { zypper }, ['gcc', 'make'])).toEqual({
      fault: undefined,
      said: expect.arrayContaining(['Loading repository data...', 'Installing: gcc']),
      calls: ['zypper --non-interactive install --no-recommends gcc make'],
    });
  });

  test('whose lock somebody else holds is told to try again', async () => {
    const zypper = 'echo "System management is locked by the application with pid 812 (zypper)."; exit 7';
    expect((await install('suse', { zypper }, ['gcc'])).fault).toEqual({
      fault: 'busy',
      message:
        'another program holds the lock of zypper, for 0 s now\n  System management is locked by the application with pid 812 (zypper).',
      remedy: 'wait for it to end (automatic updates often run after boot), then run the same command again',
    });
  });

  // as zypper 1.14.42 wrote it, asked for stub packages
  test('is told the same by the zypper that keeps the name as it was given', async () => {
    const zypper = `echo "'kernel-default-devel=6.4.0-150600.99' not found in package names. Trying capabilities."
echo "No provider of 'kernel-default-devel=6.4.0-150600.99' found." >&2
exit 104`;
    const { fault } = await install('suse', { zypper }, ['kernel-default-devel=6.4.0-150600.99']);
    expect(fault?.message).toBe('no repository of zypper has kernel-default-devel=6.4.0-150600.99');
  });

  // zypper 1.14 prints a name with a version with blanks around the sign
  test('is told where a package comes from that no repository has', async () => {
    const zypper = `echo "'dkms' not found in package names. Trying capabilities."
echo "No provider of 'dkms' found."
echo "No provider of 'kernel-default-devel = 6.4.0-150600.23.47' found."
exit 104`;
    const packages = ['kernel-default-devel=6.4.0-150600.23.47', 'gcc', 'dkms'];
    expect((await install('suse', { zypper }, packages)).fault).toEqual({
      fault: 'failed',
      message: 'no repository of zypper has kernel-default-devel=6.4.0-150600.23.47, dkms',
      remedy:
        'kernel-default-devel=6.4.0-150600.23.47 comes from the update repository of this service pack; a newer kernel may have to be booted first; dkms comes from SUSE Package Hub (SUSEConnect --product PackageHub/VERSION/ARCH): enable the repository that has it, then run vgpu-guest apply again; or set driver.dkms to false',
    });
  });

  test('is not failed by a notice that a reboot is needed', async () => {
    const { fault, said } = await install('suse', { zypper: 'exit 102' }, ['gcc']);
    expect(fault).toBeUndefined();
    expect(said).toEqual(['warn zypper --non-interactive install --no-recommends gcc ended with exit code 102']);
  });

  test('shows the lines that say why', async () => {
    const zypper =
      'echo "Loading..."; echo "Problem: nothing provides libfoo needed by gcc"; echo " Solution 1: skip"; exit 4';
    expect((await install('suse', { zypper }, ['gcc'])).fault).toEqual({
      fault: 'failed',
      message:
        'zypper --non-interactive install --no-recommends gcc ended with exit code 4\n  Problem: nothing provides libfoo needed by gcc',
      remedy:
        'see what it says, run zypper --non-interactive install --no-recommends gcc by hand until it ends well, then run the same command of vgpu-guest again',
    });
  });
});

describe('a guest of the Red Hat family', () => {
  test('uses dnf rather than yum', async () => {
    const { calls, fault } = await install('rhel', { dnf: '', yum: 'exit 1' }, ['gcc']);
    expect([fault, calls]).toEqual([undefined, [`dnf ${DNF_OPTIONS} install gcc`]]);
  });

  test('uses yum where there is no dnf', async () => {
    expect((await install('rhel', { yum: '' }, ['gcc'])).calls).toEqual([`yum ${DNF_OPTIONS} install gcc`]);
  });

  test.each([
    ['dnf', 'echo "No match for argument: dkms"; echo "Error: Unable to find a match: dkms" >&2; exit 1'],
    ['yum', 'echo "No package dkms available."'],
  ])('is told where DKMS comes from, when %s has none', async (program, script) => {
    expect((await install('rhel', { [program]: script }, ['gcc', 'dkms'])).fault).toEqual({
      fault: 'failed',
      message: `no repository of ${program} has dkms`,
      remedy:
        'dkms comes from EPEL (dnf install epel-release): enable the repository that has it, then run vgpu-guest apply again; or set driver.dkms to false',
    });
  });

  test('without a package manager is blocked', async () => {
    expect((await install('rhel', {}, ['gcc'])).fault).toEqual({
      fault: 'blocked',
      message: 'neither dnf nor yum is there',
      remedy: 'install by hand: gcc',
    });
  });
});

describe('a guest of the Debian family', () => {
  test('has its lists made current first, and a failure of that is only told', async () => {
    const apt = `[ "$DEBIAN_FRONTEND" = noninteractive ] || exit 1
case $* in *update) echo "E: Failed to fetch http://mirror/InRelease" >&2; exit 100 ;; esac`;
    const { fault, said, calls } = await install('debian', { 'apt-get': apt }, ['gcc']);
    expect(fault).toBeUndefined();
    expect(said.at(-1)).toBe(
      'warn apt-get --option DPkg::Lock::Timeout=0 update ended with exit code 100\n  E: Failed to fetch http://mirror/InRelease; the present package lists are used',
    );
    expect(calls).toEqual([
      'apt-get --option DPkg::Lock::Timeout=0 update',
      'apt-get --assume-yes --no-install-recommends --option DPkg::Lock::Timeout=0 install gcc',
    ]);
  });

  test.each([
    'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)',
    'E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?',
    'dpkg: error: dpkg frontend lock was locked by another process with pid 812',
  ])('whose lock is held is told to try again (%#)', async line => {
    const { fault } = await install('debian', { 'apt-get': `echo '${line}' >&2; exit 100` }, ['gcc']);
    expect(fault).toMatchObject({
      fault: 'busy',
      message: `another program holds the lock of apt-get, for 0 s now\n  ${line}`,
    });
  });

  test.each([
    ['0', undefined],
    ['100', { fault: 'failed' }],
  ])('that waited for the lock and got it is not busy (exit code %s)', async (code, expected) => {
    const waiting =
      'Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (apt)';
    const { fault } = await install('debian', { 'apt-get': `echo '${waiting}'; exit ${code}` }, ['gcc']);
    if (expected) expect(fault).toMatchObject(expected);
    else expect(fault).toBeUndefined();
  });

  test.each(['E: Unable to locate package dkms', "E: Package 'dkms' has no installation candidate"])(
    'is told what no repository has (%#)',
    async line => {
      const { fault } = await install('debian', { 'apt-get': `echo "${line}" >&2; exit 100` }, ['gcc', 'dkms']);
      expect(fault).toEqual({
        fault: 'failed',
        message: 'no repository of apt-get has dkms',
        remedy: 'enable the repository that has it, then run vgpu-guest apply again; or set driver.dkms to false',
      });
    },
  );
});

describe('a guest whose package manager was cut', () => {
  const aptGet = `if [ "$6" = gcc ] && [ ! -e "$GUEST_ROOT/mended" ]; then
  echo "E: dpkg was interrupted, you must manually run 'sudo dpkg --configure -a' to correct the problem." >&2
  exit 100
fi`;

  test('has that put right, and gets its packages', async () => {
    const dpkg = ': >"$GUEST_ROOT/mended"';
    const { fault, said, calls } = await install('debian', { 'apt-get': aptGet, dpkg }, ['gcc']);
    expect(fault).toBeUndefined();
    expect(said).toContain('warn an earlier run of apt-get was cut; dpkg --configure -a puts that right');
    expect(calls.slice(2)).toEqual(['dpkg --configure -a', calls[1]]);
  });

  test('is told so where it cannot be put right', async () => {
    const dpkg = 'echo "dpkg: error processing package foo (--configure):" >&2; exit 1';
    expect((await install('debian', { 'apt-get': aptGet, dpkg }, ['gcc'])).fault).toMatchObject({
      message: expect.stringContaining('dpkg --configure -a ended with exit code 1'),
      remedy: expect.stringContaining('by hand'),
    });
  });
});

test('another transaction of dnf 5 is waited for', async () => {
  const dnf =
    'echo "Transaction failed: Failed to obtain rpm transaction lock. Another transaction is in progress." >&2; exit 1';
  expect((await install('rhel', { dnf }, ['gcc'])).fault).toMatchObject({ fault: 'busy' });
});

test('a lock that comes free in time is waited for, also where the package manager itself does not', async () => {
  const aptGet = `if [ "$3" = update ] && [ ! -e "$GUEST_ROOT/free" ]; then
  : >"$GUEST_ROOT/free"
  echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (apt-get)' >&2
  exit 100
fi`;
  const { fault, said, calls } = await install('debian', { 'apt-get': aptGet }, ['gcc'], 60_000);
  expect(fault).toBeUndefined();
  expect(said).toContain('another program holds the lock of apt-get; it has 60 s more');
  expect(calls).toEqual([
    'apt-get --option DPkg::Lock::Timeout=60 update',
    'apt-get --option DPkg::Lock::Timeout=60 update',
    'apt-get --assume-yes --no-install-recommends --option DPkg::Lock::Timeout=60 install gcc',
  ]);
});

test('words about a lock are no lock where the package manager ends well', async () => {
  const aptGet = 'echo "Setting up foo: Could not get lock /run/foo, trying another"';
  const { fault, calls } = await install('debian', { 'apt-get': aptGet }, ['gcc']);
  expect(fault).toBeUndefined();
  expect(calls).toHaveLength(2);
});

describe('packages that are to come without a driver', () => {
  const apt = (inst: string) => `case "$*" in *--simulate*) ${inst} ;; *) echo done ;; esac`;
  const ask = (program: string) => install('debian', { 'apt-get': program }, ['cuda-12-8'], 0, 'drivers');
  const SIMULATION = 'apt-get --simulate --no-install-recommends install cuda-12-8';

  test('are asked for by current lists, and installed when none comes along', async () => {
    const { fault, calls } = await ask(apt('echo "Inst cuda-nvcc-12-8 (12.8.93-1 X [amd64])"'));
    expect(fault).toBeUndefined();
    expect(calls.map(call => call.split(' --option')[0])).toEqual([
      'apt-get',
      SIMULATION,
      'apt-get --assume-yes --no-install-recommends',
    ]);
  });

  test.each([
    [
      'would bring one',
      'echo "Inst nvidia-driver-570 (570.124.06 X [amd64])"',
      'blocked',
      /cuda-12-8 would bring a driver .*: nvidia-driver-570$/,
    ],
    [
      'are not known',
      'echo "E: Unable to locate package cuda-12-8" >&2; exit 100',
      'failed',
      /cannot be seen beforehand: apt-get says: E: Unable/,
    ],
    [
      'cannot be asked for',
      'echo "E: Could not get lock /var/lib/dpkg/lock-frontend." >&2; exit 100',
      'busy',
      /another program holds the lock/,
    ],
  ])('and %s are not installed', async (_, inst, fault, message) => {
    const result = await ask(apt(inst));
    expect(result.fault).toMatchObject({ fault, message: expect.stringMatching(message) });
    expect(result.calls.at(-1)).toBe(SIMULATION);
  });
});
