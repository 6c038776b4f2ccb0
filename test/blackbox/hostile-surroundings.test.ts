import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, linkSync, mkdirSync, symlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type FolderGuest, makeFolderGuest } from '../helpers/folder-guest.ts';

const asRoot = process.geteuid?.() === 0;
const PASSED_ON = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];
const OUR_OWN = ['LC_ALL', 'LANG', 'TERM', 'HOME', 'PATH', 'GUEST_ROOT'];
const OF_THE_PACKAGE_MANAGER = ['ZYPP_LOCK_TIMEOUT', 'DEBIAN_FRONTEND', 'NEEDRESTART_SUSPEND'];
/** A shell sets these by itself. */
const OF_THE_SHELL = ['PWD', 'OLDPWD', 'SHLVL', '_'];

const shell = (...lines: readonly string[]) => `#!/bin/sh\n${lines.join('\n')}\n`;

test('no program of the guest learns more of the caller than its proxies', async () => {
  using guest = makeFolderGuest({ family: 'debian', nouveau: 'not-bound' });
  // each program of the guest first tells its environment, and then does what it does
  for (const folder of ['/usr/bin', '/usr/sbin']) {
    for (const name of guest.list(folder)) {
      const real = `${folder}/${name}`;
      const text = guest.read(real);
      if (!text?.startsWith('#!/bin/sh\n')) continue;
      guest.write(
        real,
        text.replace(
          '\n',
          '\n/usr/bin/env | /usr/bin/sed -n "s/^\\([A-Za-z_][A-Za-z0-9_]*\\)=.*/\\1/p" >>"$GUEST_ROOT/names"\n',
        ),
        0o755,
      );
    }
  }
  const caller = {
    AWS_SECRET_ACCESS_KEY: 'x',
    VGPU_GUEST_LICENSE_TIMEOUT: '5s',
    BASH_ENV: '/evil',
    ENV: '/evil',
    LD_LIBRARY_PATH: '/evil',
    PYTHONPATH: '/evil',
    PERL5OPT: '-Mevil',
    IFS: 'x',
    TMPDIR: '/evil',
    SSH_AUTH_SOCK: '/evil',
    HTTPS_PROXY: 'http://proxy:3128',
  };
  for (const args of [['apply'], ['doctor']]) await guest.vgpuGuest(args, caller);
  const seen = new Set((guest.read('/names') ?? '').trim().split('\n'));
  expect(seen).toContain('HTTPS_PROXY');
  const known = [...PASSED_ON, ...OUR_OWN, ...OF_THE_PACKAGE_MANAGER, ...OF_THE_SHELL];
  // the installer of the stand-in package, and stand-ins that call each other, set variables of their own
  expect([...seen].filter(name => Object.hasOwn(caller, name) && !known.includes(name))).toEqual([]);
});

test('programs are looked for in no folder of the caller, the present one included', async () => {
  using guest = makeFolderGuest({ gpus: 0 });
  guest.write('/evil/systemctl', shell(': >"$GUEST_ROOT/taken"'), 0o755);
  guest.write('/evil/chronyc', shell(': >"$GUEST_ROOT/taken"'), 0o755);
  await guest.vgpuGuest(['doctor'], { PATH: `.:${guest.at('/evil')}::/usr/bin` });
  expect(guest.read('/taken')).toBeUndefined();
});

describe.runIf(asRoot)('a configuration in which others than root have a say', () => {
  const PATH = '/etc/vgpu-guest/config.yaml';
  const cases: readonly (readonly [string, (guest: FolderGuest) => void, string])[] = [
    ['whose file belongs to somebody else', guest => chownSync(guest.at(PATH), 1000, 1000), PATH],
    ['whose file anybody can write', guest => chmodSync(guest.at(PATH), 0o666), PATH],
    [
      'whose file another group can write',
      guest => {
        chownSync(guest.at(PATH), 0, 100);
        chmodSync(guest.at(PATH), 0o664);
      },
      PATH,
    ],
    ['whose folder anybody can write', guest => chmodSync(guest.at('/etc/vgpu-guest'), 0o777), '/etc/vgpu-guest'],
    [
      'that a link leads to',
      guest => {
        guest.write('/home/user/config.yaml', 'reboot: auto\n');
        chownSync(guest.at('/home/user'), 1000, 1000);
        guest.remove(PATH);
        symlinkSync('/home/user/config.yaml', guest.at(PATH));
      },
      '/home/user',
    ],
    [
      'that anybody can make a link of',
      guest => {
        guest.write('/root/other.yaml', 'reboot: auto\n');
        guest.remove(PATH);
        guest.link(PATH, '/root/other.yaml');
        chmodSync(guest.at('/etc/vgpu-guest'), 0o1777);
      },
      '/etc/vgpu-guest',
    ],
  ];

  test.each(cases)('%s is refused, with what to do', async (_, make, named) => {
    using guest = makeFolderGuest({ gpus: 0 });
    make(guest);
    for (const command of ['plan', 'apply']) {
      const { code, stderr } = await guest.vgpuGuest([command]);
      expect({ code, stderr }).toEqual({
        code: 78,
        stderr: `${PATH} is not taken: others than root can change ${named}\n→ look at what it says, then chown root:root ${named} && chmod go-w ${named}, or put it below /etc/vgpu-guest\n`,
      });
    }
  });

  test('is one thing, and a file of root’s own in /tmp another: nobody can replace that', async () => {
    using guest = makeFolderGuest({ gpus: 0 });
    guest.write('/tmp/config.yaml', 'reboot: never\n', 0o600);
    chmodSync(guest.at('/tmp'), 0o1777);
    expect((await guest.vgpuGuest(['config', 'validate', '--config', '/tmp/config.yaml'])).code).toBe(0);
    chmodSync(guest.at('/tmp'), 0o777);
    expect((await guest.vgpuGuest(['config', 'validate', '--config', '/tmp/config.yaml'])).code).toBe(78);
  });
});

describe('a log that leads elsewhere', () => {
  const LOG = '/var/log/vgpu-guest.log';
  const plants: readonly (readonly [string, (guest: FolderGuest) => void, string])[] = [
    ['by a link', guest => symlinkSync('/etc/victim', guest.at(LOG)), 'it is a link'],
    ['by a link to nothing', guest => symlinkSync('/etc/nothing', guest.at(LOG)), 'it is a link'],
    [
      'by a second name',
      guest => linkSync(guest.at('/etc/victim'), guest.at(LOG)),
      'it is a second name of another file',
    ],
    ['as a pipe', guest => execFileSync('mkfifo', [guest.at(LOG)]), LOG],
  ];

  test.each(plants)('%s is not written, and the run goes on', async (_, plant, because) => {
    using guest = makeFolderGuest({ gpus: 0 });
    guest.write('/etc/victim', 'old');
    mkdirSync(guest.at('/var/log'), { recursive: true });
    plant(guest);
    const { code, stderr } = await guest.vgpuGuest(['apply']);
    expect(code).toBe(4);
    expect(stderr).toContain('there will be no log file');
    expect(stderr).toContain(because);
    expect([guest.read('/etc/victim'), guest.read('/etc/nothing')]).toEqual(['old', undefined]);
  });
});

describe('a folder in which others can write', () => {
  const applied = async (guest: FolderGuest, step: string) => {
    const { code, stderr, stdout } = await guest.vgpuGuest(['apply', '--only', step]);
    return { code, said: stdout + stderr };
  };

  test('gets no gridd.conf, neither a new one nor one behind a link', async () => {
    using guest = makeFolderGuest();
    guest.write('/etc/victim', 'old');
    guest.write('/etc/nvidia/gridd.conf.template', 'FeatureType=0\n');
    symlinkSync('/etc/victim', guest.at('/etc/nvidia/gridd.conf'));
    chmodSync(guest.at('/etc/nvidia'), 0o1777);
    const { code, said } = await applied(guest, 'configure-gridd');
    expect(code).not.toBe(0);
    expect(said).toContain('/etc/nvidia/gridd.conf is a link in a folder in which others can write');
    expect(guest.read('/etc/victim')).toBe('old');
  });

  test('gets no token, wherever a link in it leads', async () => {
    using guest = makeFolderGuest();
    guest.write('/etc/nvidia/gridd.conf.template', 'FeatureType=0\n');
    guest.write('/etc/victim', 'old');
    mkdirSync(guest.at('/etc/nvidia/ClientConfigToken'), { recursive: true });
    chmodSync(guest.at('/etc/nvidia/ClientConfigToken'), 0o1777);
    const name = guest.tokenPath.slice(guest.tokenPath.lastIndexOf('/') + 1);
    symlinkSync('/etc/victim', guest.at(`/etc/nvidia/ClientConfigToken/${name}`));
    symlinkSync('/etc/victim', guest.at('/etc/nvidia/ClientConfigToken/client_configuration_token.tok'));
    const { code } = await applied(guest, 'place-token');
    expect(code).not.toBe(0);
    expect(guest.read('/etc/victim')).toBe('old');
  });

  test('holds no lock', async () => {
    using guest = makeFolderGuest({ gpus: 0 });
    mkdirSync(guest.at('/run/vgpu-guest'));
    chmodSync(guest.at('/run/vgpu-guest'), 0o777);
    const { code, said } = await applied(guest, 'blacklist-nouveau');
    expect({ code, said }).toMatchObject({
      code: 1,
      said: expect.stringContaining('others can write in /run/vgpu-guest'),
    });
    expect(guest.list('/run/vgpu-guest')).toEqual([]);
  });
});

describe('a state folder in which others can write', () => {
  const STATE = '/var/lib/vgpu-guest';
  const sha256 = createHash('sha256').update('old').digest('hex');
  const record = {
    schema: 'vgpu-guest/changes/1',
    files: { '/etc/victim': { before: null, ours: [sha256] } },
    ...{ folders: [], moves: [], packages: [], units: {} },
  };
  const plants: readonly (readonly [string, string, string, readonly string[]])[] = [
    ['record', 'changes.json', JSON.stringify(record), ['revert']],
    ['original', 'originals/etc/victim', 'theirs', ['revert']],
    ['marker', 'resume.json', '{"settings":{"driver":{"package":"/theirs.run"}}}', ['apply', '--resume']],
  ];

  test.each(plants)('is not believed its %s', async (_, name, text, args) => {
    using guest = makeFolderGuest();
    guest.write('/etc/victim', 'old');
    guest.write(`${STATE}/${name}`, text, 0o600);
    chmodSync(guest.at(STATE), 0o777);
    const { code, stdout, stderr } = await guest.vgpuGuest(args);
    expect(code).toBe(4);
    expect(stdout + stderr).toContain(`others than root can change ${STATE}`);
    expect(stdout + stderr).not.toContain('theirs');
    expect(guest.read('/etc/victim')).toBe('old');
    expect(guest.calls('change')).toEqual([]);
  });

  test('is none of ours where a link in /var/lib leads there', async () => {
    using guest = makeFolderGuest({ gpus: 0 });
    guest.write('/srv/unpacked/file', 'old');
    symlinkSync('/srv', guest.at(STATE));
    chmodSync(guest.at('/var/lib'), 0o1777);
    await guest.vgpuGuest(['apply']);
    expect(guest.read('/srv/unpacked/file')).toBe('old');
    expect(guest.list('/srv')).toEqual(['unpacked']);
  });
});

test('what a run that could write no more has left half-written is cleared by the next one', async () => {
  using guest = makeFolderGuest();
  const half = ['/var/lib/vgpu-guest/.changes.json.vgpu-guest', '/var/lib/vgpu-guest/.installing.json.vgpu-guest'];
  for (const path of half) guest.write(path, '{"half":', 0o600);
  guest.write('/var/lib/vgpu-guest/.of-somebody', '', 0o600);
  expect((await guest.vgpuGuest(['apply', '--only', 'blacklist-nouveau'])).code).toBe(0);
  expect(guest.list('/var/lib/vgpu-guest').filter(name => name.startsWith('.'))).toEqual(['.of-somebody']);
});

test('what another program has planted under our temporary names is not followed', async () => {
  using guest = makeFolderGuest();
  guest.write('/etc/victim', 'old');
  for (const path of [
    '/etc/modprobe.d/.50-blacklist.conf.vgpu-guest',
    '/var/lib/vgpu-guest/.last-report.json.vgpu-guest',
  ]) {
    mkdirSync(guest.at(path.slice(0, path.lastIndexOf('/'))), { recursive: true });
    symlinkSync('/etc/victim', guest.at(path));
  }
  expect((await guest.vgpuGuest(['apply', '--only', 'blacklist-nouveau'])).code).toBe(0);
  expect(guest.read('/etc/modprobe.d/50-blacklist.conf')).toContain('blacklist nouveau');
  expect(guest.read('/etc/victim')).toBe('old');
});

test.each([
  '/etc/nvidia/gridd.conf',
  '/etc/os-release',
  '/proc/cmdline',
  '/etc/modprobe.d/a.conf',
  '/etc/vgpu-guest/config.yaml',
  '/var/lib/vgpu-guest/resume.json',
  '/etc/nvidia/ClientConfigToken/a.tok',
])('a pipe in the place of %s keeps nobody waiting', async path => {
  using guest = makeFolderGuest({ gpus: 0 });
  guest.write(path, '');
  guest.remove(path);
  execFileSync('mkfifo', [guest.at(path)]);
  const startedMs = performance.now();
  for (const args of [['plan'], ['doctor'], ['apply', '--resume']]) {
    const { stderr } = await guest.vgpuGuest(args);
    expect(stderr).not.toContain('defect of the program');
  }
  expect(performance.now() - startedMs).toBeLessThan(120_000);
});
