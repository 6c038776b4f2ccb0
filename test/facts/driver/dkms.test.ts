import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { makeFolderGuest } from '../../helpers/folder-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const KERNEL = '5.14.0-503.14.1.el9_5.x86_64';
const OLDER = '5.14.0-427.el9.x86_64';
const VERSION = '570.211.01';
const TREE = 'var/lib/dkms/nvidia';
const BUILD = `${VERSION}/${KERNEL}/x86_64`;
const SAID = { module: 'nvidia', version: '1.2', kernel: undefined, architecture: undefined, status: 'added' };

/** A guest with the tree that DKMS leaves of a driver that it has installed for one kernel. */
function guestWithTree() {
  const root = temporaryFolder();
  const at = (path: string) => join(root, path);
  const link = (path: string, text: string) => {
    mkdirSync(dirname(at(path)), { recursive: true });
    rmSync(at(path), { force: true });
    symlinkSync(text, at(path));
  };
  writeFiles(root, {
    asked: '',
    'proc/sys/kernel/osrelease': `${KERNEL}\n`,
    [`usr/src/nvidia-${VERSION}/dkms.conf`]: 'PACKAGE_NAME="nvidia"\n',
    [`${TREE}/${BUILD}/module/nvidia.ko.xz`]: 'a module',
    [`${TREE}/${BUILD}/log/make.log`]: '',
  });
  link(`${TREE}/${VERSION}/source`, `/usr/src/nvidia-${VERSION}`);
  link(`${TREE}/kernel-${KERNEL}-x86_64`, BUILD);
  writeProgram(root, 'dkms', `echo "$@" >>"$GUEST_ROOT/asked"; echo 'nvidia/1.2: added'`);
  return {
    write: (path: string, text: string) => writeFiles(root, { [path]: text }),
    remove: (path: string) => rmSync(at(path), { recursive: true }),
    link,
    fact: () => lookAt(openEyes({ root, env: {} }), configSchema.parse({})).fact('dkms'),
    asked: () => readFileSync(at('asked'), 'utf8'),
  };
}

type GuestWithTree = ReturnType<typeof guestWithTree>;

const installed = (kernel: string, version = VERSION) => ({
  ...{ module: 'nvidia', version, kernel, architecture: 'x86_64' },
  ...{ status: 'installed', warning: undefined },
});

const addBuild = (guest: GuestWithTree, version: string, kernel: string) => {
  guest.link(`${TREE}/${version}/source`, `/usr/src/nvidia-${VERSION}`);
  guest.write(`${TREE}/${version}/${kernel}/x86_64/module/nvidia.ko`, 'a module');
  guest.link(`${TREE}/kernel-${kernel}-x86_64`, `${version}/${kernel}/x86_64`);
};

test('DKMS is not asked where its tree shows that the driver is installed', async () => {
  const guest = guestWithTree();
  expect(await guest.fact()).toEqual({ entries: [installed(KERNEL)], inTree: [VERSION], unanswered: undefined });
  expect(guest.asked()).toBe('');
});

test('the tree shows every version and every kernel', async () => {
  const guest = guestWithTree();
  addBuild(guest, VERSION, OLDER);
  addBuild(guest, '535.129.03', '5.14.0-70.el9.x86_64');
  expect((await guest.fact()).entries).toEqual([
    installed('5.14.0-70.el9.x86_64', '535.129.03'),
    installed(OLDER),
    installed(KERNEL),
  ]);
  expect(guest.asked()).toBe('');
});

test('DKMS is not asked where its tree has nothing of the driver', async () => {
  const guest = guestWithTree();
  guest.remove(TREE);
  expect(await guest.fact()).toEqual({ entries: [], inTree: [], unanswered: undefined });
  expect(guest.asked()).toBe('');
});

test.each<[string, (guest: GuestWithTree) => void]>([
  ['the driver is only added', guest => guest.remove(`${TREE}/${VERSION}/${KERNEL}`)],
  ['what was built is not installed', guest => guest.remove(`${TREE}/kernel-${KERNEL}-x86_64`)],
  ['another kernel is not installed', guest => guest.write(`${TREE}/${VERSION}/${OLDER}/x86_64/module/nvidia.ko`, '')],
  [
    'nothing is built for the running kernel',
    guest => {
      addBuild(guest, VERSION, OLDER);
      guest.remove(`${TREE}/${VERSION}/${KERNEL}`);
      guest.remove(`${TREE}/kernel-${KERNEL}-x86_64`);
    },
  ],
  ['a link leads to what is gone', guest => guest.link(`${TREE}/kernel-${OLDER}-x86_64`, `1.2/${OLDER}/x86_64`)],
  ['the link leads to another version', guest => guest.link(`${TREE}/kernel-${KERNEL}-x86_64`, `1.2/${KERNEL}/x86_64`)],
  ['the build has no module', guest => guest.remove(`${TREE}/${BUILD}/module/nvidia.ko.xz`)],
  ['a version has what DKMS does not leave there', guest => guest.write(`${TREE}/${VERSION}/old/make.log`, '')],
  ['the source is gone', guest => guest.remove(`usr/src/nvidia-${VERSION}`)],
  ['dkms.conf has lost its content', guest => guest.write(`usr/src/nvidia-${VERSION}/dkms.conf`, '')],
  ['modules of the kernel were put aside', guest => guest.write(`${TREE}/original_module/${KERNEL}/x86_64/a.ko`, '')],
  ['its configuration moves the tree', guest => guest.write('etc/dkms/framework.conf', 'dkms_tree="/srv/dkms"\n')],
  ['a drop-in moves the tree', guest => guest.write('etc/dkms/framework.conf.d/a.conf', ' dkms_tree=/srv\n')],
  [
    'its configuration moves a tree that has nothing',
    guest => {
      guest.remove(TREE);
      guest.write('etc/dkms/framework.conf', 'dkms_tree=/srv/dkms\n');
    },
  ],
  ['a kernel is lent modules', guest => guest.link(`lib/modules/${OLDER}/weak-updates/nvidia.ko`, '../x.ko')],
])('DKMS is asked where %s', async (_what, change) => {
  const guest = guestWithTree();
  change(guest);
  expect((await guest.fact()).entries).toEqual([SAID]);
  expect(guest.asked()).toBe('status\n');
});

test('a tree is worth nothing where there is no DKMS', async () => {
  const guest = guestWithTree();
  guest.remove('usr/bin/dkms');
  expect(await guest.fact()).toEqual({ entries: undefined, inTree: [VERSION], unanswered: undefined });
});

test('a build that was given up, other modules that kernels are lent, and what is a comment are no reason to ask', async () => {
  const guest = guestWithTree();
  guest.write(`${TREE}/${VERSION}/build/make.log`, '');
  guest.link(`lib/modules/${OLDER}/weak-updates/zfs.ko`, '../x.ko');
  guest.write('etc/dkms/framework.conf', '# dkms_tree="/var/lib/dkms"\nmok_signing_key=/x\n');
  await guest.fact();
  expect(guest.asked()).toBe('');
});

test('a licensed guest asks DKMS nothing, and doctor hears its own word', async () => {
  using guest = makeFolderGuest({ nouveau: 'not-bound', prerequisites: 'installed' });
  expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
  const asked = () => guest.calls().filter(({ program }) => program === 'dkms').length;
  const before = asked();
  expect((await guest.vgpuGuest(['apply'])).stdout).toContain('nothing had to be changed');
  expect((await guest.vgpuGuest(['status'])).code).toBe(0);
  expect(asked()).toBe(before);
  await guest.vgpuGuest(['doctor']);
  expect(asked()).toBe(before + 1);
});
