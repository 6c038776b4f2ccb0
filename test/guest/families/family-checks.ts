import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Check } from '../checks.ts';
import type { Container } from '../container.ts';
import type { JourneyTraits } from '../container-journey.ts';
import type { Family } from './image/family.ts';
import { SLOW_UPDATE } from './image/rpm.ts';
import { holdByInstalling } from './package-lock.ts';

/** What is true of one family only. */
interface Particulars {
  readonly blacklist: string;
  /** The package manager's command for a package. */
  readonly install: string;
  readonly showsWaiting: readonly [string, ...string[]];
  /** NAME VERSION of the packages that the journey installs, as rpm tells them. */
  readonly installs: readonly string[];
  /** Where its DKMS puts modules. */
  readonly dkmsFolder: string;
}

export const PARTICULARS: Readonly<Record<Family['id'], Particulars>> = {
  suse: {
    blacklist: '/etc/modprobe.d/50-blacklist.conf',
    install: 'zypper --non-interactive install',
    // zypper says nothing while it waits; only the program's own is told for how long it is to wait
    showsWaiting: ['sh', '-c', 'grep -qs ZYPP_LOCK_TIMEOUT /proc/[0-9]*/environ'],
    installs: [
      'kernel-default-devel 6.4.0-150600.23.47.2',
      'libglvnd-devel 1.4.0-150400.1.10',
      'gcc 7-3.9.1',
      'make 4.2.1-7.3.2',
      'dkms 3.0.10-bp156.1.2',
    ],
    dkmsFolder: 'updates',
  },
  rhel: {
    blacklist: '/etc/modprobe.d/blacklist-nouveau.conf',
    install: 'dnf --assumeyes install',
    showsWaiting: ['grep', '-E', 'Waiting for process|holds the lock', '/var/log/vgpu-guest.log'],
    installs: [
      'kernel-devel 5.14.0-503.14.1.el9_5',
      'kernel-headers 5.14.0-503.14.1.el9_5',
      'elfutils-libelf-devel 0.191-4.el9',
      'libglvnd-devel 1.3.4-1.el9',
      'gcc 11.5.0-2.el9',
      'make 4.3-8.el9',
      'dkms 3.0.10-1.el9',
    ],
    dkmsFolder: 'extra',
  },
};

const MINUTE_MS = 60_000;
const TOOLS = ['gcc', 'cc', 'make', 'dkms', 'apt-get', 'dpkg-query'];

export function journeyTraits({ id, packageManager, traits }: Family): JourneyTraits {
  const { blacklist, install, installs, showsWaiting } = PARTICULARS[id];
  return {
    blacklist,
    initrdImage: kernel => traits.initrd.replace('KERNEL', kernel),
    readInitrd: (guest, image, path) =>
      guest.succeed(['lsinitrd', '--file', path.slice(1), image], { deadlineMs: MINUTE_MS }),
    packageManager: {
      name: packageManager,
      holdLock: holdByInstalling(`${install} ${SLOW_UPDATE.name}`),
      showsWaiting,
      async hasInstalled(guest) {
        const names = installs.map(line => line.split(' ')[0] ?? '');
        const format = '%{NAME} %{VERSION}-%{RELEASE}\\n';
        const told = await guest.succeed(['rpm', '--query', '--queryformat', format, ...names]);
        assert.deepEqual(told.trim().split('\n').sort(), installs.toSorted());
        await guest.succeed(['rpm', '--verify', ...names], { deadlineMs: MINUTE_MS });
      },
    },
  };
}

/** Holds before the first boot. */
export function isBare(guest: Container, { kernel }: Family): Check {
  return [
    'a bare guest has no compiler, no make, no DKMS, no headers, and nothing of Debian to install them with',
    async () => {
      const folders = ['usr/local/sbin', 'usr/local/bin', 'usr/sbin', 'usr/bin'];
      const programs = TOOLS.filter(name => folders.some(folder => existsSync(join(guest.root, folder, name))));
      assert.deepEqual(programs, []);
      assert.ok(!existsSync(join(guest.root, kernel.build)), kernel.build);
    },
  ];
}

/** Hold at the journey's end, besides what holds on every guest. */
export function familyChecks(guest: Container, family: Family, version: string): readonly Check[] {
  const { kernel, traits } = family;
  const image = traits.initrd.replace('KERNEL', kernel.release);
  const { dkmsFolder } = PARTICULARS[family.id];
  const findModule = async () =>
    (await guest.succeed(['modinfo', '-k', kernel.release, '-F', 'filename', 'nvidia'])).trim();
  return [
    [
      'the initrd carries nouveau for the GPU that is there, so the blacklist in it matters, and only root can read it',
      async () => {
        const list = await guest.succeed(['lsinitrd', image], { deadlineMs: MINUTE_MS });
        assert.match(list, new RegExp(`/nouveau\\.ko\\${traits.moduleSuffix}$`, 'm'));
        assert.equal((await guest.succeed(['stat', '--format=%a', image])).trim(), '600');
        await guest.succeed(['test', '-s', `${image}.before-vgpu-guest`]);
      },
    ],
    [
      "DKMS has put the installer's module where this family's does, and one that it builds itself is packed as the kernel's own",
      async () => {
        const folder = `/lib/modules/${kernel.release}/${dkmsFolder}`;
        const module = `nvidia/${version}`;
        assert.equal(await findModule(), `${folder}/nvidia.ko`);
        for (const verb of ['build', 'install'])
          await guest.succeed(['dkms', verb, module, '-k', kernel.release, '--force'], { deadlineMs: MINUTE_MS });
        assert.equal(await findModule(), `${folder}/nvidia.ko${traits.moduleSuffix}`);
        assert.match(await guest.succeed(['dkms', 'status', module]), /: installed$/m);
      },
    ],
    ...(family.id === 'suse' ? [allowsNvidia(guest)] : []),
  ];
}

function allowsNvidia(guest: Container): Check {
  const read = async (folder: string) => guest.succeed(['cat', `${folder}/modprobe.d/10-unsupported-modules.conf`]);
  return [
    'modprobe may load what SUSE does not support, by a copy of the file that forbids it; the file itself stays as it was shipped',
    async () => {
      const shipped = await read('/usr/lib');
      assert.match(shipped, /^allow_unsupported_modules 0$/m);
      assert.equal(await read('/etc'), shipped.replace('allow_unsupported_modules 0', 'allow_unsupported_modules 1'));
    },
  ];
}
