import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DISTRIBUTION_OF, DISTRIBUTIONS, type Distribution, repository, type Traits } from './distributions.ts';
import { killIfAlive } from './kill-if-alive.ts';
import { buildStandInRun, type Flavor } from './stand-in-run.ts';
import { makeToken } from './token.ts';

const STUBS = join(import.meta.dirname, '../stubs');
const PROGRAM = join(import.meta.dirname, '../../dist/vgpu-guest.mjs');

export interface FolderGuestOptions {
  readonly family?: 'suse' | 'rhel' | 'debian';
  /** Of the debian family Ubuntu is built unless Debian is named. */
  readonly distribution?: Distribution;
  readonly gpus?: 0 | 1 | 2;
  /** A vGPU (the default) or a whole GPU that is passed through. */
  readonly mode?: 'vgpu' | 'pass-through';
  /** What nvidia-smi will call it; its last letter decides the license of a vGPU. */
  readonly gpuName?: string;
  readonly nouveau?: 'bound' | 'not-bound';
  readonly version?: string;
  readonly flavor?: Flavor;
  readonly architecture?: 'x86_64' | 'aarch64';
  readonly package?: 'whole' | 'truncated' | 'absent';
  /** Packages that no repository has. */
  readonly repositoryLacks?: readonly string[];
  /** Everything that a driver's build needs is there. */
  readonly prerequisites?: 'missing' | 'installed';
  readonly license?: LicenseService;
  readonly token?: 'good' | 'expired' | 'broken' | 'absent';
  /** Where the system keeps its log; the stand-in journal answers unless there is none. */
  readonly journal?: 'present' | 'absent';
  /** A desktop, with an X server on display :0. */
  readonly x?: 'running' | 'absent';
  readonly boot?: 'roomy' | 'full';
  readonly packageManager?: 'free' | 'locked';
  /** on: the kernel loads only what is signed with an enrolled key. */
  readonly secureBoot?: 'on' | 'absent';
  /** dracut's way: with or without what is this guest's alone. */
  readonly initrd?: 'hostonly' | 'generic';
  /** The text of /etc/vgpu-guest/config.yaml; undefined: package and token as they lie in /opt; '' : no file. */
  readonly config?: string;
}

/** How the license service answers the daemon. */
export interface LicenseService {
  readonly answer?: 'grant' | 'refuse' | 'refuse-then-grant' | 'silent';
  readonly reason?: string;
  readonly delayS?: number;
  /** `2026-7-7 16:1:44`, as nvidia-smi prints it. */
  readonly expiry?: string;
  /** late: a daemon that cannot go on dies after systemd has called it started. */
  readonly death?: 'early' | 'late';
}

interface Call {
  readonly kind: 'look' | 'change';
  readonly program: string;
  readonly args: readonly string[];
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Boot {
  readonly nouveauBound: boolean;
  /** What the resume unit did, when it was enabled and its condition held. */
  readonly resumed: Ran | undefined;
}

export interface FolderGuest extends Disposable {
  readonly root: string;
  readonly distribution: Distribution;
  readonly kernel: string;
  readonly gpuAddresses: readonly string[];
  /** Paths as the guest has them. */
  readonly packagePath: string;
  readonly tokenPath: string;
  /** The token as it lies there: for looking whether it leaked. */
  readonly tokenText: string;
  /** A guest path as a path of this machine. */
  at(path: string): string;
  read(path: string): string | undefined;
  write(path: string, text: string | Uint8Array, mode?: number): void;
  remove(path: string): void;
  link(path: string, target: string): void;
  list(path: string): readonly string[];
  /** What was called since the start, or since `forgetCalls`. */
  calls(kind?: Call['kind']): readonly Call[];
  forgetCalls(): void;
  /** A program of this guest, as the agent runs it. */
  run(...argv: readonly [string, ...string[]]): Promise<Ran>;
  /** The built agent on this guest. */
  vgpuGuest(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran>;
  setLicenseService(service: LicenseService): void;
  /** Another package in /opt; returns its path. */
  addPackage(version: string, flavor?: Flavor): string;
  /** A kernel that the next boot takes; its headers come to the repository. */
  installKernel(release: string): Promise<void>;
  reboot(): Promise<Boot>;
  /** Path → what is there (kind, mode, digest or target), but for /proc, /run, /tmp, logs and the stand-ins' own state. */
  manifest(): Readonly<Record<string, string>>;
  dispose(): void;
}

/** A guest in a folder: its files, its GPU on the bus, its package repository, and programs as strict as the real ones. */
export function makeFolderGuest(options: FolderGuestOptions = {}): FolderGuest {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'vgpu-guest-')));
  const distribution = options.distribution ?? DISTRIBUTION_OF[options.family ?? 'suse'];
  const traits = DISTRIBUTIONS[distribution];
  const architecture = options.architecture ?? 'x86_64';
  const at = (path: string) => join(root, path);
  const write = (path: string, text: string | Uint8Array, mode = 0o644) => {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
    chmodSync(at(path), mode);
  };
  const read = (path: string) => (existsSync(at(path)) ? readFileSync(at(path), 'utf8') : undefined);
  const link = (path: string, target: string) => {
    mkdirSync(dirname(at(path)), { recursive: true });
    symlinkSync(target, at(path));
  };
  const remove = (path: string) => rmSync(at(path), { recursive: true, force: true });
  const list = (path: string) => (existsSync(at(path)) ? readdirSync(at(path)).sort() : []);

  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', GUEST_ROOT: root };
  const run = (...[program, ...args]: readonly [string, ...string[]]) =>
    start(at(findProgram(root, program)), args, env);
  const vgpuGuest = (args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    start(process.execPath, [PROGRAM, ...args, '--root', root], { LANG: 'C.UTF-8', ...more });
  const setLicenseService = (service: LicenseService) => write('/var/lib/stubs/license-service', serviceText(service));

  layOut();
  installStubs(root, traits);
  for (const [path, text] of Object.entries(traits.files ?? {})) write(path, text);
  write('/var/lib/stubs/machine', `${architecture}\n`);
  write('/var/lib/stubs/syslog-path', `${traits.syslog}\n`);
  write('/var/lib/stubs/initrd-path', `${traits.initrd}\n`);
  write('/var/lib/stubs/dkms-folder', `${traits.dkmsFolder}\n`);
  write('/var/lib/stubs/packages', traits.installed.map(line => `${line}\n`).join(''));
  write('/var/lib/stubs/repository', repository(traits, traits.kernel, options.repositoryLacks ?? []));
  if (options.gpuName) write('/var/lib/stubs/gpu-name', `${options.gpuName}\n`);
  if (options.boot === 'full') write('/var/lib/stubs/boot-full', '');
  if (options.packageManager === 'locked') write('/var/lib/stubs/locked', '');
  if (options.secureBoot === 'on') turnSecureBootOn();
  if (options.journal === 'absent') write('/var/lib/stubs/no-journal', '');
  setLicenseService(options.license ?? {});

  const gpuAddresses = ADDRESSES.slice(0, options.gpus ?? 1);
  for (const address of gpuAddresses) plugIn(address, options.mode ?? 'vgpu');
  plugInConsole();
  addKernel(traits.kernel);
  bootKernel(traits.kernel);
  if ((options.nouveau ?? 'bound') === 'bound') bindNouveau();
  if (options.x === 'running') startX();
  if (options.prerequisites === 'installed') installAll();

  const packagePath =
    options.package === 'absent'
      ? '/opt/NVIDIA-Linux-x86_64-570.211.01-grid.run'
      : addPackage(options.version ?? '570.211.01', options.flavor);
  const tokenPath = '/opt/client_configuration_token_11-20-2026-10-00-00.tok';
  const tokenText = makeToken({ expired: options.token === 'expired' });
  if (options.token !== 'absent')
    write(tokenPath, options.token === 'broken' ? tokenText.slice(0, -40) : tokenText, 0o600);
  const config = options.config ?? configText(packagePath, options.token === 'absent' ? undefined : tokenPath);
  if (config !== '') write('/etc/vgpu-guest/config.yaml', config);
  forgetCalls();

  return {
    root,
    distribution,
    kernel: traits.kernel,
    gpuAddresses,
    packagePath,
    tokenPath,
    tokenText,
    at,
    read,
    write,
    remove,
    link,
    list,
    calls,
    forgetCalls,
    run,
    vgpuGuest,
    setLicenseService,
    addPackage,
    installKernel,
    reboot,
    manifest: () => manifest(root),
    dispose,
    [Symbol.dispose]: dispose,
  };

  function layOut(): void {
    const merged = traits.usrMerge ? ['usr/lib', 'usr/bin', 'usr/sbin'] : ['lib', 'bin', 'sbin'];
    const folders = [
      'etc/modprobe.d',
      'opt',
      'root',
      'run',
      'tmp',
      'boot',
      'var/tmp',
      'usr/local/bin',
      'usr/local/sbin',
    ];
    for (const folder of [
      ...folders,
      'usr/bin',
      'usr/sbin',
      'usr/lib/modprobe.d',
      'usr/lib/systemd/system',
      ...merged,
    ]) {
      mkdirSync(at(folder), { recursive: true });
    }
    if (traits.usrMerge) for (const name of ['bin', 'sbin', 'lib']) link(`/${name}`, `usr/${name}`);
    link('/var/run', '../run');
    write('/usr/lib/os-release', traits.osRelease);
    link('/etc/os-release', '../usr/lib/os-release');
    write(
      '/proc/self/mounts',
      `/dev/vda2 / ${traits.rootFileSystem} rw,relatime 0 0\n/dev/vda1 /boot/efi vfat rw 0 0\n`,
    );
    write('/proc/cmdline', 'BOOT_IMAGE=/boot/vmlinuz root=/dev/vda2 quiet\n');
    write('/var/lib/stubs/journal', '');
    if (traits.syslogDaemon) write(traits.syslog, '');
    if (traits.dracut && options.initrd !== 'generic') {
      write('/usr/lib/dracut/dracut.conf.d/01-dist.conf', 'hostonly="yes"\n');
    }
    for (const unit of ['multi-user.target', 'graphical.target']) {
      write(`/usr/lib/systemd/system/${unit}`, `[Unit]\nDescription=${unit}\nAllowIsolate=yes\n`);
    }
    write('/var/lib/stubs/units/multi-user.target/active', 'active\n');
  }

  /** The function's own files, as sysfs shows them before any driver is bound. */
  function plugIn(address: string, mode: 'vgpu' | 'pass-through'): void {
    const folder = `/sys/bus/pci/devices/${address}`;
    write(`${folder}/vendor`, '0x10de\n');
    write(`${folder}/device`, '0x2236\n');
    write(`${folder}/class`, '0x030000\n');
    write(`${folder}/config`, configurationSpace(mode));
    mkdirSync(at('/sys/bus/pci/drivers'), { recursive: true });
  }

  /** The console that a hypervisor emulates. */
  function plugInConsole(): void {
    const folder = '/sys/bus/pci/devices/0000:00:02.0';
    write(`${folder}/vendor`, '0x1013\n');
    write(`${folder}/device`, '0x00b8\n');
    write(`${folder}/class`, '0x030000\n');
    write(`${folder}/config`, new Uint8Array(256));
    link(`${folder}/driver`, '../../../../bus/pci/drivers/cirrus-qemu');
  }

  function addKernel(release: string): void {
    const modules = `/lib/modules/${release}`;
    write(
      `${modules}/kernel/drivers/gpu/drm/nouveau/nouveau.ko${traits.moduleSuffix}`,
      'license=GPL and additional rights\n',
    );
    write(`${modules}/modules.dep`, `kernel/drivers/gpu/drm/nouveau/nouveau.ko${traits.moduleSuffix}:\n`);
    write(`/boot/vmlinuz-${release}`, 'a kernel\n', 0o755);
    write(
      initrdOf(release),
      [
        `070701 ${release}`,
        '@init',
        ...(options.initrd === 'generic'
          ? []
          : [`@usr${modules}/kernel/drivers/gpu/drm/nouveau/nouveau.ko${traits.moduleSuffix}`]),
        '',
      ].join('\n'),
      0o600,
    );
  }

  function initrdOf(release: string): string {
    return traits.initrd.replace('KERNEL', release);
  }

  function bootKernel(release: string): void {
    write('/proc/sys/kernel/osrelease', `${release}\n`);
    write('/proc/sys/kernel/random/boot_id', `${randomUUID()}\n`);
    // the file came with Linux 6.1
    if (!release.startsWith('5.')) write('/proc/sys/kernel/arch', `${architecture}\n`);
  }

  function bindNouveau(): void {
    for (const address of gpuAddresses) {
      remove(`/sys/bus/pci/devices/${address}/driver`);
      link(`/sys/bus/pci/devices/${address}/driver`, '../../../../bus/pci/drivers/nouveau');
    }
    mkdirSync(at('/sys/module/nouveau'), { recursive: true });
  }

  function turnSecureBootOn(): void {
    write('/var/lib/stubs/secure-boot', '');
    write('/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c', new Uint8Array([6, 0, 0, 0, 1]));
    write('/sys/kernel/security/lockdown', 'none [integrity] confidentiality\n');
    write('/sys/module/module/parameters/sig_enforce', 'N\n');
  }

  function startX(): void {
    write('/var/lib/stubs/units/graphical.target/active', 'active\n');
    mkdirSync(at('/proc/912'), { recursive: true });
    write('/tmp/.X0-lock', '       912\n');
  }

  function installAll(): void {
    const names = (read('/var/lib/stubs/repository') ?? '').split('\n').map(line => line.split(' ')[0] ?? '');
    for (const name of names.filter(Boolean)) {
      const script =
        '. "$GUEST_ROOT/usr/lib/stubs/lib.sh"; . "$root/usr/lib/stubs/packages.sh"; install_line "$(find_package "$1")"';
      startSync('/bin/sh', ['-c', script, 'install', name], env);
    }
  }

  function calls(kind?: Call['kind']): readonly Call[] {
    const lines = (read('/calls.log') ?? '').split('\n').filter(Boolean);
    const all = lines.map(line => {
      const [first, program = '', ...args] = line.split('\t');
      return { kind: first === 'look' ? 'look' : 'change', program, args } as const;
    });
    return kind ? all.filter(call => call.kind === kind) : all;
  }

  function forgetCalls(): void {
    writeFileSync(at('/calls.log'), '');
  }

  function addPackage(version: string, flavor: Flavor = 'grid'): string {
    const built = buildStandInRun({ version, flavor, architecture });
    const bytes =
      options.package === 'truncated' ? built.bytes.subarray(0, Math.floor(built.bytes.length * 0.7)) : built.bytes;
    write(`/opt/${built.name}`, bytes, 0o755);
    return `/opt/${built.name}`;
  }

  /** As its package does it: the modules, an initrd by the system's own program, and DKMS where the headers are there. */
  async function installKernel(release: string): Promise<void> {
    addKernel(release);
    remove(initrdOf(release));
    if (traits.dracut) await run('dracut', initrdOf(release), release);
    else await run('update-initramfs', '-c', '-k', release);
    const headers = repository(traits, release, options.repositoryLacks ?? []).split('\n')[0] ?? '';
    write('/var/lib/stubs/repository', `${read('/var/lib/stubs/repository') ?? ''}${headers}\n`);
    write('/var/lib/stubs/next-kernel', release);
  }

  async function reboot(): Promise<Boot> {
    endDaemon();
    const mainPid = read('/var/lib/stubs/units/nvidia-gridd.service/pid')?.trim();
    if (mainPid) remove(`/proc/${mainPid}`);
    remove('/var/lib/stubs/reboot-asked');
    remove('/var/lib/stubs/units');
    write('/var/lib/stubs/units/multi-user.target/active', 'active\n');
    for (const folder of ['/run', '/tmp', '/sys/module']) for (const name of list(folder)) remove(`${folder}/${name}`);
    remove('/proc/driver');
    const [, pending] = read('/var/lib/stubs/ecc')?.trim().split(' ') ?? [];
    // a host that decides otherwise leaves it as it was
    const [kept = pending] = read('/var/lib/stubs/ecc-of-host')?.trim().split(' ') ?? [];
    if (kept) write('/var/lib/stubs/ecc', `${kept} ${kept}\n`);
    if (options.secureBoot === 'on') turnSecureBootOn();
    for (const address of gpuAddresses) remove(`/sys/bus/pci/devices/${address}/driver`);
    const kernel = read('/var/lib/stubs/next-kernel') ?? read('/proc/sys/kernel/osrelease')?.trim() ?? '';
    const image = read(initrdOf(kernel));
    if (!image?.startsWith('070701')) throw new Error(`the guest does not boot: ${initrdOf(kernel)} is no initrd`);
    bootKernel(kernel);
    const nouveauBound = nouveauTakesTheGpu(kernel, image);
    if (nouveauBound) bindNouveau();
    else if ((await run('modinfo', '-F', 'version', 'nvidia')).code === 0) await run('modprobe', 'nvidia');
    if (options.x === 'running') startX();
    const enabled = list('/etc/systemd/system/multi-user.target.wants');
    if (enabled.includes('nvidia-gridd.service')) await run('systemctl', 'start', 'nvidia-gridd.service');
    return { nouveauBound, resumed: enabled.includes(RESUME_UNIT) ? await resume() : undefined };
  }

  /** By the initrd's own blacklist first; what it leaves to the real root is asked again there. */
  function nouveauTakesTheGpu(kernel: string, image: string): boolean {
    if (gpuAddresses.length === 0 || /modprobe\.blacklist=\S*nouveau/.test(read('/proc/cmdline') ?? '')) return false;
    const inside = image.split('\n');
    const blacklisted = inside.some(line => BLACKLIST.test(line));
    if (inside.some(line => /^@.*\/nouveau\.ko/.test(line)) && !blacklisted) return true;
    const onDisk = list(`/lib/modules/${kernel}/kernel/drivers/gpu/drm/nouveau`).length > 0;
    return onDisk && !blacklistedOnDisk();
  }

  function blacklistedOnDisk(): boolean {
    const folders = ['/etc/modprobe.d', '/usr/lib/modprobe.d', '/lib/modprobe.d'];
    const files = folders.flatMap(folder => list(folder).map(name => [name, `${folder}/${name}`] as const));
    // a file of an earlier folder masks its namesakes
    const effective = new Map(files.reverse());
    return [...effective].some(
      ([name, path]) => name.endsWith('.conf') && (read(path) ?? '').split('\n').some(line => BLACKLIST.test(line)),
    );
  }

  async function resume(): Promise<Ran | undefined> {
    const link = readlinkSync(at(`/etc/systemd/system/multi-user.target.wants/${RESUME_UNIT}`));
    const unit = read(link.startsWith('/') ? link : join('/etc/systemd/system/multi-user.target.wants', link)) ?? '';
    const conditions = [...unit.matchAll(/^ConditionPathExists=(!?)(.+)$/gm)];
    if (conditions.some(([, not, path = '']) => existsSync(at(path)) === (not === '!'))) return undefined;
    const command = /^ExecStart=(.+)$/m.exec(unit)?.[1] ?? '';
    const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
    // where the program was started from a checkout its unit says so; a package's unit names the installed program
    return vgpuGuest(words.filter(word => !word.startsWith('/')));
  }

  function endDaemon(): void {
    const pid = Number(read('/run/nvidia-gridd/nvidia-gridd.pid'));
    if (pid && commandLineOf(pid).includes(root)) killIfAlive(pid);
  }

  function dispose(): void {
    endDaemon();
    rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  }
}

const RESUME_UNIT = 'vgpu-guest-resume.service';
const ADDRESSES = ['0000:00:06.0', '0000:3b:1f.0'];
const BLACKLIST = /^\s*(blacklist\s+nouveau\s*$|install\s+nouveau\s+\/(usr\/)?bin\/(false|true))/;

/** Where each distribution has its programs does not matter to who finds them by PATH; these are looked for by place. */
const SBIN = new Set([
  'dracut-install',
  'mkinitramfs',
  'update-initramfs',
  'mkinitrd',
  'modprobe',
  'modinfo',
  'depmod',
]);

function installStubs(root: string, traits: Traits): void {
  const shared = join(root, 'usr/lib/stubs');
  mkdirSync(join(shared, 'bin'), { recursive: true });
  for (const name of ['lib.sh', 'initrd.sh', 'packages.sh']) copyFileSync(join(STUBS, name), join(shared, name));
  copyFileSync(join(STUBS, 'driver/load-module.sh'), join(shared, 'load-module.sh'));
  cpSync(join(STUBS, 'cuda'), join(shared, 'cuda'), { recursive: true });
  copyFileSync(join(STUBS, 'bin/dkms'), join(shared, 'bin/dkms'));
  for (const name of traits.programs) {
    cpSync(join(STUBS, 'bin', name), join(root, SBIN.has(name) ? 'usr/sbin' : 'usr/bin', name));
  }
  if (traits.programs.includes('dnf')) symlinkSync('dnf', join(root, 'usr/bin/yum'));
}

function findProgram(root: string, name: string): string {
  const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
  const found = folders.find(folder => existsSync(join(root, folder, name)));
  if (!found) throw new Error(`the guest has no program ${name}`);
  return `${found}/${name}`;
}

/** 256 bytes by the PCI specification: an NVIDIA A10, with the vendor capability of a vGPU or without. */
export function configurationSpace(mode: 'vgpu' | 'pass-through'): Uint8Array {
  const bytes = new Uint8Array(256);
  bytes.set([0xde, 0x10, 0x36, 0x22, 0x07, 0x04, 0x10, 0x00, 0xa1, 0x00, 0x00, 0x03], 0);
  bytes[0x34] = mode === 'vgpu' ? 0x40 : 0x60;
  bytes.set([0x09, 0x60, 0x14, 0x56, 0x46], 0x40); // VF; not in the list of a whole GPU
  if (mode === 'pass-through') bytes.fill(0, 0x40, 0x60);
  bytes.set([0x10, 0x00, 0x02, 0x00], 0x60); // PCI Express
  return bytes;
}

function serviceText(service: LicenseService): string {
  const lines = [
    `answer=${service.answer ?? 'grant'}`,
    ...(service.reason === undefined ? [] : [`reason=${service.reason}`]),
    `delay=${service.delayS ?? 0.1}`,
    ...(service.expiry === undefined ? [] : [`expiry=${service.expiry}`]),
    `death=${service.death ?? 'early'}`,
  ];
  return `${lines.join('\n')}\n`;
}

function configText(packagePath: string, tokenPath: string | undefined): string {
  const license = tokenPath ? `license:\n  token: ${tokenPath}\n  timeout: 20s\n` : '';
  return `driver:\n  package: ${packagePath}\n${license}`;
}

function start(file: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ran> {
  return new Promise(resolve => {
    const child = execFile(file, [...args], { env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error ? (typeof error.code === 'number' ? error.code : 128) : 0;
      resolve({ code: child.signalCode ? 137 : code, stdout, stderr });
    });
    child.stdin?.end();
  });
}

/** What a process was started as; nothing where it has ended. */
function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function startSync(file: string, args: readonly string[], env: Readonly<Record<string, string>>): void {
  execFileSync(file, [...args], { env, stdio: 'ignore' });
}

const LEFT_OUT = /^\/(proc|run|tmp|sys|calls\.log|var\/lib\/stubs|var\/log|usr\/lib\/stubs)(\/|$)/;

function manifest(root: string): Record<string, string> {
  const entries: Record<string, string> = {};
  const visit = (path: string): void => {
    for (const name of readdirSync(join(root, path)).sort()) {
      const inside = join(path, name);
      if (LEFT_OUT.test(inside)) continue;
      const found = lstatSync(join(root, inside));
      const mode = (found.mode & 0o7777).toString(8);
      if (found.isSymbolicLink()) entries[inside] = `link ${readlinkSync(join(root, inside))}`;
      else if (found.isDirectory()) {
        entries[inside] = `directory ${mode}`;
        visit(inside);
      } else {
        const digest = createHash('sha256')
          .update(readFileSync(join(root, inside)))
          .digest('hex');
        entries[inside] = `file ${mode} ${digest.slice(0, 16)}`;
      }
    }
  };
  visit('/');
  return entries;
}
