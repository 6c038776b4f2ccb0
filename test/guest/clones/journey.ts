/**
 * An image and its clones on a Debian with its own systemd in containers: the released package, and examples/build-image.sh as an image
 * builder runs it. What is not real there is said in ../container-journey.ts; clones have the network of this machine, and its addresses.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { execa } from 'execa';
import { example, isLicensed } from '../callers/bed.ts';
import { type Check, indent, runInOrder } from '../checks.ts';
import { type Container, createContainer } from '../container.ts';
import { debChecks } from '../deb-checks.ts';
import { HARDWARE, powerOn } from '../hardware.ts';
import { CACHE, requireMachine } from '../image.ts';
import { GRIDD, griddOf, introduceService, SERVICE_HOST, STORE, TOKEN, TOKEN_DIRECTORY } from '../license/bed.ts';
import { prepareRoot } from '../license/prepared.ts';
import { type LicenseService, startLicenseService } from '../license/service.ts';
import { buildPackage, PACKAGE_PROGRAMS } from '../packages.ts';
import { runAsProgram } from '../tier.ts';

const PROJECT = resolve(import.meta.dirname, '../../..');
const VERSION = '570.211.01';
const LOOPBACK = '127.0.0.1';
const PACKAGE = '/srv/vgpu-guest.deb';
const FIRST_BOOT = 'vgpu-guest-first-boot.service';
const MINUTE_MS = 60_000;
const EVIDENCE = ['/var/log/vgpu-guest.log'];
/** An initrd of a few modules is built in a second or two, and most of them in twenty. */
const LEAN_INITRD = 'MODULES=list\n';
const log = (line: string) => console.log(`    ${line}`);

/** What makes a guest this one, and no other. */
interface Identity {
  readonly machine: string;
  readonly store: string;
}

await runAsProgram(async (_names, signal) => {
  await requireMachine(['mmdebstrap', 'systemd-nspawn', 'nsenter', 'setpriv', 'openssl', ...PACKAGE_PROGRAMS]);
  const image = await prepareRoot(VERSION, log, signal);
  await using service = await startLicenseService({ hosts: [SERVICE_HOST, LOOPBACK], signal });
  await using guests = new AsyncDisposableStack();
  const made: Container[] = [];
  const create = async (name: string, root: string) => {
    const binds = [{ from: await buildPackage('deb', signal), to: PACKAGE }];
    const options = { name: `vgpu-guest-${name}`, image: root, seenAs: HARDWARE, binds, powerOn, log, signal };
    const guest = guests.use(await createContainer(options));
    made.push(guest);
    return guest;
  };
  const original = await create('original', image);
  const layer = await mkdtemp(join(CACHE, `guest-${process.pid}-image-`));
  guests.defer(() => rm(layer, { recursive: true, force: true }));
  const clone = (name: string) => create(name, `${layer}:${image}`);
  const checks = checksOf({ original, layer, clone, service });
  // awaited here: the guests go when this function ends
  return await runInOrder('clones', checks, async () => {
    for (const [index, guest] of made.entries()) {
      const folder = join(PROJECT, '.cache/clones', String(index));
      await guest.keepEvidence(folder, EVIDENCE);
      console.log(indent(`console, journal and logs of the guest: ${folder}`));
    }
  });
});

interface Scene {
  readonly original: Container;
  /** Where the original's own files are copied to once it is an image. */
  readonly layer: string;
  readonly clone: (name: string) => Promise<Container>;
  readonly service: LicenseService;
}

function checksOf({ original, layer, clone, service }: Scene): readonly Check[] {
  const clones: Container[] = [];
  const latest = () => {
    const guest = clones.at(-1);
    if (!guest) throw new Error('there is no clone');
    return guest;
  };
  const identities: Identity[] = [];
  return [
    [
      'a guest with the package is licensed, and knows who it is',
      async () => {
        await original.write(GRIDD, await griddOf(VERSION), 0o755);
        await original.write('/etc/initramfs-tools/conf.d/lean', LEAN_INITRD, 0o644);
        await original.boot();
        await original.waitForBoot(MINUTE_MS);
        await introduceService({
          guest: original,
          service,
          address: LOOPBACK,
          pace: { retryS: 1, timeoutMs: MINUTE_MS },
        });
        await original.succeed(['dpkg', '--install', PACKAGE], { deadlineMs: 2 * MINUTE_MS });
        await original.write(TOKEN, service.token(), 0o600);
        await original.write('/etc/vgpu-guest/config.yaml', `license:\n  token: ${TOKEN}\n`, 0o644);
        await original.succeed(['vgpu-guest', 'apply'], { deadlineMs: 5 * MINUTE_MS });
        identities.push(await identityOf(original));
        assert.equal(held(service).length, 1);
      },
    ],
    [
      'as an image it has given its license back, and keeps nothing of who it was',
      async () => {
        await original.write('/root/build-image.sh', await example('build-image.sh'), 0o755);
        await original.succeed(['/root/build-image.sh'], { deadlineMs: 5 * MINUTE_MS });
        await original.powerOff();
        assert.equal(held(service).length, 0);
        const left = (folder: string, ...which: string[]) =>
          execa('find', [join(original.root, folder), ...which], { reject: false });
        for (const folder of [dirname(STORE), TOKEN_DIRECTORY, '/var/lib/vgpu-guest']) {
          assert.equal((await left(folder, '-type', 'f')).stdout, '');
        }
        assert.equal((await left('/var/log', '-name', 'vgpu-guest*')).stdout, '');
        assert.equal(await readFile(join(original.root, 'etc/machine-id'), 'utf8'), '');
        await execa('cp', ['--archive', `${join(original.root, '../layer')}/.`, layer]);
      },
    ],
    [
      'two clones of it come to licenses of their own at their first boot, with nobody there',
      async () => {
        for (const name of ['clone-1', 'clone-2']) {
          const guest = await clone(name);
          clones.push(guest);
          await guest.boot();
          await guest.waitForBoot(5 * MINUTE_MS);
          await isLicensed(guest);
          identities.push(await identityOf(guest));
        }
        assert.equal(held(service).length, 2);
      },
    ],
    [
      'they are known apart, from one another and from the original',
      async () => {
        assert.equal(new Set(identities.map(({ machine }) => machine)).size, 3);
        assert.equal(new Set(identities.map(({ store }) => store)).size, 3);
        assert.equal(new Set(service.leases().map(({ who }) => who)).size, 3);
      },
    ],
    [
      'what brought them there is over, and their first boot has enabled nothing else of the package',
      async () => {
        for (const guest of clones) {
          assert.equal(await guest.succeed(['find', '/etc/systemd/system', '-name', 'vgpu-guest-*']), '');
          const { stdout } = await guest.fail(['systemctl', 'is-enabled', FIRST_BOOT], 1);
          assert.equal(stdout, 'disabled\n');
        }
      },
    ],
    ...debChecks(latest, async () => {
      assert.match(await latest().succeed(['nvidia-smi', '-q']), /License Status +: Licensed/);
      assert.equal(held(service).length, 2);
    }),
  ];
}

async function identityOf(guest: Container): Promise<Identity> {
  const store = JSON.parse(await guest.succeed(['cat', STORE])) as { readonly fingerprint: string };
  return { machine: await guest.succeed(['cat', '/etc/machine-id']), store: store.fingerprint };
}

function held(service: LicenseService): readonly unknown[] {
  return service.leases().filter(({ returnedMs, isVoid }) => returnedMs === undefined && !isVoid);
}
