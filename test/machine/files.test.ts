import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Guest } from '../../src/guest/guest.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../helpers/temporary.ts';

function guestWith(files: Readonly<Record<string, string>> = {}) {
  const root = temporaryFolder();
  writeFiles(root, files);
  return { root, guest: openGuest({ root }) };
}

describe('eyes', () => {
  test('what is not there is a value, not an error', async () => {
    const { guest } = guestWith({ 'etc/file': '' });
    expect(await guest.readText('/etc/none')).toBeUndefined();
    expect(await guest.readText('/etc/file/below')).toBeUndefined();
    expect(await guest.readStart('/none', 10)).toBeUndefined();
    expect(await guest.digest('/none', 'sha256')).toBeUndefined();
    expect(await guest.list('/none')).toEqual([]);
    expect(await guest.stat('/none')).toBeUndefined();
    expect(await guest.readLink('/etc/file')).toBeUndefined();
    expect(await guest.realPath('/none')).toBeUndefined();
    expect(await guest.freeBytes('/none')).toBeUndefined();
  });

  test('an absolute link leads to a file of the guest, never out of it', async () => {
    const { root, guest } = guestWith({ 'etc/hostname': 'guest\n' });
    symlinkSync('/etc', join(root, 'configuration'));
    symlinkSync('../../../../etc/hostname', join(root, 'name'));
    expect(await guest.readText('/configuration/hostname')).toBe('guest\n');
    expect(await guest.readText('/name')).toBe('guest\n');
    expect(await guest.realPath('/configuration/hostname')).toBe('/etc/hostname');
    expect(await guest.readLink('/configuration')).toBe('/etc');
  });

  test('links that go round end in a named error', async () => {
    const { root, guest } = guestWith();
    symlinkSync('/b', join(root, 'a'));
    symlinkSync('/a', join(root, 'b'));
    await expect(guest.readText('/a')).rejects.toMatchObject({
      message: '/a: too many levels of symbolic links',
      remedy: expect.stringContaining('namei /a'),
    });
  });

  test('a text that is larger than any such file is refused by name', async () => {
    const { guest } = guestWith({ 'etc/big': 'x'.repeat(11) });
    await expect(guest.readText('/etc/big', 10)).rejects.toThrow('/etc/big is larger than 10 bytes');
    expect(await guest.readStart('/etc/big', 10)).toBe('x'.repeat(10));
  });

  test('a digest can leave out the start of a file', async () => {
    const { guest } = guestWith({ 'opt/package': 'header\nabc' });
    expect(await guest.digest('/opt/package', 'md5', 7)).toBe('900150983cd24fb0d6963f7d28e17f72'); // RFC 1321, appendix A.5
  });
});

describe('a file of the size of a driver package', () => {
  const LARGE = 16 * 1024 * 1024;
  const sparse = () => {
    const { root, guest } = guestWith({ 'opt/package': '' });
    truncateSync(join(root, 'opt/package'), LARGE);
    return { root, guest, path: join(root, 'opt/package') };
  };

  test('is read through once, however often its sum is asked for', async () => {
    const { guest, path } = sparse();
    const first = await guest.digest('/opt/package', 'sha256');
    const { atime } = statSync(path);
    const reads = readFileSync('/proc/self/io', 'utf8');
    expect(await guest.digest('/opt/package', 'sha256')).toBe(first);
    const more = bytesRead(readFileSync('/proc/self/io', 'utf8')) - bytesRead(reads);
    expect(more).toBeLessThan(LARGE / 2);
    expect(statSync(path).atime).toEqual(atime);
  });

  test('is read again when it has changed', async () => {
    const { guest, path } = sparse();
    const first = await guest.digest('/opt/package', 'sha256');
    writeFileSync(path, 'x', { flag: 'r+' });
    expect(await guest.digest('/opt/package', 'sha256')).not.toBe(first);
  });

  test('is copied whole, into a folder that is not made by the way', async () => {
    const { root, guest } = sparse();
    await guest.makeDirectory('/var/lib/vgpu-guest', 0o700);
    await guest.copyLarge('/opt/package', '/var/lib/vgpu-guest/package', 0o600);
    const copy = statSync(join(root, 'var/lib/vgpu-guest/package'));
    expect([copy.size, copy.mode & 0o777]).toEqual([LARGE, 0o600]);
    expect(readdirSync(join(root, 'var/lib/vgpu-guest'))).toEqual(['package']);
    await expect(guest.copyLarge('/opt/gone', '/var/lib/vgpu-guest/package', 0o600)).rejects.toThrow(
      '/opt/gone cannot be copied to /var/lib/vgpu-guest/package',
    );
  });

  test('is never copied to where others can write', async () => {
    const { root, guest } = sparse();
    mkdirSync(join(root, 'tmp'));
    chmodSync(join(root, 'tmp'), 0o1777);
    await expect(guest.copyLarge('/opt/package', '/tmp/package', 0o600)).rejects.toThrow(
      'others can write in its folder',
    );
  });
});

function bytesRead(io: string): number {
  return Number(/^rchar: (\d+)$/m.exec(io)?.[1]);
}

describe('what others can change', () => {
  test('is the first folder on the way, the file, or nothing', async () => {
    const { root, guest } = guestWith({ 'srv/shared/package': '', 'opt/package': '' });
    expect(await guest.exposure('/opt/package')).toBeUndefined();
    expect(await guest.exposure('/opt/gone')).toBeUndefined();
    chmodSync(join(root, 'srv'), 0o1777);
    expect(await guest.exposure('/srv/shared/package')).toBe('/srv');
    chmodSync(join(root, 'opt/package'), 0o646);
    expect(await guest.exposure('/opt/package')).toBe('/opt/package');
    chmodSync(join(root, 'opt/package'), 0o644);
    symlinkSync('/opt/package', join(root, 'srv/link'));
    expect(await guest.exposure('/srv/link')).toBe('/srv');
  });

  test.runIf(process.geteuid?.() === 0)('is what belongs to them', async () => {
    const { root, guest } = guestWith({ 'home/user/package': '' });
    chownSync(join(root, 'home/user'), 1000, 1000);
    expect(await guest.exposure('/home/user/package')).toBe('/home/user');
  });
});

test('a folder is removed with what is in it, and a link in it leads nowhere', async () => {
  const { root, guest } = guestWith({ 'opt/kept': 'x', 'var/lib/folder/deep/file': '' });
  symlinkSync('/opt', join(root, 'var/lib/folder/link'));
  await guest.removeFolder('/var/lib/folder');
  await guest.removeFolder('/var/lib/folder');
  expect(readdirSync(join(root, 'var/lib'))).toEqual([]);
  expect(readFileSync(join(root, 'opt/kept'), 'utf8')).toBe('x');
});

describe('the end of a file that grows', () => {
  test('is read with the place where it ends', async () => {
    const { guest } = guestWith({ 'var/log/messages': 'one\ntwo\nthree\n' });
    expect(await guest.readEnd('/var/log/messages', 100)).toEqual({
      text: 'one\ntwo\nthree\n',
      isCut: false,
      endsAtByte: 14,
    });
    expect(await guest.readEnd('/var/log/messages', 8)).toEqual({ text: 'o\nthree\n', isCut: true, endsAtByte: 14 });
    expect(await guest.readEnd('/var/log/gone', 8)).toBeUndefined();
  });
});

describe('hands', () => {
  test('a new file is 0644 and its folders are made', async () => {
    const { root, guest } = guestWith();
    await guest.writeText('/etc/nvidia/gridd.conf', 'FeatureType=1\n');
    expect(readFileSync(join(root, 'etc/nvidia/gridd.conf'), 'utf8')).toBe('FeatureType=1\n');
    expect(statSync(join(root, 'etc/nvidia/gridd.conf')).mode & 0o777).toBe(0o644);
  });

  test('a file that is replaced keeps its mode, and nothing lies beside it', async () => {
    const { root, guest } = guestWith({ 'etc/file': 'old' });
    chmodSync(join(root, 'etc/file'), 0o640);
    await guest.writeText('/etc/file', 'new');
    expect(statSync(join(root, 'etc/file')).mode & 0o777).toBe(0o640);
    expect(readdirSync(join(root, 'etc'))).toEqual(['file']);
  });

  test('what a cut run left beside a file does not stop the next one', async () => {
    const { root, guest } = guestWith({ 'etc/file': 'old', 'etc/.file.vgpu-guest': 'half' });
    await guest.writeText('/etc/file', 'new');
    expect(readdirSync(join(root, 'etc'))).toEqual(['file']);
    expect(readFileSync(join(root, 'etc/file'), 'utf8')).toBe('new');
  });

  test('a file that is larger than what was meant is not copied, and says so', async () => {
    const { root, guest } = guestWith({ 'opt/a.tok': 'x'.repeat(1024 ** 2 + 1) });
    await expect(guest.copyFile('/opt/a.tok', '/opt/b.tok', 0o644)).rejects.toMatchObject({
      message: '/opt/a.tok is larger than 1048576 bytes: not copied',
      remedy: expect.stringContaining('/opt/a.tok is the file that was meant'),
    });
    expect(readdirSync(join(root, 'opt'))).toEqual(['a.tok']);
  });

  test("an administrator's link stays a link, and its file is written", async () => {
    const { root, guest } = guestWith({ 'srv/xorg.conf': 'old' });
    mkdirSync(join(root, 'etc'));
    symlinkSync('/srv/xorg.conf', join(root, 'etc/xorg.conf'));
    await guest.writeText('/etc/xorg.conf', 'new');
    expect(lstatSync(join(root, 'etc/xorg.conf')).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(root, 'srv/xorg.conf'), 'utf8')).toBe('new');
  });

  test('what is masked by a link to a device keeps the device', async () => {
    const { root, guest } = guestWith({ 'etc/folder/x': '', 'dev/file': '' });
    execFileSync('/usr/bin/mkfifo', [join(root, 'dev/null')]);
    symlinkSync('/dev/null', join(root, 'etc/masked.service'));
    await expect(guest.writeText('/etc/masked.service', 'new')).rejects.toMatchObject({
      message: '/etc/masked.service is not written: it is no regular file',
      remedy: expect.stringContaining('readlink -f /etc/masked.service'),
    });
    expect(lstatSync(join(root, 'dev/null')).isFIFO()).toBe(true);
    expect(readdirSync(join(root, 'dev'))).toEqual(['file', 'null']);
    await expect(guest.writeText('/etc/folder', 'new')).rejects.toThrow('/etc/folder is not written: it is a folder');
  });

  test('nothing is written into a folder that others can write', async () => {
    const { root, guest } = guestWith({ 'etc/open/file': 'old' });
    chmodSync(join(root, 'etc/open'), 0o777);
    await expect(guest.writeText('/etc/open/file', 'new')).rejects.toThrow('others can write in its folder /etc/open');
    expect(readFileSync(join(root, 'etc/open/file'), 'utf8')).toBe('old');
  });

  const through: readonly (readonly [string, (guest: Guest) => Promise<unknown>])[] = [
    ['a text', guest => guest.writeText('/srv/link/file', 'new')],
    ['a new file', guest => guest.writeNew('/srv/link/fresh', Buffer.from('new'))],
    ['a copy', guest => guest.copyFile('/etc/ours', '/srv/link/file', 0o644)],
    ['a large copy', guest => guest.copyLarge('/etc/ours', '/srv/link/file', 0o644)],
    ['a kept copy', guest => guest.keepCopy('/etc/ours', '/srv/link/fresh')],
    ['a log', guest => guest.prepareAppend('/srv/link/file', 0o640)],
    ['a mode', guest => guest.setMode('/srv/link/file', 0o600)],
    ['an owner', guest => guest.setOwner('/srv/link/file', 12, 34)],
    ['a new folder', guest => guest.makeDirectory('/srv/link/folder', 0o755)],
    ['a move there', guest => guest.rename('/etc/ours', '/srv/link/file')],
    ['a move from there', guest => guest.rename('/srv/link/file', '/etc/ours')],
    ['the removal of a file', guest => guest.remove('/srv/link/file')],
    ['the removal of a folder', guest => guest.removeFolder('/srv/link/full')],
    ['the removal of an empty folder', guest => guest.removeEmptyFolder('/srv/link/empty')],
    ['the removal of what a cut write left', guest => guest.removeHalfWritten('/srv/link/file')],
    ['the lock', guest => guest.lock()],
  ];

  test.each(through)('%s goes through no link in a folder in which others can write', async (_, deed) => {
    const { root, guest } = guestWith({
      'etc/ours': 'ours',
      'theirs/file': 'old',
      'theirs/.file.vgpu-guest': 'half',
      'theirs/full/file': 'old',
    });
    mkdirSync(join(root, 'theirs/empty'));
    for (const folder of ['srv', 'run']) {
      mkdirSync(join(root, folder));
      chmodSync(join(root, folder), 0o1777);
    }
    symlinkSync('/theirs', join(root, 'srv/link'));
    symlinkSync('/theirs', join(root, 'run/vgpu-guest'));
    const before = statSync(join(root, 'theirs/file'));
    await expect(deed(guest)).rejects.toThrow('is a link in a folder in which others can write');
    expect(statSync(join(root, 'theirs/file'))).toMatchObject({ mode: before.mode, uid: before.uid, ino: before.ino });
    expect(readFileSync(join(root, 'theirs/file'), 'utf8')).toBe('old');
    expect(readdirSync(join(root, 'theirs')).sort()).toEqual(['.file.vgpu-guest', 'empty', 'file', 'full']);
    expect(readdirSync(join(root, 'theirs/full'))).toEqual(['file']);
    expect(readFileSync(join(root, 'etc/ours'), 'utf8')).toBe('ours');
  });

  test('a folder that is there keeps its mode; a new one gets its own', async () => {
    const { root, guest } = guestWith();
    mkdirSync(join(root, 'there'), { mode: 0o750 });
    await guest.makeDirectory('/there', 0o700);
    await guest.makeDirectory('/var/lib/new', 0o700);
    expect(statSync(join(root, 'there')).mode & 0o777).toBe(0o750);
    expect(statSync(join(root, 'var/lib/new')).mode & 0o777).toBe(0o700);
  });

  test('a kept copy has the same bytes, also after the first name got new ones', async () => {
    const { root, guest } = guestWith({ 'boot/initrd': 'old', 'boot/.new': 'new' });
    await guest.keepCopy('/boot/initrd', '/boot/initrd.kept');
    await guest.rename('/boot/.new', '/boot/initrd');
    expect(readFileSync(join(root, 'boot/initrd.kept'), 'utf8')).toBe('old');
    expect(readFileSync(join(root, 'boot/initrd'), 'utf8')).toBe('new');
  });

  test('removing what is not there is no error', async () => {
    const { guest } = guestWith();
    await guest.remove('/etc/none');
    await guest.removeEmptyFolder('/etc/none');
  });

  test('a folder in which nothing lies goes, and one that holds something stays', async () => {
    const { root, guest } = guestWith({ 'etc/full/file': 'text' });
    mkdirSync(join(root, 'etc/empty'));
    await guest.removeEmptyFolder('/etc/empty');
    await guest.removeEmptyFolder('/etc/full');
    expect(readdirSync(join(root, 'etc'))).toEqual(['full']);
    expect(readdirSync(join(root, 'etc/full'))).toEqual(['file']);
  });

  test.runIf(process.geteuid?.() === 0)('a file gets the owner that it had', async () => {
    const { root, guest } = guestWith({ 'etc/file': 'text' });
    await guest.setOwner('/etc/file', 12, 34);
    expect(statSync(join(root, 'etc/file'))).toMatchObject({ uid: 12, gid: 34 });
  });
});

const SHARED = '/dev/shm';
const canCross = process.geteuid?.() === 0 && existsSync(SHARED) && statSync(SHARED).dev !== statSync(tmpdir()).dev;

test.runIf(canCross)(
  'a file that is moved to another file system keeps its bytes, its mode and its owner',
  async () => {
    const from = join(temporaryFolder(), 'file');
    const to = join(SHARED, `vgpu-guest-test-${process.pid}`, 'file');
    onTestFinished(() => rmSync(dirname(to), { recursive: true, force: true }));
    mkdirSync(dirname(to), { mode: 0o700 });
    writeFileSync(from, 'old');
    chownSync(from, 12, 34);
    chmodSync(from, 0o2640);
    await openGuest({ root: '/', env: {} }).rename(from, to);
    expect(statSync(to)).toMatchObject({ uid: 12, gid: 34, mode: 0o102640 });
    expect(readFileSync(to, 'utf8')).toBe('old');
    expect(existsSync(from)).toBe(false);
    expect(readdirSync(dirname(to))).toEqual(['file']);
  },
);

test('hands on / are refused to anybody but root', () => {
  if (process.geteuid?.() === 0) return;
  expect(() => openGuest({ root: '/' })).toThrow('only root can change this guest');
});

test('a root that is not there is wrong usage', () => {
  expect(() => openGuest({ root: '/none/such' })).toThrow('--root /none/such: there is no such folder');
});

test('files that are written are complete or not there: the old text stays when the new one cannot be written', async () => {
  const { root, guest } = guestWith({ 'etc/file': 'old' });
  mkdirSync(join(root, 'etc/.file.vgpu-guest'));
  writeFileSync(join(root, 'etc/.file.vgpu-guest/in-the-way'), '');
  await expect(guest.writeText('/etc/file', 'new')).rejects.toThrow('/etc/file cannot be written');
  expect(readFileSync(join(root, 'etc/file'), 'utf8')).toBe('old');
});

test('a log file is there for its group to read, and one that cannot be is a named error', async () => {
  const { root, guest } = guestWith({ 'var/log/there': 'old\n' });
  expect(await guest.prepareAppend('/var/log/new', 0o640)).toBe(join(root, 'var/log/new'));
  expect(statSync(join(root, 'var/log/new')).mode & 0o777).toBe(0o640);
  await guest.prepareAppend('/var/log/there', 0o640);
  expect(readFileSync(join(root, 'var/log/there'), 'utf8')).toBe('old\n');
  await expect(guest.prepareAppend('/var/log', 0o640)).rejects.toThrow('/var/log cannot be written');
});

test('on a guest with SELinux a replaced file keeps its label, and a new one gets that of its path', async () => {
  const { root, guest } = guestWith({ 'sys/fs/selinux/enforce': '1', 'etc/there': 'old' });
  for (const name of ['chcon', 'restorecon']) writeProgram(root, name, `echo ${name} "$@" >>"$GUEST_ROOT/labels"`);
  await guest.writeText('/etc/there', 'new');
  await guest.writeText('/etc/fresh', 'new');
  expect(readFileSync(join(root, 'labels'), 'utf8').replaceAll(root, '').split('\n')).toEqual([
    'chcon --reference=/etc/there /etc/.there.vgpu-guest',
    'restorecon /etc/fresh',
    '',
  ]);
});

test('a label that cannot be set is a named error, and the old file stays', async () => {
  const { root, guest } = guestWith({ 'sys/fs/selinux/enforce': '1', 'etc/there': 'old' });
  writeProgram(root, 'chcon', 'echo "chcon: Permission denied" >&2; exit 1');
  await expect(guest.writeText('/etc/there', 'new')).rejects.toThrow('the SELinux label of /etc/there cannot be set');
  expect(readFileSync(join(root, 'etc/there'), 'utf8')).toBe('old');
});

test('a directory in the place of a file is a fault with a name', async () => {
  const root = temporaryFolder();
  writeFiles(root, { 'etc/nvidia/gridd.conf/x': '' });
  await expect(openGuest({ root }).readText('/etc/nvidia/gridd.conf')).rejects.toThrow(
    '/etc/nvidia/gridd.conf is a directory, and should be a file',
  );
});
