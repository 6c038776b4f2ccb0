import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { appendFile, chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Finding } from '../../src/checks/check.ts';
import { type FolderGuest, makeFolderGuest, type Ran } from '../helpers/folder-guest.ts';
import { makeToken } from '../helpers/token.ts';

const PROGRAM = join(import.meta.dirname, '../../dist/vgpu-guest.mjs');
const DIRECTORY = '/etc/nvidia/ClientConfigToken';
const HOST = 'api.cls.licensing.nvidia.com';

/** A guest that has its license; each test spoils a copy of it. */
let licensed: FolderGuest;
beforeAll(async () => {
  licensed = makeFolderGuest({ family: 'suse', nouveau: 'not-bound', prerequisites: 'installed' });
  const { code, stderr } = await licensed.vgpuGuest(['apply']);
  if (code !== 0) throw new Error(stderr);
  licensed.forgetCalls();
});
afterAll(() => licensed?.dispose());

class Copy implements Disposable {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), 'vgpu-guest-')));

  constructor() {
    cpSync(licensed.root, this.root, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    // a copy's files are new, and the daemon is no older than what it has read
    writeFileSync(this.at('/var/lib/stubs/units/nvidia-gridd.service/started-us'), `${Date.now() + 1}000\n`);
  }

  at(path: string): string {
    return join(this.root, path);
  }

  async write(path: string, text: string): Promise<void> {
    await mkdir(dirname(this.at(path)), { recursive: true });
    await writeFile(this.at(path), text);
  }

  async remove(path: string): Promise<void> {
    await rm(this.at(path), { recursive: true, force: true });
  }

  read(path: string): string {
    return readFileSync(this.at(path), 'utf8');
  }

  /** With a time after all that was said: a file's time is that of the kernel's last tick, some milliseconds ago. */
  async writeLater(path: string, text: string): Promise<void> {
    const saidMs = Date.now();
    const write = async () => {
      await this.write(path, text);
      return statSync(this.at(path)).ctimeMs;
    };
    await expect.poll(write, { interval: 1 }).toBeGreaterThan(saidMs);
  }

  /** As the daemon or the kernel would have said it just now. */
  async say(identifier: string, message: string, pid = 1): Promise<void> {
    await appendFile(this.at('/var/lib/stubs/journal'), `${Date.now()}000\t${pid}\t${identifier}\t-\t${message}\n`);
  }

  /** The daemon starts anew with what is there, and the license that the driver had is gone. */
  async restartGridd(until: string): Promise<void> {
    await this.remove('/var/lib/stubs/journal');
    await this.write('/var/lib/stubs/journal', '');
    await run(this.at('/usr/bin/systemctl'), ['restart', 'nvidia-gridd.service'], { GUEST_ROOT: this.root });
    await expect.poll(() => this.read('/var/lib/stubs/journal')).toContain(until);
  }

  async doctor(...args: readonly string[]): Promise<Ran> {
    return await run(process.execPath, [PROGRAM, 'doctor', '--root', this.root, ...args], { LANG: 'C.UTF-8' });
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}

function run(file: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ran> {
  return new Promise(resolve => {
    execFile(file, [...args], { env: { PATH: '/usr/bin:/bin', ...env } }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

interface Answer {
  readonly schema: string;
  readonly findings: readonly Finding[];
  readonly lookedAt: readonly { readonly id: string; readonly state: string; readonly saw: string }[];
}

const GPU = '/sys/bus/pci/devices/0000:00:06.0';
const refuse = (reason: string) => async (guest: Copy) => {
  await guest.write('/var/lib/stubs/license-service', `answer=refuse\ndelay=0\nreason=${reason}\n`);
  await guest.restartGridd('Failed to acquire');
};
const network =
  (...lines: readonly string[]) =>
  (guest: Copy) =>
    guest.write('/var/lib/stubs/network', `${lines.join('\n')}\n`);
const withTls = (tls: object) =>
  network(`port 192.0.2.10 443 ${JSON.stringify({ is: 'connected', tls: { is: 'agreed', chain: [], ...tls } })}`);
const unlicensed = (guest: Copy) => guest.remove('/run/stubs-license');
const token = (guest: Copy) => `${DIRECTORY}/${licensed.list(DIRECTORY)[0] ?? guest.root}`;

/** What is done to the guest, and the finding that must come first. */
const SPOILED: readonly (readonly [string, (guest: Copy) => Promise<void>, string])[] = [
  ['the vGPU is taken away', guest => guest.remove(GPU), 'error gpu-missing'],
  [
    'nouveau takes the GPU',
    async guest => {
      await guest.remove(`${GPU}/driver`);
      await guest.remove('/sys/module/nvidia');
      await symlink('../../../../bus/pci/drivers/nouveau', guest.at(`${GPU}/driver`));
    },
    'error gpu-taken',
  ],
  [
    'an old module is in memory',
    guest => guest.write('/sys/module/nvidia/version', '550.90.07\n'),
    'error driver-versions-differ',
  ],
  [
    'the module is not loaded',
    async guest => {
      for (const path of ['/sys/module/nvidia', '/proc/driver/nvidia', `${GPU}/driver`]) await guest.remove(path);
    },
    'error driver-not-loaded',
  ],
  [
    'the driver has no nvidia-gridd',
    async guest => {
      await guest.remove('/usr/bin/nvidia-gridd');
      await guest.remove('/usr/lib/systemd/system/nvidia-gridd.service');
    },
    'error daemon-missing',
  ],
  [
    'the host refuses the guest driver',
    async guest => {
      await guest.remove(`${GPU}/driver`);
      await guest.say('kernel', 'NVRM: Xid (PCI:0000:00:06): 78, Guest driver is incompatible with host driver');
    },
    'error host-incompatible',
  ],
  [
    'SELinux denies the daemon a file',
    guest =>
      guest.say('kernel', 'audit: type=1400 audit(1.1:42): avc:  denied  { read } for  pid=812 comm="nvidia-gridd"'),
    'warning access-denied',
  ],
  [
    'a legacy server is all that gridd.conf names',
    async guest => {
      await guest.write('/etc/nvidia/gridd.conf', 'ServerAddress=10.5.8.208\n');
      await guest.write('/etc/vgpu-guest/config.yaml', '');
      await guest.remove(token(guest));
      await unlicensed(guest);
    },
    'error server-unsupported',
  ],
  [
    'the token is taken away',
    async guest => {
      await guest.remove(token(guest));
      await unlicensed(guest);
    },
    'error token-missing',
  ],
  [
    'the token is a login page',
    async guest => {
      await guest.write(token(guest), '<!DOCTYPE html><title>Sign in</title>\n');
      await guest.restartGridd('Failed to setup cloud License Manager: 3');
    },
    'error token-unusable',
  ],
  [
    'a second token lies beside the first',
    async guest => {
      await guest.write(`${DIRECTORY}/old.tok`, makeToken());
      await guest.restartGridd('Failed to setup cloud License Manager: 3');
    },
    'error token-directory-crowded',
  ],
  [
    'the token has expired',
    async guest => {
      await guest.write(token(guest), makeToken({ expired: true }));
      await guest.restartGridd('The allowed time to process response has expired');
    },
    'error token-expired',
  ],
  ['the token is a file of everybody', guest => chmod(guest.at(token(guest)), 0o666), 'warning token-open'],
  ['the clock has jumped back', refuse('Clock windback has been detected'), 'error clock-windback'],
  ['the clocks differ', refuse('The allowed time to process response has expired'), 'error clock-differs'],
  ['the license server is three hours ahead', withTls({ serverAheadUs: 10_800e6 }), 'warning clock-differs'],
  [
    'nothing keeps the clock',
    guest => guest.write('/var/lib/stubs/clock', 'NTPSynchronized=no\n'),
    'warning clock-not-kept',
  ],
  [
    'the name of the license server is not found',
    async guest => {
      await network(`name ${HOST} -`)(guest);
      await unlicensed(guest);
    },
    'error server-name-not-found',
  ],
  [
    'the firewall drops the way to the license server, and there is a proxy',
    async guest => {
      await network('port 192.0.2.10 443 {"is":"unconnected","code":"ETIMEDOUT"}')(guest);
      await guest.write('/etc/environment', 'https_proxy=http://user:s3cret@proxy:3128\n');
      await unlicensed(guest);
    },
    'error server-unreachable',
  ],
  [
    'the unit is masked',
    async guest => {
      await symlink('/dev/null', guest.at('/etc/systemd/system/nvidia-gridd.service'));
    },
    'error daemon-masked',
  ],
  [
    'the unit is disabled',
    guest => guest.remove('/etc/systemd/system/multi-user.target.wants/nvidia-gridd.service'),
    'warning daemon-not-enabled',
  ],
  [
    '/var/lib cannot be written',
    async guest => {
      await guest.write('/proc/self/mounts', '/dev/vda2 / btrfs rw 0 0\n/dev/vdb /var/lib ext4 ro 0 0\n');
      await guest.write('/var/lib/stubs/units/nvidia-gridd.service/active', 'failed\n');
      await unlicensed(guest);
    },
    'error state-folder',
  ],
  [
    'somebody has stopped the daemon',
    async guest => {
      await run(guest.at('/usr/bin/systemctl'), ['stop', 'nvidia-gridd.service'], { GUEST_ROOT: guest.root });
    },
    'error daemon-dead',
  ],
  [
    'the daemon was killed, and nvidia-smi shows the license that it had',
    guest => guest.write('/run/nvidia-gridd/died', 'signal 9\n'),
    'error daemon-dead',
  ],
  [
    'the daemon has refused a token in whose place there is another one by now',
    async guest => {
      await guest.say('nvidia-gridd', 'Started (4242)', 4242);
      await guest.say('nvidia-gridd', 'Failed to decode signature from token received', 4242);
      await unlicensed(guest);
      await guest.writeLater(token(guest), licensed.tokenText);
    },
    'error daemon-outdated',
  ],
  [
    'the license server has a certificate of an unknown authority, and the daemon minds',
    async guest => {
      await withTls({ fault: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' })(guest);
      await refuse('SSL certificate problem: unable to get local issuer certificate')(guest);
    },
    'error tls-not-trusted',
  ],
  [
    'no license of the product is there',
    refuse('No pool features found for : NVIDIA RTX Virtual Workstation'),
    'error product-not-on-server',
  ],
  ['all licenses are in use', refuse('Insufficient licenses'), 'error licenses-exhausted'],
  [
    'the GPU is none that can be licensed',
    async guest => {
      // the daemon ended when the driver had not taken it yet
      await guest.remove(`${GPU}/driver`);
      await guest.restartGridd('Licensing not supported');
      await symlink('../../../../bus/pci/drivers/nvidia', guest.at(`${GPU}/driver`));
    },
    'error gpu-not-licensable',
  ],
  [
    'the guest has too many interfaces',
    async guest => {
      await unlicensed(guest);
      await guest.say('nvidia-gridd', 'Started (4242)', 4242);
      await guest.say('nvidia-gridd', 'Failed to update local trusted store - Maximum buffer size exceeded', 4242);
      for (let index = 0; index < 20; index++) await guest.write(`/sys/class/net/veth${index}/address`, '');
    },
    'error identity-too-large',
  ],
  [
    'the time without a license is over',
    async guest => {
      await unlicensed(guest);
      await guest.write('/var/lib/stubs/license-status', 'Unlicensed (Restricted)\n');
    },
    'error unlicensed',
  ],
  [
    'gridd.conf is no such file',
    guest => guest.write('/etc/nvidia/gridd.conf', 'x'.repeat(2 * 1024 * 1024)),
    'warning cannot-look',
  ],
  [
    'gridd.conf holds binary',
    guest => guest.write('/etc/nvidia/gridd.conf', '\u0000\u0001FeatureType=\u001b[31m9\nFeatureType=\u001b[31m9\n'),
    'warning feature-type',
  ],
];

describe('doctor finds first of all why there is no license, when', () => {
  test.concurrent.each(SPOILED)('%s', async (_, spoil, expected) => {
    using guest = new Copy();
    await spoil(guest);
    const { code, stdout, stderr } = await guest.doctor('--json');
    expect(stderr).toBe('');
    const { findings } = JSON.parse(stdout) as Answer;
    const [first] = findings.filter(({ severity }) => severity !== 'info');
    expect(`${first?.severity} ${first?.id}`, stdout).toBe(expected);
    expect(code).toBe(expected.startsWith('error') ? 4 : 0);
    for (const { summary, cause, remedy, evidence } of findings) {
      expect([summary, cause, remedy].every(text => text.length > 5)).toBe(true);
      expect(evidence.length).toBeGreaterThan(0);
    }
    expect(stdout).not.toMatch(/s3cret|\u001b|\\u001b/);
    expect(stdout).not.toContain(licensed.tokenText.slice(0, 60));
  });
});

describe('a guest that is licensed', () => {
  test('has nothing wrong, is told what was looked at, and is not changed', async () => {
    using guest = new Copy();
    await guest.write('/calls.log', '');
    const { code, stdout, stderr } = await guest.doctor();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^nothing wrong was found\n\nlooked at\n✓ the GPU/);
    expect(stdout).not.toMatch(/^[✗?]/m);
    const calls = (await readFile(guest.at('/calls.log'), 'utf8')).trim().split('\n');
    expect(calls.filter(line => !line.startsWith('look\t'))).toEqual([]);
    // its license servers are those of the folder
    expect(calls).toContainEqual(`look\tnetwork-probe\t192.0.2.10\t443\ttls\t${HOST}`);
  });

  test('says nothing at all with --quiet', async () => {
    using guest = new Copy();
    expect(await guest.doctor('--quiet')).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('whose network, clock and logs cannot be asked has them unknown, not right', async () => {
    using guest = new Copy();
    for (const program of ['network-probe', 'getent', 'timedatectl', 'journalctl'])
      await guest.remove(`/usr/bin/${program}`);
    await guest.remove('/var/log/messages');
    const { lookedAt } = JSON.parse((await guest.doctor('--json')).stdout) as Answer;
    expect(lookedAt.filter(({ state }) => state === 'unknown').map(({ id }) => id)).toEqual([
      'kernel',
      'clock',
      'servers',
      'log',
    ]);
  });
});

test('a name that nobody resolves in time ends the look at its deadline', async () => {
  using guest = new Copy();
  await network(`name ${HOST} slow`)(guest);
  const startedMs = performance.now();
  const { findings } = JSON.parse((await guest.doctor('--json')).stdout) as Answer;
  expect(performance.now() - startedMs).toBeLessThan(45_000);
  expect(findings[0]).toMatchObject({
    id: 'server-name-not-found',
    evidence: expect.arrayContaining([expect.objectContaining({ shows: expect.stringContaining('no answer within') })]),
  });
});

test('a bare guest is told of its driver first', async () => {
  using guest = makeFolderGuest({ family: 'rhel' });
  const { code, stdout } = await guest.vgpuGuest(['doctor', '--json']);
  expect(code).toBe(4);
  expect((JSON.parse(stdout) as Answer).findings.map(({ id }) => id)).toEqual([
    'gpu-taken',
    'driver-missing',
    'token-missing',
  ]);
});

describe('apply that does not end well', () => {
  const nearly = { family: 'debian', nouveau: 'not-bound', prerequisites: 'installed' } as const;

  test('for want of a license says what doctor finds', async () => {
    using guest = makeFolderGuest({ ...nearly, license: { answer: 'refuse' } });
    const { code, stdout, stderr } = await guest.vgpuGuest(['apply', '--json', '--license-timeout', '1s']);
    const report = JSON.parse(stdout) as { schema: string; outcome: string; findings: readonly Finding[] };
    expect({ code, schema: report.schema, outcome: report.outcome }).toEqual({
      code: 5,
      schema: 'vgpu-guest/report/1',
      outcome: 'unlicensed',
    });
    expect(report.findings[0]).toMatchObject({ id: 'product-not-on-server', severity: 'error' });
    expect(stderr).toContain('the license server has no license of the product that this guest asks for');
    expect(JSON.parse(guest.read('/var/lib/vgpu-guest/last-report.json') ?? '')).toEqual(report);
  });

  test('for a token that has expired shows its dates, and nothing of what is only not set up yet', async () => {
    using guest = makeFolderGuest({ ...nearly, token: 'expired' });
    const { code, stdout, stderr } = await guest.vgpuGuest(['apply', '--json']);
    expect(code).toBe(4);
    const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] };
    expect(findings.map(({ id }) => id)).toEqual(['token-expired']);
    expect(findings[0]?.evidence).toContainEqual({ at: guest.tokenPath, shows: expect.stringMatching(/^exp \d{4}-/) });
    expect(stderr).toContain('token-expired');
    expect(guest.calls('change')).toEqual([]);
  });

  test('and one that ends well says nothing of it', async () => {
    using guest = makeFolderGuest(nearly);
    const { code, stdout } = await guest.vgpuGuest(['apply', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).not.toHaveProperty('findings');
  });
});
