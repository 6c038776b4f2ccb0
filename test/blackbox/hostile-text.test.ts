import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type FolderGuest, makeFolderGuest, type Ran } from '../helpers/folder-guest.ts';

/** Clears the screen, sets the title, turns the direction, hides, and is a control character of its own. */
const EVIL = 'x\u001b[2J\u001b]0;pwned\u0007\u202egnp.\u2066\u200b\u009b31m\u0085\u2028\u007fy';
/** A line that pretends to be the program's own. */
const FORGED = 'FORGED: settled, licensed';
const EVIL_LINES = `${EVIL}\n${FORGED}\n→ ${FORGED}`;

/** What a terminal acts on, and what turns or hides text. Line ends are looked at by what their lines begin with. */
const HARMFUL = /[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
const FORGED_LINE = /^(?:→ )?FORGED/m;

const shell = (...lines: readonly string[]) => `#!/bin/sh\nPATH=/usr/bin:/bin\n${lines.join('\n')}\n`;
const prints = (text: string) => shell(`cat <<'EOT'\n${text}\nEOT`);

function smiXml(address: string): string {
  return `<?xml version="1.0" ?>
<nvidia_smi_log>
<driver_version>570.211.01</driver_version>
<gpu id="0000${address}">
<product_name>${EVIL_LINES}</product_name>
<uuid>GPU-${EVIL_LINES}</uuid>
<gpu_virtualization_mode><virtualization_mode>VGPU</virtualization_mode></gpu_virtualization_mode>
<vgpu_software_licensed_product>
<licensed_product_name>${EVIL_LINES}</licensed_product_name>
<license_status>Unlicensed ${EVIL_LINES}</license_status>
</vgpu_software_licensed_product>
<processes><process_info><pid>912</pid><type>G</type><process_name>${EVIL_LINES}</process_name></process_info></processes>
</gpu>
</nvidia_smi_log>`;
}

/** Everything that this program reads or runs says what it should not. */
function makeHostile(): FolderGuest {
  const guest = makeFolderGuest({
    distribution: 'sles-15.6',
    x: 'running',
    config: `driver: { package: "/opt/a${EVIL.replace(/[\u001b\u0007\u009b\u0085\u2028\u007f]/g, sign => `\\u00${sign.charCodeAt(0).toString(16).padStart(2, '0').slice(-2)}`)}.run" }\nlicense: { token: "/opt/t\\u202e\\e[2J.tok" }\ngridd: { Proxy: "a\u202eb" }\n`,
  });
  guest.write(`/opt/t\u202e\u001b[2J.tok`, guest.tokenText, 0o600);
  guest.write('/usr/lib/os-release', `ID=sles\nVERSION_ID="15.6"\nPRETTY_NAME="${EVIL}"\n`);
  guest.write('/usr/bin/nvidia-smi', prints(smiXml(guest.gpuAddresses[0]!)), 0o755);
  guest.write('/usr/bin/nvidia-gridd', shell('exit 1'), 0o755);
  guest.write('/usr/bin/systemd-detect-virt', prints(EVIL_LINES), 0o755);
  guest.write('/usr/bin/timedatectl', prints(`NTP=${EVIL}\nNTPSynchronized=no\nLocalRTC=${EVIL}\n${FORGED}`), 0o755);
  guest.write('/usr/bin/rpm', shell(`echo '${EVIL}'`, `echo '${EVIL}' >&2`, 'exit 1'), 0o755);
  guest.write(
    '/usr/bin/zypper',
    shell(`printf '%s\\n' '${EVIL}' '${FORGED}'`, `printf '%s\\n' '${EVIL}' '${FORGED}' >&2`, 'exit 4'),
    0o755,
  );
  guest.write('/usr/bin/dmesg', prints(EVIL_LINES), 0o755);
  for (const [index, line] of [
    EVIL,
    `NVRM: ${EVIL}`,
    'NVRM: RmInitAdapter failed!',
    `Failed to acquire license from ${EVIL}`,
  ].entries()) {
    for (const identifier of ['nvidia-gridd', 'kernel']) {
      const at = 1_790_000_000_000_000 + index;
      guest.write(
        '/var/lib/stubs/journal',
        `${guest.read('/var/lib/stubs/journal') ?? ''}${[at, 812, identifier, 'nvidia-gridd.service', line].join('\t')}\n`,
      );
    }
  }
  for (const name of [`${EVIL}.tok`, `a\n${FORGED}\n.tok`])
    guest.write(`/etc/nvidia/ClientConfigToken/${name}`, EVIL_LINES);
  guest.write('/etc/nvidia/gridd.conf', `ServerAddress=${EVIL}\nFeatureType=${EVIL}\n# ${EVIL}\n`);
  guest.write(
    '/etc/X11/xorg.conf',
    `# ${EVIL}\nSection "Device"\n  Identifier "${EVIL}"\n  Driver "nvidia"\n  BusID "PCI:${EVIL}"\nEndSection\n`,
  );
  guest.write(
    `/etc/X11/xorg.conf.d/a\n${FORGED}.conf`,
    `Section "Device"\nIdentifier "nvidia ${EVIL}"\nDriver "nvidia"\nNonsense\nEndSection\n`,
  );
  guest.write('/var/log/Xorg.0.log', `(EE) ${EVIL}\n(II) NVIDIA(0): ${EVIL}\nFatal server error: ${EVIL}\n`);
  guest.write('/proc/912/comm', 'Xorg\n');
  guest.write(`/etc/modprobe.d/a\n${FORGED}.conf`, `blacklist ${EVIL}\n`);
  guest.write('/proc/cmdline', `BOOT_IMAGE=x ${EVIL}\n`);
  guest.write('/proc/self/mounts', `${EVIL} / ext4 rw 0 0\n`);
  guest.write('/etc/environment', `https_proxy="http://proxy${EVIL}:3128"\n`);
  guest.write('/sys/class/net/eth\u001b[2J/address', `${EVIL_LINES}\n`);
  guest.write('/etc/dkms/framework.conf', `mok_signing_key="${EVIL}"\n`);
  return guest;
}

const COMMANDS: readonly (readonly string[])[] = [
  ['plan'],
  ['plan', '--verbose'],
  ['status'],
  ['doctor'],
  ['apply', '--verbose'],
  ['apply', '--quiet'],
  ['license', 'wait', '--license-timeout', '1s'],
  ['license', 'watch'],
  ['token', 'inspect', `/etc/nvidia/ClientConfigToken/${EVIL}.tok`],
  ['token', 'inspect', `/nowhere/a\n${FORGED}${EVIL}`],
  ['config', 'validate'],
  ['config', 'show'],
  ['prepare'],
  ['plan', '--only', EVIL],
  ['plan', '--config', `/etc/${EVIL}`],
  ['plan', '--config', `/etc/a\n${FORGED}`],
  ['apply', '--driver', `/opt/a\n${FORGED}`, '--quiet'],
  ['support-bundle', '--output', '/var/tmp/a.tar.gz'],
  ['token', 'rotate', `/etc/nvidia/ClientConfigToken/${EVIL}.tok`],
  ['apply', '--only', 'place-token', '--verbose'],
  ['revert', '--plan', '--driver', '--packages'],
  ['revert', '--driver', '--packages', '--verbose'],
  ['reboot-required'],
  [`${EVIL}`],
];

describe('a guest in which every name, answer and log is hostile', () => {
  let guest: FolderGuest;
  beforeAll(() => {
    guest = makeHostile();
  });
  afterAll(() => guest.dispose());

  test.each(
    COMMANDS.map(
      args =>
        [
          args
            .join(' ')
            .replace(/[^\w /.-]/g, '_')
            .slice(0, 60),
          args,
        ] as const,
    ),
  )('does nothing to the terminal of who runs %s', async (_, args) => {
    const { stdout, stderr } = await guest.vgpuGuest(args);
    expectHarmless(stdout);
    expectHarmless(stderr);
    if (!args.includes('--quiet')) expect(stdout + stderr).not.toBe('');
  });

  test('nor in the C locale, where what is left is ASCII', async () => {
    const { stdout } = await guest.vgpuGuest(['doctor'], { LANG: 'C' });
    expectHarmless(stdout);
    expect(stdout).not.toMatch(/[^\0-\x7f]/);
  });

  test.each([['plan'], ['status'], ['doctor'], ['apply'], ['license', 'watch'], ['config', 'show']])(
    'answers %s --json with the very texts, as escapes of JSON: %s',
    async (...args) => {
      const ran = await guest.vgpuGuest([...args.filter(Boolean), '--json']);
      expect(ran.stdout).not.toMatch(HARMFUL);
      expect(() => JSON.parse(ran.stdout)).not.toThrow();
      if (args[0] === 'status') expect(JSON.parse(ran.stdout).gpus[0].name).toBe(EVIL_LINES);
    },
  );

  test('leaves a log that can be looked at with cat', () => {
    const log = guest.read('/var/log/vgpu-guest.log') ?? '';
    expect(log.length).toBeGreaterThan(1_000);
    for (const line of log.trimEnd().split('\n')) {
      expect(line).not.toMatch(HARMFUL);
      expect(() => JSON.parse(line)).not.toThrow();
    }
  });

  test('shows its configuration as YAML that says the same', async () => {
    const { stdout } = await guest.vgpuGuest(['config', 'show']);
    expect(parse(stdout)).toMatchObject({
      license: { token: '/opt/t\u202e\u001b[2J.tok' },
      gridd: { Proxy: 'a\u202eb' },
    });
  });

  test('is shown with what it says written out', async () => {
    const { stdout } = await guest.vgpuGuest(['status']);
    expect(stdout).toContain('x\\x1b[2J\\x1b]0;pwned\\x07\\u202egnp.\\u2066\\u200b\\x9b31m\\x85\\u2028\\x7fy');
  });
});

test('what an installer prints reaches terminal and log without its tricks', async () => {
  using guest = makeFolderGuest({ nouveau: 'not-bound', prerequisites: 'installed' });
  guest.write('/usr/bin/gcc', shell(`printf '%s\\n' '${EVIL}' '${FORGED}' >&2`, 'exit 1'), 0o755);
  guest.write('/usr/bin/dkms', shell(`printf '%s\\n' '${EVIL}' '${FORGED}' >&2`, 'exit 1'), 0o755);
  const { stdout, stderr } = await guest.vgpuGuest(['apply', '--verbose']);
  expectHarmless(stdout);
  expectHarmless(stderr);
  expect(guest.read('/var/log/vgpu-guest.log')).not.toMatch(/[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u202e\u2066-\u2069]/);
});

test('a name of a token that a clone must not have stays one line', async () => {
  using guest = makeFolderGuest({ gpus: 0 });
  guest.write(`/etc/nvidia/ClientConfigToken/a\n${FORGED}\n.tok`, 'x');
  const { code, stderr } = await guest.vgpuGuest(['generalize', '--verbose']);
  expect(code).toBe(0);
  expect(stderr).toContain(FORGED);
  expectHarmless(stderr);
});

function expectHarmless(text: Ran['stdout']): void {
  expect(text).not.toMatch(HARMFUL);
  expect(text).not.toMatch(FORGED_LINE);
}
