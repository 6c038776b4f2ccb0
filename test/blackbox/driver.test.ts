import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type FolderGuest, type FolderGuestOptions, makeFolderGuest, type Ran } from '../helpers/folder-guest.ts';
import { buildStandInRun } from '../helpers/stand-in-run.ts';
import { serveWeb } from '../helpers/web.ts';

const VERSION = '570.211.01';
const TOKEN = '/opt/client_configuration_token_11-20-2026-10-00-00.tok';
/** Everything but the driver is there, so that one run ends the journey. */
const nearly = { nouveau: 'not-bound', prerequisites: 'installed' } as const;

const configure = (guest: FolderGuest, driver: string) =>
  guest.write('/etc/vgpu-guest/config.yaml', `driver:\n  ${driver}\nlicense:\n  token: ${TOKEN}\n  timeout: 20s\n`);
const stepOf = ({ stdout }: Ran, id: string) => {
  const { steps } = JSON.parse(stdout) as {
    steps: readonly { id: string; outcome: string; because: string; remedy?: string }[];
  };
  return steps.find(step => step.id === id);
};
const loaded = (guest: FolderGuest) => guest.read('/sys/module/nvidia/version')?.trim();
const changes = (guest: FolderGuest) => guest.calls('change').map(({ program, args }) => [program, ...args].join(' '));

describe('a guest whose power has gone', () => {
  test('while DKMS built for a new kernel, has the empty modules that it found built anew', async () => {
    using guest = makeFolderGuest(nearly);
    expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
    const [module = '', built = ''] = Object.keys(guest.manifest()).filter(path => path.endsWith('/nvidia.ko'));
    for (const path of [module, built]) guest.write(path, '');
    await guest.reboot();
    expect(loaded(guest)).toBeUndefined();
    const ran = await guest.vgpuGuest(['apply', '--json']);
    expect(ran.code, ran.stdout).toBe(0);
    // and is not called done before it is on the disk
    expect(changes(guest).findLast(call => /^(dkms|sync) /.test(call))).toMatch(/^sync --file-system /);
    expect([loaded(guest), guest.read(module), guest.read(built)]).toEqual([
      VERSION,
      expect.stringContaining(`version=${VERSION}`),
      expect.stringContaining(`version=${VERSION}`),
    ]);
    expect((await guest.vgpuGuest(['apply'])).stdout).toContain('nothing had to be changed');
  });

  test.each([
    ['can still read', 'PACKAGE_VERSION="570.211.01"\n'],
    ['cannot read any more', ''],
  ])(
    'while DKMS was handed the driver, has it installed although DKMS has a half one that it %s',
    async (_what, conf) => {
      using guest = makeFolderGuest(nearly);
      const tree = '/var/lib/dkms/nvidia';
      guest.write(`/usr/src/nvidia-${VERSION}/dkms.conf`, conf);
      guest.link(`${tree}/${VERSION}/source`, `/usr/src/nvidia-${VERSION}`);
      guest.write(`${tree}/${VERSION}/${guest.kernel}/x86_64/module/nvidia.ko`, '');
      guest.write('/var/lib/vgpu-guest/installing.json', `{"version":"${VERSION}","bootId":"of an earlier boot"}\n`);
      const ran = await guest.vgpuGuest(['apply', '--json']);
      expect(ran.code, ran.stdout).toBe(0);
      expect([loaded(guest), (await guest.run('dkms', 'status')).stdout]).toEqual([
        VERSION,
        `nvidia/${VERSION}, ${guest.kernel}, x86_64: installed\n`,
      ]);
      expect((await guest.vgpuGuest(['apply'])).stdout).toContain('nothing had to be changed');
    },
  );

  test('while its driver was installed, has it installed again, whatever of it looks whole', async () => {
    using guest = makeFolderGuest(nearly);
    // the last deed of the installation, as the power goes
    guest.write('/var/lib/stubs/sync-fails', '');
    expect((await guest.vgpuGuest(['apply'])).stderr).toContain('sync --file-system');
    const daemon = guest.read('/usr/bin/nvidia-gridd');
    guest.write('/usr/bin/nvidia-gridd', '', 0o755);
    guest.remove('/var/lib/stubs/sync-fails');
    await guest.reboot();
    const found = await guest.vgpuGuest(['doctor']);
    expect(found.stdout).toContain('was cut by a reboot');
    const ran = await guest.vgpuGuest(['apply', '--json']);
    expect(ran.code, ran.stdout).toBe(0);
    expect(stepOf(ran, 'install-driver')?.because).toContain('was cut by a reboot, a reset or a loss of power');
    expect(guest.read('/usr/bin/nvidia-gridd')).toBe(daemon);
    expect((await guest.vgpuGuest(['apply'])).stdout).toContain('nothing had to be changed');
  });
});

test('a guest whose installer was killed has it run again, however whole its driver looks', async () => {
  using guest = makeFolderGuest(nearly);
  const modprobe = guest.read('/usr/sbin/modprobe') ?? '';
  // the last that it does, when everything is in place; it waits in a shell of its own
  guest.remove('/usr/sbin/modprobe');
  guest.write('/usr/sbin/modprobe', `#!/bin/sh\nkill -9 "$(/usr/bin/cut -d ' ' -f 4 "/proc/$PPID/stat")"\n`, 0o755);
  const killed = await guest.vgpuGuest(['apply']);
  expect([killed.code, killed.stderr]).toEqual([1, expect.stringContaining('SIGKILL')]);
  guest.write('/usr/sbin/modprobe', modprobe, 0o755);
  expect((await guest.vgpuGuest(['doctor'])).stdout).toContain('was cut by a signal');
  guest.forgetCalls();
  const ran = await guest.vgpuGuest(['apply', '--json']);
  expect(ran.code, ran.stdout).toBe(0);
  expect(stepOf(ran, 'install-driver')?.because).toContain('was cut by a signal');
  expect(changes(guest)).toContainEqual(expect.stringMatching(/^sh \S+\.run /));
  expect((await guest.vgpuGuest(['apply'])).stdout).toContain('nothing had to be changed');
});

describe('a guest whose kernel loads signed modules only', () => {
  const guestWith = (options: FolderGuestOptions = {}) =>
    makeFolderGuest({ ...nearly, distribution: 'rocky-9', secureBoot: 'on', ...options });
  const giveKey = (guest: FolderGuest) => {
    guest.write('/var/lib/dkms/mok.key', 'a key\n', 0o600);
    guest.write('/var/lib/dkms/mok.pub', 'CN=DKMS module signing key\n');
  };
  const enroll = (guest: FolderGuest) => guest.write('/var/lib/stubs/enrolled-keys', 'CN=DKMS module signing key\n');

  test('is left alone until its firmware knows the key, and is licensed with signed modules then', async () => {
    using guest = guestWith();
    const before = guest.manifest();
    const none = await guest.vgpuGuest(['apply', '--json']);
    expect([none.code, stepOf(none, 'install-driver')]).toMatchObject([
      4,
      { because: expect.stringContaining('/var/lib/dkms/mok.key and /var/lib/dkms/mok.pub are not there') },
    ]);
    for (const id of ['restart-gridd', 'await-license'])
      expect(stepOf(none, id)?.remedy).toContain('do what install-driver says');
    expect(changes(guest)).toEqual([]);

    giveKey(guest);
    const unknown = await guest.vgpuGuest(['apply', '--json']);
    expect(stepOf(unknown, 'install-driver')?.remedy).toContain('mokutil --import /var/lib/dkms/mok.pub');
    guest.write('/var/lib/stubs/requested-keys', 'CN=DKMS module signing key\n');
    const requested = await guest.vgpuGuest(['apply', '--json']);
    expect(stepOf(requested, 'install-driver')?.remedy).toContain('reboot, and on the guest');
    expect(changes(guest)).toEqual([]);
    expect(Object.keys(guest.manifest()).filter(path => !(path in before))).toEqual([
      '/var/lib/dkms',
      '/var/lib/dkms/mok.key',
      '/var/lib/dkms/mok.pub',
      '/var/lib/vgpu-guest',
      '/var/lib/vgpu-guest/last-report.json',
    ]);

    enroll(guest);
    const done = await guest.vgpuGuest(['apply']);
    expect(done.code, done.stderr).toBe(0);
    expect((await guest.run('modinfo', '-F', 'signer', 'nvidia')).stdout).toBe('DKMS module signing key\n');
    expect((await guest.reboot()).nouveauBound).toBe(false);
    expect(loaded(guest)).toBe(VERSION);
  });

  test('gets a driver of the oldest era signed by DKMS', async () => {
    using guest = guestWith({ version: '470.256.02' });
    giveKey(guest);
    enroll(guest);
    const done = await guest.vgpuGuest(['apply']);
    expect(done.code, done.stderr).toBe(0);
    expect(loaded(guest)).toBe('470.256.02');
    expect((await guest.run('modinfo', '-F', 'signer', 'nvidia')).stdout).toBe('DKMS module signing key\n');
  });

  test('takes the key that the configuration names', async () => {
    using guest = guestWith();
    guest.write('/root/my.key', 'a key\n', 0o600);
    guest.write('/root/my.pub', 'CN=mine\n');
    guest.write('/var/lib/stubs/enrolled-keys', 'CN=mine\n');
    configure(guest, `package: ${guest.packagePath}\n  signingKey: /root/my.key\n  signingCertificate: /root/my.pub`);
    const done = await guest.vgpuGuest(['apply']);
    expect(done.code, done.stderr).toBe(0);
    expect((await guest.run('modinfo', '-F', 'signer', 'nvidia')).stdout).toBe('mine\n');
    expect(done.stderr).toContain('DKMS signs with /var/lib/dkms/mok.key, which is not known to be enrolled');
  });
});

describe('a package in a place that is not safe', () => {
  test('is run from a copy, and unpacked where nobody else can write', async () => {
    using guest = makeFolderGuest({ ...nearly, family: 'debian' });
    const text = buildStandInRun().bytes;
    guest.write('/home/user/my driver.run', text);
    guest.write('/var/lib/stubs/tmp-noexec', '');
    configure(guest, 'package: /home/user/my driver.run');
    const done = await guest.vgpuGuest(['apply']);
    expect(done.code, done.stderr).toBe(0);
    const sha256 = createHash('sha256').update(text).digest('hex');
    expect(guest.manifest()[`/var/lib/vgpu-guest/packages/${sha256}/my_driver.run`]).toMatch(/^file 600 /);
    expect(guest.list('/tmp')).toEqual([]);
    expect(guest.list('/var/lib/vgpu-guest')).toEqual(expect.not.arrayContaining(['unpacked']));
    guest.forgetCalls();
    expect((await guest.vgpuGuest(['apply', '--detailed-exitcode'])).code).toBe(0);
    expect(changes(guest)).toEqual([]);
  });

  test('is unpacked elsewhere where nothing may be run below /var', async () => {
    using guest = makeFolderGuest({ ...nearly, family: 'debian' });
    guest.write('/proc/self/mounts', '/dev/vda2 / ext4 rw 0 0\n/dev/vda3 /var ext4 rw,noexec 0 0\n');
    const done = await guest.vgpuGuest(['apply']);
    expect(done.code, done.stderr).toBe(0);
    expect(guest.read('/var/log/nvidia-installer.log')).toMatch(/--tmpdir\s+\/root\/\.vgpu-guest-unpacked/);
    expect(guest.list('/root')).toEqual([]);
  });
});

test('a guest with a driver of its distribution keeps it, and is told how to give it up', async () => {
  using guest = makeFolderGuest({ ...nearly, family: 'suse' });
  const packages = guest.read('/var/lib/stubs/packages');
  guest.write('/var/lib/stubs/packages', `${packages}nvidia-compute-G06 570.211.01-1\n`);
  const refused = await guest.vgpuGuest(['apply', '--json']);
  expect([refused.code, stepOf(refused, 'install-driver')]).toMatchObject([
    4,
    { remedy: expect.stringContaining('zypper remove --clean-deps nvidia-compute-G06') },
  ]);
  expect(changes(guest)).toEqual([]);
});

test('a guest whose GPU could have the open kernel modules gets those that are asked for', async () => {
  using guest = makeFolderGuest({ ...nearly, distribution: 'rocky-9', mode: 'pass-through' });
  const license = `license:\n  token: ${TOKEN}\n  feature: vws\n  timeout: 20s\n`;
  const ask = (kind: string) =>
    guest.write(
      '/etc/vgpu-guest/config.yaml',
      `driver:\n  package: ${guest.packagePath}\n  kernelModules: ${kind}\n${license}`,
    );
  ask('proprietary');
  const done = await guest.vgpuGuest(['apply']);
  expect(done.code, done.stderr).toBe(0);
  expect((await guest.run('modinfo', '-F', 'license', 'nvidia')).stdout).toBe('NVIDIA\n');
  ask('open');
  const told = await guest.vgpuGuest(['apply']);
  expect([told.code, told.stderr]).toEqual([0, expect.stringContaining('are not the open ones')]);
});

describe('a package behind a URL', () => {
  const run = buildStandInRun();
  const sha256 = createHash('sha256').update(run.bytes).digest('hex');
  const serve = (body: Uint8Array) => serveWeb((_, response) => response.end(body));
  const trust = (guest: FolderGuest, authority: string) => guest.write('/etc/ssl/certs/ca-certificates.crt', authority);

  test('is planned without being asked for, downloaded once, and installed', async () => {
    using guest = makeFolderGuest({ ...nearly, family: 'debian', package: 'absent' });
    const web = await serve(run.bytes);
    trust(guest, web.authority);
    configure(guest, `package: "${web.origin}/vgpu/${run.name}?sig=s3cret"\n  sha256: ${sha256}`);
    const plan = await guest.vgpuGuest(['plan']);
    expect(plan.code).toBe(0);
    expect(plan.stdout).toContain(
      `download ${web.origin}/vgpu/${run.name}?… to /var/lib/vgpu-guest/packages/${sha256}/`,
    );
    expect(web.asked).toEqual([]);

    const done = await guest.vgpuGuest(['apply']);
    expect(done.code, done.stderr).toBe(0);
    expect(loaded(guest)).toBe(VERSION);
    expect(guest.manifest()[`/var/lib/vgpu-guest/packages/${sha256}/${run.name}`]).toMatch(/^file 600 /);
    guest.forgetCalls();
    expect((await guest.vgpuGuest(['apply', '--detailed-exitcode'])).code).toBe(0);
    expect(changes(guest)).toEqual([]);
    expect(web.asked).toHaveLength(1);
    const written = plan.stdout + done.stderr + done.stdout + (guest.read('/var/log/vgpu-guest.log') ?? '');
    expect(written).not.toContain('s3cret');
  });

  test.each([
    ['hashes to something else', run.bytes, 'f'.repeat(64), 'hashes to'],
    ['is the host’s', buildStandInRun({ flavor: 'vgpu-kvm' }).bytes, undefined, 'is the vGPU Manager for the host'],
    ['is a web page', Buffer.from('<html>'), undefined, 'it is a web page'],
  ])('4: that %s is not installed, and nothing else was changed', async (_how, body, wanted, because) => {
    using guest = makeFolderGuest({ ...nearly, family: 'debian', package: 'absent' });
    const web = await serve(body);
    trust(guest, web.authority);
    const sum = wanted ?? createHash('sha256').update(body).digest('hex');
    configure(guest, `package: "${web.origin}/driver.run"\n  sha256: ${sum}`);
    const { code, stdout, stderr } = await guest.vgpuGuest(['apply']);
    expect([code, stdout + stderr]).toEqual([4, expect.stringContaining(because)]);
    expect(changes(guest)).toEqual([]);
  });
});

describe('a licensed guest', () => {
  async function licensed(options: FolderGuestOptions = {}): Promise<FolderGuest> {
    const guest = makeFolderGuest({ ...nearly, distribution: 'rocky-9', ...options });
    const done = await guest.vgpuGuest(['apply']);
    expect(done.code, done.stderr).toBe(0);
    guest.forgetCalls();
    return guest;
  }
  const NEXT = '5.14.0-503.19.1.el9_5.x86_64';

  test('has its driver built for a new kernel before that boots', async () => {
    using guest = await licensed();
    await guest.installKernel(NEXT);
    guest.forgetCalls();
    const done = await guest.vgpuGuest(['apply']);
    expect(done.code, done.stderr).toBe(0);
    expect(changes(guest)).toEqual(expect.arrayContaining([`dkms install -m nvidia -v ${VERSION} -k ${NEXT}`]));
    guest.forgetCalls();
    expect((await guest.vgpuGuest(['apply', '--detailed-exitcode'])).code).toBe(0);
    expect(changes(guest)).toEqual([]);
    await guest.reboot();
    expect([guest.read('/proc/sys/kernel/osrelease'), loaded(guest)]).toEqual([`${NEXT}\n`, VERSION]);
  });

  test('of SUSE gets the headers of a new kernel with it, when zypper has them', async () => {
    using guest = await licensed({ distribution: 'sles-15.6' });
    await guest.installKernel('6.4.0-150600.23.60-default');
    const done = await guest.vgpuGuest(['apply']);
    expect(done.code, done.stderr).toBe(0);
    expect(changes(guest)).toEqual(
      expect.arrayContaining([
        'zypper --non-interactive install --no-recommends kernel-default-devel=6.4.0-150600.23.60',
        `dkms install -m nvidia -v ${VERSION} -k 6.4.0-150600.23.60-default`,
      ]),
    );
  });

  test('gets a newer driver where the libraries that all makers share are there in part', async () => {
    using guest = await licensed({ version: '550.163.01' });
    guest.write('/usr/lib64/libGL.so.1', '');
    configure(guest, `package: ${guest.addPackage('580.95.05')}`);
    const done = await guest.vgpuGuest(['apply']);
    expect(done.code, done.stderr).toBe(0);
    expect(loaded(guest)).toBe('580.95.05');
  });

  test('whose driver does not build for the new kernel is told once by a failure, and then by a warning', async () => {
    using guest = await licensed();
    await guest.installKernel(NEXT);
    guest.write('/var/lib/stubs/build-fails-for', `${NEXT}\n`);
    guest.forgetCalls();
    const first = await guest.vgpuGuest(['apply']);
    expect(first.code, first.stderr).toBe(0);
    expect(first.stderr).toContain(`the next boot takes ${NEXT}, and would be without driver ${VERSION}: dkms install`);
    guest.forgetCalls();
    const second = await guest.vgpuGuest(['apply', '--detailed-exitcode']);
    expect([second.code, changes(guest)]).toEqual([0, []]);
    expect(second.stderr).toContain(`/var/lib/dkms/nvidia/${VERSION}/build/make.log`);
    const { code, stdout } = await guest.vgpuGuest(['doctor']);
    expect([code, stdout]).toEqual([0, expect.stringContaining(`the next boot takes ${NEXT}`)]);
  });

  test('keeps its driver when a newer one does not build', async () => {
    using guest = await licensed();
    configure(guest, `package: ${guest.addPackage('580.95.05')}`);
    guest.write('/var/lib/stubs/build-fails', '');
    const failed = await guest.vgpuGuest(['apply']);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain(`driver ${VERSION} is still installed, and works`);
    expect(loaded(guest)).toBe(VERSION);
    guest.remove('/var/lib/stubs/build-fails');
    const done = await guest.vgpuGuest(['apply']);
    expect(done.code, done.stderr).toBe(0);
    expect(loaded(guest)).toBe('580.95.05');
  });

  test('gets an older driver as well as a newer one', async () => {
    using guest = await licensed();
    configure(guest, `package: ${guest.addPackage('550.163.01')}`);
    const done = await guest.vgpuGuest(['apply', '--json']);
    expect(done.code, done.stderr).toBe(0);
    expect(loaded(guest)).toBe('550.163.01');
    expect(JSON.parse(done.stdout).license.state).toBe('licensed');
  });
});
