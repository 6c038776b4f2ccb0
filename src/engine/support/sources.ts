import type { Argv } from '../../change.ts';
import type { Family } from '../../facts/families.ts';
import { GRIDD_CONF, GRIDD_UNIT } from '../../facts/license/gridd.ts';
import type { Guest, GuestView } from '../../guest/guest.ts';
import { bugReport } from './bug-report.ts';
import type { Got, Source } from './source.ts';

/** Of one file or one program's answer; of the whole see `bundle.ts`. */
const LIMIT = 2 * 1024 * 1024;
const FILE_TIMEOUT_MS = 15_000;
const TIMEOUT_MS = 20_000;
/** These look through databases, or at every kernel's modules. */
const SLOW_MS = 60_000;
/** A folder with more has something else in it. */
const MOST_FILES = 30;

const JOURNAL = ['journalctl', '--quiet', '--output', 'short-iso', '--lines'] as const;
const OWN_UNITS = ['resume', 'license', 'first-boot', 'screen'].map(name => `vgpu-guest-${name}.service`);
// biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own syntax
const DPKG_FORMAT = '--showformat=${db:Status-Abbrev} ${Package} ${Version}\\n';

const COMMANDS: readonly (readonly [name: string, argv: Argv, timeoutMs?: number])[] = [
  ['license/nvidia-gridd.log', [...JOURNAL, '20000', 'SYSLOG_IDENTIFIER=nvidia-gridd'], 30_000],
  [
    'license/nvidia-gridd-unit.log',
    [...JOURNAL, '2000', `_SYSTEMD_UNIT=${GRIDD_UNIT}`, '+', `UNIT=${GRIDD_UNIT}`],
    30_000,
  ],
  ['license/nvidia-gridd-unit.txt', ['systemctl', 'cat', GRIDD_UNIT]],
  ['license/nvidia-gridd-state.txt', ['systemctl', 'show', GRIDD_UNIT]],
  ['license/clock.txt', ['timedatectl']],
  ['license/chrony.txt', ['chronyc', '-n', 'tracking']],
  ['license/addresses.txt', ['ip', 'address']],
  ['license/routes.txt', ['ip', 'route']],
  ['kernel/journal.log', [...JOURNAL, '50000', '--boot', '--dmesg'], 30_000],
  ['kernel/dmesg.log', ['dmesg']],
  ['kernel/uname.txt', ['uname', '-a']],
  ['kernel/lsmod.txt', ['lsmod']],
  ['kernel/secure-boot.txt', ['mokutil', '--sb-state']],
  ['driver/lspci.txt', ['lspci', '-D', '-nn', '-vvv']],
  ['driver/nvidia-smi.txt', ['nvidia-smi'], SLOW_MS],
  ['driver/nvidia-smi-q.txt', ['nvidia-smi', '-q'], SLOW_MS],
  ['driver/modinfo.txt', ['modinfo', 'nvidia']],
  ['driver/dkms-status.txt', ['dkms', 'status'], SLOW_MS],
  ['vgpu-guest/units.log', [...JOURNAL, '5000', ...OWN_UNITS.flatMap(unit => ['--unit', unit])], 30_000],
  ['screen/display-manager.log', [...JOURNAL, '5000', '--boot', '--unit', 'display-manager.service'], 30_000],
  ['system/disks.txt', ['df', '-h']],
];

/** Folders are looked through for names that fit; `*` of a folder's path stands for each of its folders. */
const FILES: readonly (readonly [room: string, path: string, names?: RegExp])[] = [
  ['license', GRIDD_CONF],
  ['license', `${GRIDD_CONF}.template`],
  ['driver', '/var/log', /^nvidia-(?:installer|uninstall)\.log(?:\.old)?$/],
  ['driver', '/var/log', /^cuda-installer\.log(?:\.old)?$/],
  ['driver', '/var/lib/dkms/nvidia/*/build', /^make\.log$/],
  ['driver', '/var/lib/dkms/nvidia/*/*/*/log', /^make\.log$/],
  ['driver', '/proc/driver/nvidia', /^(?:version|params|registry)$/],
  ['driver', '/proc/driver/nvidia/gpus/*', /^information$/],
  ['driver', '/etc/dkms', /^framework\.conf$/],
  ['kernel', '/proc/version'],
  ['kernel', '/proc/cmdline'],
  ['kernel', '/etc/modprobe.d', /\.conf$/],
  ['screen', '/etc/X11', /^xorg\.conf/],
  ['screen', '/etc/X11/xorg.conf.d', /\.conf$/],
  ['screen', '/usr/share/X11/xorg.conf.d', /nvidia.*\.conf$/],
  ['screen', '/var/log', /^Xorg\.\d+\.log(?:\.old)?$/],
  ['screen', '/var/lib/gdm3/.local/share/xorg', /^Xorg\.\d+\.log(?:\.old)?$/],
  ['screen', '/var/lib/gdm/.local/share/xorg', /^Xorg\.\d+\.log(?:\.old)?$/],
  ['vgpu-guest', '/var/log', /^vgpu-guest\d*\.log$/],
  ['vgpu-guest', '/var/lib/vgpu-guest', /^(?:last-report|resume|changes|driver|license-watch|cuda-proof)\.json$/],
  ['system', '/etc/os-release'],
  ['system', '/proc/self/mounts'],
  ['system', '/proc/meminfo'],
];

/** Everything that is asked of this guest, the most telling first. */
export async function supportSources(
  guest: Guest,
  configPath: string,
  family: Family | undefined,
): Promise<readonly Source[]> {
  const files = await Promise.all(FILES.map(async file => await filesOf(guest, file)));
  return [
    bugReport(guest),
    fileSource(guest, 'vgpu-guest', configPath),
    ...COMMANDS.map(([name, argv, timeoutMs = TIMEOUT_MS]) => commandSource(guest, name, argv, timeoutMs)),
    ...files.flat(),
    ...packages(guest, family),
    syslog(guest, family?.syslogPath ?? '/var/log/messages'),
  ];
}

function commandSource(guest: GuestView, name: string, argv: Argv, timeoutMs: number): Source {
  const how = argv.join(' ');
  return {
    name,
    how,
    timeoutMs,
    limit: LIMIT,
    get: async () => {
      const { code, stdout, stderr } = await guest.query(argv, timeoutMs);
      if (code === 127 && stdout === '') return { is: 'absent', because: `there is no ${argv[0]}` };
      const text = [stdout, stderr && `[vgpu-guest: standard error]\n${stderr}`].filter(Boolean).join('\n');
      if (code === 0) return { is: 'text', text };
      return { is: 'text', text, note: code === 124 ? `not done after ${timeoutMs / 1000} s` : `exit code ${code}` };
    },
  };
}

function fileSource(guest: GuestView, room: string, path: string): Source {
  return {
    // folders below DKMS's may have any name
    name: `${room}${path.replace(/[^\w./+@-]/g, '_')}`,
    how: path,
    timeoutMs: FILE_TIMEOUT_MS,
    limit: LIMIT,
    get: async () => await endOf(guest, path),
  };
}

/** The start of a large file is not worth a second look: a log's end is what counts. */
async function endOf(guest: GuestView, path: string): Promise<Got> {
  const found = await guest.stat(path);
  if (!found) return { is: 'absent', because: 'there is no such file' };
  if (found.kind === 'directory') return { is: 'absent', because: 'it is a directory, and should be a file' };
  // files of /proc and /sys have no size
  if (found.sizeBytes === 0) return { is: 'text', text: utf8((await guest.readStart(path, LIMIT)) ?? '') };
  const end = await guest.readEnd(path, LIMIT);
  if (!end) return { is: 'absent', because: 'it went away while it was looked at' };
  return { is: 'text', text: end.text, isPart: end.isCut };
}

function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8');
}

async function filesOf(guest: GuestView, [room, path, names]: (typeof FILES)[number]): Promise<readonly Source[]> {
  if (!names) return [fileSource(guest, room, path)];
  const found: string[] = [];
  for (const folder of await foldersOf(guest, path)) {
    const listed = await guest.list(folder).catch(() => []);
    found.push(...listed.filter(name => names.test(name)).map(name => `${folder}/${name}`));
  }
  return found.slice(0, MOST_FILES).map(file => fileSource(guest, room, file));
}

async function foldersOf(guest: GuestView, pattern: string): Promise<readonly string[]> {
  let folders = [''];
  for (const part of pattern.split('/').slice(1)) {
    const below = await Promise.all(
      folders.map(async folder => {
        if (part !== '*') return [`${folder}/${part}`];
        return (await guest.list(folder).catch(() => [])).slice(0, MOST_FILES).map(name => `${folder}/${name}`);
      }),
    );
    folders = below.flat();
  }
  return folders;
}

function packages(guest: GuestView, family: Family | undefined): readonly Source[] {
  const argv: Argv | undefined =
    family?.id === 'debian'
      ? ['dpkg-query', '--show', DPKG_FORMAT]
      : family && ['rpm', '--query', '--all', '--queryformat', '%{NAME} %{VERSION}-%{RELEASE} %{ARCH}\\n'];
  return argv ? [commandSource(guest, 'system/packages.txt', argv, SLOW_MS)] : [];
}

/** Of a log of everything only what is about the GPU and its license: the rest is nobody's business. */
function syslog(guest: GuestView, path: string): Source {
  return {
    name: `license${path}`,
    how: `lines of ${path} about nvidia and vgpu-guest`,
    timeoutMs: FILE_TIMEOUT_MS,
    limit: LIMIT,
    get: async () => {
      const end = await guest.readEnd(path, 8 * LIMIT);
      if (!end) return { is: 'absent', because: 'there is no such file' };
      const lines = end.text.split('\n').filter(line => /nvidia|NVRM|nouveau|vgpu-guest/i.test(line));
      return { is: 'text', text: lines.join('\n') };
    },
  };
}
