/**
 * The whole journey on a Debian with its own systemd in a container: the built program, apt, dkms with a compiler, update-initramfs
 * or dracut, systemd and its journal are the real ones.
 *
 * Not real here, because a container shares the machine's kernel and there is no GPU: the kernel release (the one whose modules and
 * headers are installed is shown instead of the running one; `uname` still tells the truth), the PCI bus with its GPU, which drivers
 * are loaded and bound, NVIDIA's package and what it installs (nvidia-gridd, nvidia-smi: stand-ins), and the license service.
 * Nothing boots from the initrd that is built: it is read, and nouveau takes the GPU at boot unless it is blacklisted on disk.
 */
import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import type { Argv } from '../../src/change.ts';
import { buildStandInRun } from '../helpers/stand-in-run.ts';
import { makeToken } from '../helpers/token.ts';
import { bringProgram, isResumed, NODE, RESUME_UNIT } from './callers/bed.ts';
import { type Check, indent, runInOrder, type Tally } from './checks.ts';
import { type Container, createContainer } from './container.ts';
import { GRANTING_SERVICE, HARDWARE, kernelOf, plugIn, powerOn } from './hardware.ts';
import { DEBIAN_ARCHITECTURE, openImage, requireMachine } from './image.ts';
import { differences, type Manifest, takeManifest } from './manifest.ts';
import { chooseByName, playInLanes, runAsProgram } from './tier.ts';

/** What the journey looks at, where distributions differ. */
export interface JourneyTraits {
  readonly initrdImage: (kernel: string) => string;
  readonly readInitrd: (guest: Container, image: string, path: string) => Promise<string>;
  readonly blacklist: string;
  readonly packageManager: {
    readonly name: string;
    /** A program that keeps it out as a running one does: prints something once it does, and ends with its standard input. */
    readonly holdLock: string;
    /** Succeeds once the package manager of a first run is being kept waiting. */
    readonly showsWaiting: readonly [string, ...string[]];
    /** Proves that everything a driver for this kernel is built with is installed, as the package database sees it. */
    readonly hasInstalled: (guest: Container, kernel: string) => Promise<void>;
  };
}

/** The two programs that build a Debian's initrd, each in a guest of its own; the second has a syslog daemon and a compiler as well. */
interface Variant extends Pick<JourneyTraits, 'readInitrd'> {
  readonly name: string;
  readonly packages: readonly string[];
  /** Of what the driver is built with: the operator's own, which stays when all else goes. */
  readonly compiler: readonly string[];
  /** What an operator has configured before: an initrd is packed fast instead of small. */
  readonly files: Readonly<Record<string, string>>;
}

const VARIANTS: readonly Variant[] = [
  {
    name: 'initramfs-tools',
    packages: ['initramfs-tools'],
    compiler: [],
    files: { '/etc/initramfs-tools/conf.d/fast': 'COMPRESSLEVEL=1\n' },
    async readInitrd(guest, image, path) {
      await guest.succeed(['unmkinitramfs', image, '/tmp/initrd'], { deadlineMs: MINUTE_MS });
      return guest.succeed(['cat', `/tmp/initrd${path}`]);
    },
  },
  {
    name: 'dracut',
    packages: ['dracut', 'rsyslog'],
    compiler: ['gcc', 'make', 'libc6-dev'],
    files: { '/etc/dracut.conf.d/10-fast.conf': 'compress="zstd -1"\ndo_strip=no\n' },
    readInitrd: (guest, image, path) =>
      guest.succeed(['lsinitrd', '--file', path.slice(1), image], { deadlineMs: MINUTE_MS }),
  },
];

/** A bare Debian that boots; nothing that the journey is to install. */
const BASE = ['systemd', 'systemd-sysv', 'udev', 'kmod', 'dbus', 'zstd', `linux-image-${DEBIAN_ARCHITECTURE}`];
const MINUTE_MS = 60_000;
/** A run that unpacks every initrd, on a machine that does other things as well. */
const UNHURRIED = { deadlineMs: 3 * MINUTE_MS };
const PROJECT = resolve(import.meta.dirname, '../..');
const TOKEN = '/opt/client_configuration_token_11-20-2026-10-00-00.tok';
const PROGRAM_LOG = '/var/log/vgpu-guest.log';
/** What a run with nothing to do leaves as it is. */
const UNTOUCHED = ['/etc', '/boot', '/usr/lib/modules', '/var/lib/nvidia', '/var/lib/dkms'];
export const EVIDENCE = [
  PROGRAM_LOG,
  '/var/log/nvidia-installer.log',
  '/var/lib/dkms/nvidia/570.211.01/build/make.log',
];
/** Keeps apt and dpkg out as a running package manager does, by a POSIX lock, which flock(1) cannot take. */
const HOLD_PACKAGE_LOCK = `#!/usr/bin/perl
use Fcntl;
$| = 1;
open(my $lock, '>>', '/var/lib/dpkg/lock-frontend') or die $!;
my $whole_file = pack('s s x4 q q l x4', F_WRLCK, 0, 0, 0, 0);
fcntl($lock, F_SETLK, $whole_file) or die $!;
print "locked\n";
<STDIN>;
`;

const DEBIAN: Omit<JourneyTraits, 'readInitrd'> = {
  initrdImage: kernel => `/boot/initrd.img-${kernel}`,
  blacklist: '/etc/modprobe.d/blacklist-nouveau.conf',
  packageManager: {
    name: 'apt',
    holdLock: HOLD_PACKAGE_LOCK,
    showsWaiting: ['grep', 'cache lock', PROGRAM_LOG],
    async hasInstalled(guest, kernel) {
      const packages = [`linux-headers-${kernel}`, 'dkms', 'gcc', 'make', 'libc6-dev', 'libglvnd-dev', 'pkg-config'];
      const table = await guest.succeed(['dpkg-query', '--list', ...packages]);
      const installed = [...table.matchAll(/^ii {2}([^ :]+)/gm)].map(([, name]) => name);
      assert.deepEqual(installed.sort(), packages.sort());
      await guest.succeed(['dpkg', '--audit']);
    },
  },
};

/** Begins a story. */
export function boots(guest: Container): Check {
  return [
    'a bare guest boots',
    async () => {
      await guest.boot();
      await guest.waitForBoot();
    },
  ];
}

/** From a bare guest that has booted and has the program to a licensed one, over a reboot, and what must hold afterwards. */
export function journey(guest: Container, traits: JourneyTraits, kernel: string, version: string): readonly Check[] {
  const { blacklist, initrdImage, packageManager, readInitrd } = traits;
  const manifest = () => takeManifest(guest.root, [...UNTOUCHED, `/usr/src/nvidia-${version}`]);

  return [
    [
      'a plan for a bare guest names what is due and changes nothing',
      async () => {
        const before = manifest();
        const plan = JSON.parse(await guest.succeed(['vgpu-guest', 'plan', '--json']));
        const verdicts = plan.steps.map((step: PlannedStep) => `${step.id}: ${step.verdict.is}`);
        assert.deepEqual(verdicts, [
          'install-prerequisites: due',
          'blacklist-nouveau: due',
          'rebuild-initrd: due',
          'leave-nouveau: due',
          'install-driver: due',
          'configure-gridd: due',
          'place-token: due',
          'restart-gridd: due',
          'await-license: due',
          'patch-xorg: settled',
          'watch-screen: settled',
          'restart-display-manager: settled',
          'return-to-screen: settled',
          'share-screen: settled',
          'set-ecc: settled',
          'install-cuda: settled',
        ]);
        assert.deepEqual(differences(before, manifest()), []);
      },
    ],
    [
      `while ${packageManager.name} is locked, apply waits, and a second apply is told to come again; the first one then ends in a reboot`,
      async () => {
        await guest.write('/root/hold-package-lock', packageManager.holdLock, 0o755);
        const lock = await guest.hold(['/root/hold-package-lock']);
        const first = guest.fail(['vgpu-guest', 'apply'], 3, { deadlineMs: 10 * MINUTE_MS });
        try {
          await Promise.race([guest.waitUntilSucceeds(packageManager.showsWaiting), first]);
          const second = await guest.fail(['vgpu-guest', 'apply'], 75);
          assert.match(second.stderr, /another/);
        } finally {
          await lock.release();
          await first;
        }
      },
    ],
    [
      `${packageManager.name} has installed the headers of this very kernel, a compiler and dkms`,
      () => packageManager.hasInstalled(guest, kernel),
    ],
    [
      'the new initrd holds the blacklist',
      async () => {
        const onDisk = await guest.succeed(['cat', blacklist]);
        assert.match(onDisk, /^blacklist nouveau$/m);
        assert.equal(await readInitrd(guest, initrdImage(kernel), blacklist), onDisk);
      },
    ],
    [
      'apply says a reboot is needed for as long as there was none',
      async () => {
        await guest.succeed(['systemctl', 'is-enabled', RESUME_UNIT]);
        const before = manifest();
        await guest.fail(['vgpu-guest', 'apply'], 3);
        await guest.succeed(['vgpu-guest', 'reboot-required']);
        assert.deepEqual(differences(before, manifest()), []);
      },
    ],
    [
      'the next boot goes on by itself, to the end',
      async () => {
        await guest.reboot();
        await guest.waitForBoot(4 * MINUTE_MS);
        await isResumed(guest);
      },
    ],
    [
      'dkms has built the module nvidia for this kernel',
      async () => {
        const status = await guest.succeed(['dkms', 'status', '-m', 'nvidia']);
        assert.match(status, new RegExp(`^nvidia/${version}, ${kernel}, \\w+: installed$`, 'm'));
        const magic = await guest.succeed(['modinfo', '-k', kernel, '-F', 'vermagic', 'nvidia']);
        assert.equal(magic.split(' ')[0], kernel);
      },
    ],
    [
      'nvidia-gridd runs and has told the journal of its license',
      async () => {
        await guest.waitForUnit('nvidia-gridd.service');
        const journal = await guest.succeed(['journalctl', '--boot', '--output=cat', '--identifier=nvidia-gridd']);
        assert.match(journal, /^License acquired successfully\. /m);
        const token = await guest.succeed([
          'stat',
          '--format=%a %U',
          `/etc/nvidia/ClientConfigToken/${TOKEN.slice(5)}`,
        ]);
        assert.equal(token.trim(), '744 root');
      },
    ],
    [
      'a second apply finds everything settled and changes nothing',
      async () => {
        const before = manifest();
        const report = JSON.parse(await guest.succeed(['vgpu-guest', 'apply', '--json']));
        assert.equal(report.outcome, 'settled');
        assert.equal(report.changed, false);
        assert.deepEqual(differences(before, manifest()), []);
      },
    ],
    [
      'DKMS is not asked what its tree shows',
      async () => {
        await guest.succeed(['chmod', 'a-x', '/usr/sbin/dkms']);
        const plan = JSON.parse(await guest.succeed(['vgpu-guest', 'plan', '--json']));
        await guest.succeed(['chmod', 'a+x', '/usr/sbin/dkms']);
        const driver = plan.steps.find(({ id }: PlannedStep) => id === 'install-driver');
        assert.equal(driver?.verdict.is, 'settled');
      },
    ],
    [
      'status says that the guest is licensed',
      async () => {
        const status = JSON.parse(await guest.succeed(['vgpu-guest', 'status', '--json']));
        assert.equal(status.license.state, 'licensed');
        assert.deepEqual(status.driver, { installed: version, loaded: version });
        assert.equal(status.gridd.active, 'active');
        assert.equal(status.rebootNeeded, false);
      },
    ],
    [
      'the log has no error and no secret',
      async () => {
        const text = await guest.succeed(['cat', PROGRAM_LOG]);
        const entries = text
          .trim()
          .split('\n')
          .map(line => JSON.parse(line) as { level: string });
        assert.deepEqual(
          entries.filter(({ level }) => level === 'error'),
          [],
        );
        const token = await guest.succeed(['cat', TOKEN]);
        assert.ok(!text.includes(token.slice(0, 100)));
      },
    ],
    [
      'somebody else than root is told so',
      async () => {
        const { stderr } = await guest.fail(['setpriv', '--reuid=65534', '--clear-groups', 'vgpu-guest', 'apply'], 77);
        assert.match(stderr, /only root can change this guest/);
      },
    ],
    [
      'a service that refuses the license ends in exit code 5 with its reason',
      async () => {
        await guest.write('/var/lib/stubs/license-service', `answer=refuse\nreason=${REFUSAL}\n`, 0o644);
        await guest.reboot();
        await guest.waitForUnit('multi-user.target', MINUTE_MS);
        const { stderr } = await guest.fail(['vgpu-guest', 'apply', '--license-timeout', '5s'], 5, {
          deadlineMs: 2 * MINUTE_MS,
        });
        assert.ok(stderr.includes(REFUSAL), stderr);
      },
    ],
    [
      'and once the service grants it, apply ends licensed',
      async () => {
        await guest.write(...GRANTING_SERVICE, 0o644);
        await guest.succeed(['systemctl', 'restart', 'nvidia-gridd.service']);
        const report = JSON.parse(await guest.succeed(['vgpu-guest', 'apply', '--json']));
        assert.equal(report.license.state, 'licensed');
      },
    ],
  ];
}

/** The way back, on a guest that the journey has brought to its license; `bare`: what it was before. */
function wayBack(
  guest: Container,
  { initrdImage, blacklist, compiler }: Pick<JourneyTraits, 'initrdImage' | 'blacklist'> & Pick<Variant, 'compiler'>,
  kernel: string,
  bare: () => Manifest,
): readonly Check[] {
  const now = () => takeManifest(guest.root, UNTOUCHED);
  return [
    [
      'revert gives the license back, and the driver stays with what it needs',
      async () => {
        const report = JSON.parse(await guest.succeed(['vgpu-guest', 'revert', '--json'], UNHURRIED));
        assert.equal(report.outcome, 'changed');
        await guest.fail(['systemctl', 'is-active', 'nvidia-gridd.service'], 3);
        await guest.fail(['test', '-e', `/etc/nvidia/ClientConfigToken/${TOKEN.slice(5)}`], 1);
        await guest.succeed(['test', '-e', blacklist]);
        await guest.succeed(['modinfo', '-k', kernel, 'nvidia']);
      },
    ],
    [
      'and apply brings it to its license again',
      async () => {
        const report = JSON.parse(await guest.succeed(['vgpu-guest', 'apply', '--json'], UNHURRIED));
        assert.equal(report.license.state, 'licensed');
      },
    ],
    [
      'revert with driver and packages leaves nothing on disk, in DKMS, in the initrd and in the package database',
      async () => {
        const argv: Argv = ['vgpu-guest', 'revert', '--driver', '--packages', '--json'];
        await guest.fail(argv, 3, { deadlineMs: 8 * MINUTE_MS });
        await guest.fail(['modinfo', '-k', kernel, 'nvidia'], 1);
        const { stdout: packages } = await guest.execute(['dpkg-query', '--list']);
        const installed = [...packages.matchAll(/^ii {2}([^ :]+)/gm)].map(([, name]) => name ?? '');
        const names = ['dkms', 'gcc', 'make', 'libc6-dev', 'libglvnd-dev', `linux-headers-${kernel}`];
        assert.deepEqual(
          names.filter(name => installed.includes(name)),
          compiler,
        );
        await guest.succeed(['dpkg', '--audit']);
        const hasLister = (await guest.execute(['test', '-e', '/usr/bin/lsinitramfs'])).code === 0;
        const list = await guest.succeed([hasLister ? 'lsinitramfs' : 'lsinitrd', initrdImage(kernel)], {
          deadlineMs: MINUTE_MS,
        });
        assert.ok(list.includes(kernel) && !list.includes(blacklist.slice(1)));
        const configuration = await configurationOfPackages(guest);
        const isOfPackages = (path: string) => configuration.some(file => file === path || file.startsWith(`${path}/`));
        const differing = pathsThatDiffer(bare(), now()).filter(path => !isOfPackages(path));
        // built anew, and read above
        assert.deepEqual(differing, [initrdImage(kernel)]);
      },
    ],
    [
      'nouveau has the GPU again after the reboot, and a second revert finds nothing to do',
      async () => {
        await guest.reboot();
        await guest.waitForBoot(MINUTE_MS);
        const status = JSON.parse(await guest.succeed(['vgpu-guest', 'status', '--json']));
        assert.equal(status.gpus[0].driver, 'nouveau');
        const before = now();
        const report = JSON.parse(
          await guest.succeed(['vgpu-guest', 'revert', '--driver', '--packages', '--json'], UNHURRIED),
        );
        assert.deepEqual([report.outcome, report.changed], ['settled', false]);
        assert.deepEqual(differences(before, now()), []);
      },
    ],
  ];
}

/** Those of which mode, owner or content are others; times are those of the way back. */
function pathsThatDiffer(before: Manifest, after: Manifest): readonly string[] {
  const timeless = (traits: string) => traits.replace(/ \d{4}-\d\d-\d\dT\S+/, '');
  const [one, other] = [before, after].map(
    tree => new Map([...tree].map(([path, traits]) => [path, timeless(traits)])),
  );
  return differences(one ?? new Map(), other ?? new Map()).map(line => line.split(': ')[0] ?? '');
}

/** The configuration of packages that apt-get has removed, which stays until they are purged. */
async function configurationOfPackages(guest: Container): Promise<readonly string[]> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own syntax
  const table = await guest.succeed(['dpkg-query', '--show', '--showformat=${Conffiles}\\n']);
  return [...table.matchAll(/^ (\/\S+) /gm)].map(([, path]) => path ?? '');
}

const REFUSAL = 'No pool features found for : NVIDIA RTX Virtual Workstation';

interface PlannedStep {
  readonly id: string;
  readonly verdict: { readonly is: string };
}

/** The guest's hardware, and the driver's package, the token and the configuration, as an operator would lay them out. */
export async function furnish(guest: Container): Promise<string> {
  const { name, version, bytes } = buildStandInRun();
  await plugIn(guest.root);
  await guest.write(...GRANTING_SERVICE, 0o644);
  await guest.write(`/opt/${name}`, bytes, 0o755);
  await guest.write(TOKEN, makeToken(), 0o600);
  await guest.write(
    '/etc/vgpu-guest/config.yaml',
    `driver:\n  package: /opt/${name}\nlicense:\n  token: ${TOKEN}\n  timeout: 30s\n`,
    0o644,
  );
  return version;
}

async function runVariant(variant: Variant, signal: AbortSignal): Promise<Tally> {
  const log = (line: string) => console.log(`    ${line}`);
  const image = await openImage(
    { suite: 'bookworm', packages: [...BASE, ...variant.packages, ...variant.compiler] },
    log,
    signal,
  );
  const name = `vgpu-guest-${variant.name}`;
  await using guest = await createContainer({ name, image, seenAs: HARDWARE, binds: [NODE], powerOn, log, signal });
  const version = await furnish(guest);
  for (const [path, text] of Object.entries(variant.files)) await guest.write(path, text, 0o644);
  await bringProgram(guest);
  const kernel = await kernelOf(guest.root);
  const traits = { ...DEBIAN, ...variant };
  let bare: Manifest = new Map();
  const remember: Check = [
    'what it was before is kept in mind',
    async () => {
      bare = takeManifest(guest.root, UNTOUCHED);
    },
  ];
  const there = journey(guest, traits, kernel, version);
  const checks = [boots(guest), remember, ...there, ...wayBack(guest, traits, kernel, () => bare)];
  // awaited here: the guest goes when this function ends
  return await runInOrder(variant.name, checks, async () => {
    const folder = join(PROJECT, '.cache/container-journey', variant.name);
    await guest.keepEvidence(folder, EVIDENCE);
    console.log(indent(`console, journal and logs of the guest: ${folder}`));
  });
}

async function main(names: readonly string[], signal: AbortSignal): Promise<Tally> {
  const chosen = chooseByName(VARIANTS, names);
  await requireMachine(['mmdebstrap', 'systemd-nspawn', 'nsenter', 'setpriv']);
  return playInLanes(chosen.map(variant => () => runVariant(variant, signal)));
}

if (import.meta.main) await runAsProgram(main);
