import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ANSWERS } from '../../src/report/schemas.ts';
import { type FolderGuest, makeFolderGuest, type Ran } from '../helpers/folder-guest.ts';

const KEY = [
  'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj',
  'MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu',
];
const STRANGER = `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzdHJhbmdlciJ9.${'aB3-xY9_'.repeat(6)}`;
/** Of the environment, of the proxy's file, and of lines; none of them may be anywhere. */
const WORDS = [
  'kT9violetrain',
  'p%40rade5ound',
  'p@rade5ound',
  'm0rning-Ferry',
  'hvs.CAESIJw2',
  'dXNlcjptMHJu',
  'sig=Zq81kd',
  ...KEY,
  STRANGER.slice(0, 40),
  STRANGER.slice(-24),
];

/** A text with every kind of secret, between two lines that support needs. */
function poisoned(token: string): string {
  const cut = Math.floor(token.length / 2);
  return [
    'License acquired successfully. (Info: dls.example.com, NVIDIA RTX Virtual Workstation; Expiry: 2026-11-22 0:0:0 GMT)',
    'http_proxy=http://user:p%40rade5ound@proxy:3128',
    'connecting to http://user:p@rade5ound@proxy:3128/',
    'pass\u001b[1mword=m0rning-Ferry',
    'the daemon said kT9violetrain to its proxy',
    'X-Vault-Token: hvs.CAESIJw2',
    'Authorization: Basic dXNlcjptMHJuaW5n',
    'GET https://mirror.example/a.run?sig=Zq81kd&se=1',
    `token ${token} end`,
    token.slice(0, cut),
    token.slice(cut),
    `\u001b[33m${token.slice(0, cut)}\u001b[0m`,
    STRANGER,
    '-----BEGIN PRIVATE KEY-----',
    ...KEY,
    '-----END PRIVATE KEY-----',
    'Failed to acquire license from dls.example.com (Info: X - Error: Connection timed out)',
  ].join('\n');
}

function made({ stdout }: Ran): string {
  const path = /^(\/\S+\.tar\.gz)/m.exec(stdout)?.[1];
  if (!path) throw new Error(`no bundle was named: ${stdout}`);
  return path;
}

/** Name below its folder → text. */
function unpacked(guest: FolderGuest, path: string): ReadonlyMap<string, string> {
  const list = execFileSync('tar', ['tzf', guest.at(path)], { encoding: 'utf8' })
    .trim()
    .split('\n');
  return new Map(
    list.map(name => [
      name.slice(name.indexOf('/') + 1),
      execFileSync('tar', ['xOzf', guest.at(path), name], { encoding: 'latin1', maxBuffer: 2 ** 28 }),
    ]),
  );
}

const program = (lines: readonly string[]) => `#!/bin/sh\nPATH=/usr/bin:/bin\n${lines.join('\n')}\n`;

describe('a guest with secrets in everything that is looked at', () => {
  let guest: FolderGuest;
  let ran: Ran;
  let files: ReadonlyMap<string, string>;
  const inFile = [
    '/etc/nvidia/gridd.conf',
    '/etc/nvidia/gridd.conf.template',
    '/var/log/nvidia-installer.log',
    '/var/log/nvidia-installer.log.old',
    '/var/log/nvidia-uninstall.log',
    '/var/lib/dkms/nvidia/570.211.01/build/make.log',
    '/var/lib/dkms/nvidia/570.211.01/6.4.0/x86_64/log/make.log',
    '/proc/driver/nvidia/params',
    '/etc/dkms/framework.conf',
    '/proc/cmdline',
    '/etc/modprobe.d/50-blacklist.conf',
    '/etc/X11/xorg.conf',
    '/etc/X11/xorg.conf.d/20-nvidia.conf',
    '/var/log/Xorg.0.log',
    '/var/log/Xorg.0.log.old',
    '/var/lib/gdm3/.local/share/xorg/Xorg.0.log',
    '/var/log/vgpu-guest1.log',
    '/var/lib/vgpu-guest/last-report.json',
    '/var/lib/vgpu-guest/changes.json',
    '/var/lib/vgpu-guest/driver.json',
    '/var/lib/vgpu-guest/license-watch.json',
    '/proc/self/mounts',
    '/proc/version',
  ];
  const inProgram = [
    'lspci',
    'lsmod',
    'dmesg',
    'mokutil',
    'modinfo',
    'dkms',
    'uname',
    'ip',
    'df',
    'chronyc',
    'nvidia-smi',
    'timedatectl',
    'rpm',
  ];

  beforeAll(async () => {
    guest = makeFolderGuest();
    const text = poisoned(guest.tokenText);
    for (const path of inFile) guest.write(path, text);
    guest.write('/poison', text);
    for (const name of inProgram) {
      for (const folder of ['/usr/sbin', '/usr/bin']) guest.remove(`${folder}/${name}`);
      guest.write(`/usr/bin/${name}`, program(['cat "$GUEST_ROOT/poison"', 'cat "$GUEST_ROOT/poison" >&2']), 0o755);
    }
    for (const identifier of ['nvidia-gridd', 'kernel']) {
      for (const [index, line] of text.split('\n').entries()) {
        const entry = [1_790_000_000_000_000 + index, 812, identifier, 'nvidia-gridd.service', line].join('\t');
        guest.write('/var/lib/stubs/journal', `${guest.read('/var/lib/stubs/journal') ?? ''}${entry}\n`);
      }
    }
    guest.write(
      '/var/log/messages',
      text
        .split('\n')
        .map(line => `Nov 20 17:01:27 guest nvidia-gridd[812]: ${line}`)
        .join('\n'),
    );
    guest.write(
      '/var/log/vgpu-guest.log',
      text
        .split('\n')
        .map(message => `${JSON.stringify({ level: 'info', message })}\n`)
        .join(''),
    );
    guest.write('/etc/environment', 'https_proxy="http://user:kT9violetrain@proxy:3128"\n');
    guest.write(
      '/etc/vgpu-guest/config.yaml',
      `license:\n  token: ${guest.tokenPath}\ngridd:\n  ProxyPassword: m0rning-Ferry\n# kT9violetrain\n`,
    );
    guest.write('/usr/bin/nvidia-bug-report.sh', program(['gzip -c "$GUEST_ROOT/poison" >"$GUEST_ROOT$2.gz"']), 0o755);
    ran = await guest.vgpuGuest(['support-bundle'], { HTTPS_PROXY: 'http://user:p%40rade5ound@proxy:3128' });
    files = unpacked(guest, made(ran));
  });
  afterAll(() => guest.dispose());

  test('gives all of them', () => {
    expect(ran.code).toBe(0);
    const names = [...files.keys()];
    for (const path of inFile) expect(names.some(name => name.endsWith(path))).toBe(true);
    expect(names).toEqual(
      expect.arrayContaining([
        'driver/nvidia-bug-report.log',
        'driver/lspci.txt',
        'license/nvidia-gridd.log',
        'kernel/journal.log',
        'vgpu-guest/plan.json',
        'system/packages.txt',
      ]),
    );
  });

  test('and none of the secrets, whatever it is packed in', () => {
    const raw = gunzipSync(readFileSync(guest.at(made(ran)))).toString('latin1');
    expect(raw.length).toBeGreaterThan(50_000);
    const pieces = guest.tokenText.match(/.{24}/g)!;
    expect([...WORDS, ...pieces].filter(secret => raw.includes(secret))).toEqual([]);
    // nothing in it is packed once more, where nobody could look
    expect([...files].filter(([, text]) => /\x1f\x8b\x08|PK\x03\x04|BZh9|\xfd7zXZ/.test(text))).toEqual([]);
  });

  test('but the lines that support needs, from each of them', () => {
    const telling = [...files].filter(
      ([name]) =>
        !/^(?:contents|vgpu-guest\/(?:status|doctor|plan|config-fault|units|etc))|unit|packages|display|os-release|secure-boot|gridd-state/.test(
          name,
        ),
    );
    const lacking = telling.filter(
      ([, text]) =>
        !text.includes('Failed to acquire license from dls.example.com (Info: X - Error: Connection timed out)') ||
        !text.includes('License acquired successfully. (Info: dls.example.com'),
    );
    expect(lacking.map(([name]) => name)).toEqual([]);
    expect(telling.length).toBeGreaterThan(30);
  });

  test('begins with the list of what is in it', () => {
    const [first, text] = [...files][0]!;
    expect(first).toBe('contents.txt');
    for (const name of files.keys()) if (name !== first) expect(text).toContain(name);
    expect(text).toMatch(/driver\/nvidia-bug-report\.log\n +nvidia-bug-report\.sh.*: \d+ secrets taken out/);
  });
});

describe('the file', () => {
  const guest = makeFolderGuest({ gpus: 0 });
  afterAll(() => guest.dispose());

  test('is for its owner alone, and nothing else on the guest has changed', async () => {
    const before = guest.manifest();
    const path = made(await guest.vgpuGuest(['support-bundle']));
    expect(path).toMatch(/^\/var\/tmp\/vgpu-guest-support-\d{8}T\d{6}Z\.tar\.gz$/);
    expect(statSync(guest.at(path)).mode & 0o777).toBe(0o600);
    const { [path]: bundle, ...after } = guest.manifest();
    expect(bundle).toMatch(/^file 600/);
    expect(after).toEqual(before);
    expect(guest.list('/run/vgpu-guest')).toEqual([]);
  });

  test('answers by its schema', async () => {
    const { code, stdout } = await guest.vgpuGuest(['support-bundle', '--json', '--output', '/var/tmp/json.tar.gz']);
    expect(code).toBe(0);
    const answer = JSON.parse(stdout);
    expect(ANSWERS['support-bundle'].parse(answer)).toEqual(answer);
    expect(answer).toMatchObject({
      path: '/var/tmp/json.tar.gz',
      bytes: statSync(guest.at('/var/tmp/json.tar.gz')).size,
    });
    expect(answer.entries).toContainEqual(expect.objectContaining({ name: 'driver/nvidia-smi.txt', state: 'absent' }));
  });

  test('takes the place of nothing, and goes through no link', async () => {
    guest.write('/var/tmp/taken', 'old');
    guest.write('/etc/victim', 'old');
    symlinkSync('/etc/victim', guest.at('/var/tmp/link'));
    symlinkSync('/etc/nowhere', guest.at('/var/tmp/dangling'));
    chmodSync(guest.at('/var/tmp'), 0o1777);
    symlinkSync('/etc', guest.at('/var/tmp/folder'));
    for (const name of ['taken', 'link', 'dangling', 'folder/new']) {
      const { code, stderr, stdout } = await guest.vgpuGuest(['support-bundle', '--output', `/var/tmp/${name}`]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/is there already, and is left as it is|is a link in a folder in which others can write/);
    }
    expect([guest.read('/var/tmp/taken'), guest.read('/etc/victim')]).toEqual(['old', 'old']);
    expect([guest.read('/etc/nowhere'), guest.read('/etc/new')]).toEqual([undefined, undefined]);
  });

  test('that cannot be written is said with a place that may do', async () => {
    const { code, stderr } = await guest.vgpuGuest(['support-bundle', '--output', '/none/such/file']);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/cannot be written[\s\S]*--output FILE/),
    });
  });
});

test('a configuration at fault is in the bundle, and keeps nothing else out of it', async () => {
  using guest = makeFolderGuest({ gpus: 0, config: 'licence: {}\npassword: m0rning-Ferry\n' });
  const ran = await guest.vgpuGuest(['support-bundle']);
  expect(ran.code).toBe(0);
  const files = unpacked(guest, made(ran));
  expect(files.get('vgpu-guest/config-fault.txt')).toContain('did you mean license?');
  expect(files.get('vgpu-guest/etc/vgpu-guest/config.yaml')).toBe('licence: {}\npassword: <removed:password>\n');
  expect(files.get('vgpu-guest/doctor.json')).toContain('vgpu-guest/doctor/1');
});

test('pipes and folders in the place of logs are entries with their reason', async () => {
  using guest = makeFolderGuest({ gpus: 0 });
  execFileSync('mkfifo', [guest.at('/var/log/nvidia-installer.log')]);
  guest.write('/var/log/Xorg.0.log/x', '');
  const ran = await guest.vgpuGuest(['support-bundle', '--json']);
  const { entries } = JSON.parse(ran.stdout);
  const states = (path: string) => entries.find(({ how }: { how: string }) => how === path);
  expect(states('/var/log/nvidia-installer.log')).toMatchObject({
    state: 'failed',
    because: expect.stringContaining('is a pipe'),
  });
  expect(states('/var/log/Xorg.0.log')).toMatchObject({
    state: 'absent',
    because: 'it is a directory, and should be a file',
  });
});

test.each(['rhel', 'debian'] as const)('a guest of the family %s tells its packages', async family => {
  using guest = makeFolderGuest({ gpus: 0, family });
  const files = unpacked(guest, made(await guest.vgpuGuest(['support-bundle'])));
  expect(files.get('system/packages.txt')).toMatch(/kernel-core|linux-image/);
});
