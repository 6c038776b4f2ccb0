import { describe, expect, test } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const RUNNING = '6.1.0-28-amd64';
const NEWER = '6.1.0-100-amd64';

function guest(files: Record<string, string>, programs: Record<string, string> = {}) {
  const root = temporaryFolder();
  const kernel = (release: string) => ({ [`lib/modules/${release}/modules.dep`]: '', [`boot/vmlinuz-${release}`]: '' });
  writeFiles(root, { 'proc/sys/kernel/osrelease': `${RUNNING}\n`, ...kernel(RUNNING), ...files });
  for (const [name, script] of Object.entries(programs)) writeProgram(root, name, script);
  return lookAt(openEyes({ root, env: {} }), configSchema.parse({}));
}

const newer = { [`lib/modules/${NEWER}/modules.dep`]: '', [`boot/vmlinuz-${NEWER}`]: '' };

describe('the kernel of the next boot', () => {
  test('is the running one where there is no newer', async () => {
    const older = { 'lib/modules/6.1.0-9-amd64/modules.dep': '', 'boot/vmlinuz-6.1.0-9-amd64': '' };
    expect(await guest(older).fact('kernels')).toEqual({ next: undefined });
  });

  test('is the newest that has an image, by its numbers', async () => {
    const leftover = {
      'lib/modules/6.1.0-99-amd64/modules.dep': '',
      'boot/vmlinuz-6.1.0-99-amd64': '',
      'lib/modules/6.1.0-200-amd64/modules.dep': '',
    };
    expect(await guest({ ...newer, ...leftover }).fact('kernels')).toEqual({
      next: {
        release: NEWER,
        from: 'it is the newest kernel in /lib/modules and /boot',
        headers: false,
        onDisk: undefined,
        signer: undefined,
        failedBuild: undefined,
      },
    });
  });

  test.each([
    ['GRUB_DEFAULT="1>2"\n', undefined],
    ['GRUB_DEFAULT=saved\n', NEWER],
    ['GRUB_DEFAULT=0\n', NEWER],
  ])('is unknown where somebody has told the boot loader: %j', async (text, release) => {
    const { next } = await guest({ ...newer, 'etc/default/grub': text }).fact('kernels');
    expect(next?.release).toBe(release);
  });

  test('is what grubby says where it is there', async () => {
    const grubby = { grubby: `[ "$*" = --default-kernel ] && echo /boot/vmlinuz-${RUNNING}` };
    expect(await guest(newer, grubby).fact('kernels')).toEqual({ next: undefined });
    const other = { grubby: 'echo /boot/vmlinuz-5.14.0-503.el9.x86_64' };
    expect((await guest(newer, other).fact('kernels')).next).toMatchObject({
      release: '5.14.0-503.el9.x86_64',
      from: 'grubby --default-kernel',
    });
  });

  test('is seen with its headers, its module, whose signature that has, and a build that failed', async () => {
    const log = '/var/lib/dkms/nvidia/570.211.01/build/make.log';
    const look = guest(
      {
        ...newer,
        [`lib/modules/${NEWER}/build/Makefile`]: '',
        [log.slice(1)]: `DKMS make.log for nvidia-570.211.01 for kernel ${NEWER} (x86_64)\nSat Nov 21\n`,
      },
      {
        modinfo: `[ "$3 $4 $5" = "-k ${NEWER} nvidia" ] && case $2 in version) echo 570.211.01 ;; signer) echo mine ;; sig_key) echo 0C:29 ;; esac`,
      },
    );
    expect((await look.fact('kernels')).next).toMatchObject({
      headers: true,
      onDisk: '570.211.01',
      signer: 'mine',
      signedWith: 'c29',
      failedBuild: log,
    });
  });

  test('has nothing to do with a build that failed for another one', async () => {
    const log = 'var/lib/dkms/nvidia/570.211.01/build/make.log';
    const text = `DKMS make.log for nvidia-570.211.01 for kernel ${RUNNING} (x86_64)\n`;
    expect((await guest({ ...newer, [log]: text }).fact('kernels')).next?.failedBuild).toBeUndefined();
  });
});

describe('what the kernels to come need', () => {
  const DEBIAN = { 'etc/os-release': 'ID=debian\n' };
  const names = async (look: ReturnType<typeof guest>) =>
    (await look.fact('prerequisites')).later.map(({ ask }) => ask);
  const dpkg = (...installed: string[]) => ({
    'dpkg-query': `shift 2
for name; do case $name in
  linux-image-*) printf 'ii  %s\\n' ${installed.join(' ')} ;;
  gcc | make | dkms | libc6-dev | libglvnd-dev | pkg-config) echo "ii  $name" ;;
esac; done`,
  });
  const built = { [`lib/modules/${RUNNING}/build/Makefile`]: '' };

  test('are headers for the one of the next boot', async () => {
    expect(await names(guest({ ...DEBIAN, ...built, ...newer }, dpkg()))).toEqual([`linux-headers-${NEWER}`]);
  });

  test.each([
    ['linux-image-amd64', 'linux-headers-amd64'],
    ['linux-image-cloud-amd64', 'linux-headers-cloud-amd64'],
    ['linux-image-generic-hwe-24.04', 'linux-headers-generic-hwe-24.04'],
    ['linux-image-azure', 'linux-headers-azure'],
  ])('are headers that follow %s', async (kernel, headers) => {
    const own = [
      `linux-image-${RUNNING}`,
      `linux-image-${RUNNING}-dbg`,
      'linux-image-amd64-dbg',
      'linux-image-unsigned-6.1',
      'linux-image-extra-virtual',
    ];
    expect(await names(guest({ ...DEBIAN, ...built }, dpkg(kernel, ...own)))).toEqual([headers]);
  });

  test('are offered where the lists on the guest have a candidate', async () => {
    const policy = `for name; do case $name in
  policy) ;;
  linux-headers-amd64) printf '%s:\\n  Installed: (none)\\n  Candidate: 6.1.170-1\\n  Version table:\\n     6.1.170-1 500\\n' "$name" ;;
  *) printf '%s:\\n  Installed: (none)\\n  Candidate: (none)\\n  Version table:\\n' "$name" ;;
esac; done`;
    const programs = { ...dpkg('linux-image-amd64'), 'apt-get': 'exit 100', 'apt-cache': policy };
    const { later, offered } = await guest({ ...DEBIAN, ...built, ...newer }, programs).fact('prerequisites');
    expect(later.map(({ ask }) => ask)).toEqual([`linux-headers-${NEWER}`, 'linux-headers-amd64']);
    expect([...offered]).toEqual(['linux-headers-amd64']);
  });

  test.each([
    [
      'has them',
      "printf '\\nThe following NEW package is going to be installed:\\n  kernel-default-devel\\n\\n'",
      true,
    ],
    ['has not got them', "echo 'No provider of kernel-default-devel found.' >&2; exit 104", false],
    ['is in use', "echo 'System management is locked by the application with pid 1912 (zypper).' >&2; exit 7", false],
  ])('are offered by a zypper that %s: %s', async (_how, answer, isOffered) => {
    const [running, release] = ['6.4.0-150600.21-default', '6.4.0-150600.23.47-default'];
    const suse = { 'etc/os-release': 'ID=sles\n', 'proc/sys/kernel/osrelease': `${running}\n` };
    const kernels = { [`lib/modules/${running}/build/Makefile`]: '', [`lib/modules/${release}/vmlinuz`]: '' };
    const asked = 'kernel-default-devel=6.4.0-150600.23.47';
    const zypper = `[ "$*" = "--non-interactive --no-refresh install --dry-run --no-recommends ${asked}" ] || exit 2
${answer}`;
    const rpm = 'shift 3; printf "%s\\n" "$@"';
    const { later, offered } = await guest({ ...suse, ...kernels }, { zypper, rpm }).fact('prerequisites');
    expect(later.map(({ ask }) => ask)).toEqual([asked]);
    expect([...offered]).toEqual(isOffered ? [asked] : []);
  });

  test('are none where nothing follows, or where DKMS is not asked for', async () => {
    expect(await names(guest({ ...DEBIAN, ...built }, dpkg(`linux-image-${RUNNING}`)))).toEqual([]);
  });
});
