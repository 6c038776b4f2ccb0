import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check } from '../checks.ts';
import type { Container } from '../container.ts';
import { differences, takeManifest } from '../manifest.ts';
import { PARTICULARS } from './family-checks.ts';
import type { Family } from './image/family.ts';
import { NEXT_KERNEL } from './image/rocky.ts';
import { type Repository, repositoryFile, SERVED, SLOW_UPDATE } from './image/rpm.ts';
import { holdByInstalling } from './package-lock.ts';

/** What the program says of a package that is not to be had, by family. */
const WORDS = {
  suse: {
    headers: 'no repository of zypper has kernel-default-devel=6.4.0-150600.23.47',
    headersSource: 'the update repository of this service pack',
    dkmsSource: 'SUSE Package Hub',
  },
  rhel: {
    headers: 'no repository of dnf has kernel-devel-5.14.0-503.14.1.el9_5.x86_64',
    headersSource: 'the release repositories',
    dkmsSource: 'EPEL',
  },
} as const;

const CONFIG = '/etc/vgpu-guest/config.yaml';
const LOCK_TIMEOUT_S = 5;
/** The rest of a run, on a very busy machine. */
const GRACE_S = 90;
const UNTOUCHED = ['/etc', '/boot', '/usr/lib/modules', '/usr/src', '/var/lib/dkms'];

/** What must end without a change to the guest, each by itself; the guest is booted. */
export function refusals(guest: Container, family: Family): readonly Check[] {
  const { broken, missing } = family;
  const words = WORDS[family.id];
  const checks: readonly Check[] = [
    [
      'without the repository of dkms, apply names the package and where it comes from, and installs nothing',
      () =>
        leavesAlone(guest, family, [missing.dkms], async () => {
          const { stderr } = await guest.fail(['vgpu-guest', 'apply'], 1);
          for (const said of [`no repository of ${family.packageManager} has dkms`, words.dkmsSource, 'driver.dkms'])
            assert.ok(stderr.includes(said), stderr);
        }),
    ],
    [
      'with the headers of other kernels only, apply names the ones of this very kernel, and installs nothing',
      () =>
        leavesAlone(guest, family, [missing.headers], async () => {
          const { stderr } = await guest.fail(['vgpu-guest', 'apply'], 1);
          for (const said of [words.headers, words.headersSource]) assert.ok(stderr.includes(said), stderr);
        }),
    ],
    [
      'with a dkms that needs what no repository has, apply quotes the reason, and installs nothing',
      () =>
        leavesAlone(guest, family, [missing.dkms, broken], async () => {
          const { stderr } = await guest.fail(['vgpu-guest', 'apply'], 1);
          assert.match(stderr, /Problem.* nothing provides mokutil >= 1 needed by dkms/s);
        }),
    ],
    [
      `another ${family.packageManager} that does not end is waited for as long as configured, and no longer`,
      () => waitsInVain(guest, family, `${PARTICULARS[family.id].install} ${SLOW_UPDATE.name}`),
    ],
    [
      'an rpm that does not end is waited for as long as configured, and no longer',
      () => waitsInVain(guest, family, `rpm -i ${slowUpdateFile(family)}`),
    ],
  ];
  return family.id === 'rhel' ? [...checks, keepsItsKernel(guest, family)] : checks;
}

/** The lock's limit is short, so that waiting in vain does not take long. */
export async function configureRefusals(guest: Container): Promise<void> {
  const config = await readFile(join(guest.root, CONFIG), 'utf8');
  await guest.write(CONFIG, `${config}lockTimeout: ${LOCK_TIMEOUT_S}s\n`, 0o644);
}

/** While some repositories are the other way round than usual. */
async function leavesAlone(
  guest: Container,
  family: Family,
  turned: readonly Repository[],
  prove: () => Promise<void>,
): Promise<void> {
  await using _ = await turn(guest, family, turned);
  const before = await standing(guest);
  await prove();
  const after = await standing(guest);
  assert.equal(after.packages, before.packages);
  assert.deepEqual(differences(before.manifest, after.manifest), []);
}

async function waitsInVain(guest: Container, family: Family, install: string): Promise<void> {
  await leavesAlone(guest, family, [], async () => {
    await guest.write('/root/hold-package-lock', holdByInstalling(install), 0o755);
    const lock = await guest.hold(['/root/hold-package-lock']);
    const startedMs = performance.now();
    try {
      const limit = ['timeout', '--kill-after=5', String(LOCK_TIMEOUT_S + GRACE_S)] as const;
      const { stderr } = await guest.fail([...limit, 'vgpu-guest', 'apply'], 75, {
        deadlineMs: (LOCK_TIMEOUT_S + GRACE_S + 30) * 1_000,
      });
      const waitedS = (performance.now() - startedMs) / 1_000;
      assert.ok(waitedS >= LOCK_TIMEOUT_S, `it has waited for ${waitedS} s only`);
      assert.ok(stderr.includes(`another program holds the lock of ${family.packageManager}`), stderr);
    } finally {
      await lock.release();
      await guest.execute(['rpm', '--erase', SLOW_UPDATE.name]);
    }
  });
}

function keepsItsKernel(guest: Container, family: Family): Check {
  return [
    'while the repositories have a newer kernel, the headers of this one and dkms come without it',
    async () => {
      await using _ = await turn(guest, family, [NEXT_KERNEL]);
      const before = await guest.succeed(['rpm', '--query', 'kernel-core']);
      await guest.succeed(['vgpu-guest', 'apply', '--only', 'install-prerequisites'], { deadlineMs: 120_000 });
      await guest.succeed(['rpm', '--query', 'dkms']);
      assert.equal(await guest.succeed(['rpm', '--query', 'kernel-core']), before);
    },
  ];
}

async function turn(
  guest: Container,
  { repositoryFolder }: Family,
  repositories: readonly Repository[],
): Promise<AsyncDisposable> {
  const write = async (turned: boolean) => {
    for (const repository of repositories) {
      const state = (repository.off ?? false) === turned ? 'on' : 'off';
      await guest.write(`${repositoryFolder}/${repository.id}.repo`, repositoryFile(repository, state), 0o644);
    }
  };
  await write(true);
  return { [Symbol.asyncDispose]: () => write(false) };
}

async function standing(guest: Container) {
  return { packages: await guest.succeed(['rpm', '--query', '--all']), manifest: takeManifest(guest.root, UNTOUCHED) };
}

function slowUpdateFile({ repositories }: Family): string {
  const home = repositories.find(({ packages }) => packages.includes(SLOW_UPDATE));
  return `${SERVED}/${home?.id}/${SLOW_UPDATE.name}-${SLOW_UPDATE.version}.noarch.rpm`;
}
