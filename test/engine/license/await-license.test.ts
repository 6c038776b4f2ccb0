import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import { awaitLicense, type LicenseOutcome } from '../../../src/engine/license/await-license.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';
import { makeToken } from '../../helpers/token.ts';

/** A moment ago: it was started for this wait. */
const STARTED_US = Date.now() * 1000 - 2_000_000;
const LONG_AGO_US = STARTED_US - 3_600_000_000;
const PID = 812;
const CONFIG = configSchema.parse({ license: { token: '/opt/a.tok' } });
const SUCCESS =
  'License acquired successfully. (Info: dls.example.com, NVIDIA RTX Virtual Workstation; Expiry: 2026-7-7 16:1:44 GMT)';
const REFUSAL =
  'Failed to acquire license from dls.example.com (Info: NVIDIA RTX Virtual Workstation - Error: No pool features found for : NVIDIA RTX Virtual Workstation)';
const LICENSED =
  'nvidia-smi says that the guest is licensed: NVIDIA RTX Virtual Workstation until 2026-07-07T16:01:44Z';
/** All is said, and the follower of a log goes on following. */
const FOR_EVER = ': >"$GUEST_ROOT/said"; exec sleep 60';
/** So that no test depends on how fast the machine is. */
const AFTER_ALL_IS_SAID = 'until [ -e "$GUEST_ROOT/said" ]; do sleep 0.01; done';
const GET_LICENSE = ': >"$GUEST_ROOT/licensed"';

/** Typed from published output of R580 on a vGPU. */
const smiXml = (status: string) =>
  `<nvidia_smi_log><driver_version>580.105.08</driver_version><gpu id="00000000:00:07.0"><product_name>NVIDIA L40S-2Q</product_name><gpu_virtualization_mode><virtualization_mode>VGPU</virtualization_mode></gpu_virtualization_mode><vgpu_software_licensed_product><licensed_product_name>NVIDIA RTX Virtual Workstation</licensed_product_name><license_status>${status}</license_status></vgpu_software_licensed_product></gpu></nvidia_smi_log>`;

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
/** A line in the journal of the running daemon, unless another one or an earlier time is given. */
const inJournal = (message: string, given: { pid?: number; atUs?: number } = {}) =>
  `printf '%s\\n' ${quoted(
    JSON.stringify({
      MESSAGE: message,
      _PID: String(given.pid ?? PID),
      __REALTIME_TIMESTAMP: String(given.atUs ?? STARTED_US + 1),
      SYSLOG_IDENTIFIER: 'nvidia-gridd',
    }),
  )}`;
const inSyslog = (message: string, pid: number | undefined = PID) =>
  `Nov 20 17:01:27 guest nvidia-gridd${pid === 0 ? '' : `[${pid}]`}: ${message}\n`;
const MESSAGES = 'var/log/messages';

interface Given {
  /** Shell lines that write what `journalctl --follow` prints; without them there is no journal. */
  readonly journal?: readonly string[];
  /** What /var/log/messages holds. */
  readonly syslog?: readonly string[];
  /** All is said when this has been told. */
  readonly lastWords?: string;
  readonly startedUs?: number;
  /** Shell lines of nvidia-smi before its answer. */
  readonly smi?: string;
  readonly unit?: {
    readonly active?: string;
    readonly result?: string;
    readonly exitCode?: number;
    readonly mainPid?: number;
  };
  readonly files?: Readonly<Record<string, string>>;
  readonly settings?: Settings;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

function prepare({
  journal,
  syslog,
  lastWords,
  smi = journal || lastWords ? AFTER_ALL_IS_SAID : '',
  unit = {},
  startedUs = STARTED_US,
  files = {},
}: Given): string {
  const root = temporaryFolder();
  const { active = 'active', result = 'success', exitCode = 0, mainPid = active === 'active' ? PID : 0 } = unit;
  const show = `LoadState=loaded\nActiveState=${active}\nUnitFileState=enabled\nResult=${result}\nExecMainStatus=${exitCode}\nMainPID=${mainPid}\n`;
  writeFiles(root, {
    show,
    'yes.xml': smiXml('Licensed (Expiry: 2026-7-7 16:1:44 GMT)'),
    'no.xml': smiXml('Unlicensed (Unrestricted)'),
    'etc/os-release': 'ID=sles\nVERSION_ID=15.6\nPRETTY_NAME="SLES"\n',
    'var/lib/nvidia/log': '',
    ...files,
  });
  writeProgram(root, 'systemctl', 'cat "$GUEST_ROOT/show"');
  writeProgram(root, 'busctl', `echo 't ${startedUs}'`);
  writeProgram(
    root,
    'nvidia-smi',
    `echo look >>"$GUEST_ROOT/looks"\n${smi}\nif [ -e "$GUEST_ROOT/licensed" ]; then cat "$GUEST_ROOT/yes.xml"; else cat "$GUEST_ROOT/no.xml"; fi`,
  );
  const follower = (lines: readonly string[]) =>
    `printf '%s' "$*" >"$GUEST_ROOT/followed"\necho $$ >"$GUEST_ROOT/follower"\n${lines.join('\n')}`;
  if (journal) {
    writeProgram(root, 'journalctl', `case "$*" in *--follow*) ;; *) echo '{}'; exit;; esac\n${follower(journal)}`);
  }
  if (syslog) {
    writeFiles(root, { [MESSAGES]: syslog.join('') });
    // the real one, on the guest's file
    writeProgram(root, 'tail', `${follower([])}\nexec tail "$1" "$2" "$3" "$4" "$GUEST_ROOT$5"`);
  }
  return root;
}

interface Result extends LicenseOutcome {
  readonly root: string;
  readonly told: readonly string[];
}

async function waitIn(given: Given, onTold: (text: string, root: string) => void = () => {}): Promise<Result> {
  const root = prepare(given);
  const told: string[] = [];
  const tell = (text: string) => {
    told.push(text);
    if (given.lastWords !== undefined && text.includes(given.lastWords)) writeFiles(root, { said: '' });
    onTold(text, root);
  };
  const config = given.settings ? configSchema.parse(given.settings) : CONFIG;
  const outcome = await awaitLicense(openGuest({ root }), config, {
    timeoutMs: given.timeoutMs ?? 60_000,
    tell: {
      info: tell,
      warn: text => tell(`! ${text}`),
      progress: () => writeFiles(root, { waiting: '' }),
    },
    signal: given.signal ?? new AbortController().signal,
  });
  expect(isFollowed(root)).toBe(false);
  return { ...outcome, root, told };
}

/** Whether the program that was followed still runs. */
function isFollowed(root: string): boolean {
  if (!existsSync(join(root, 'follower'))) return false;
  try {
    process.kill(Number(readFileSync(join(root, 'follower'), 'utf8')), 0);
    return true;
  } catch {
    return false;
  }
}

const looks = (root: string) => readFileSync(join(root, 'looks'), 'utf8').trim().split('\n').length;

describe('a guest that gets its license', () => {
  it('has it at the next look after the line of success, however long the pause', async () => {
    // no pause ever ends by itself here
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const journal = [
      inJournal(`Started (${PID})`),
      inJournal('NLS initialized'),
      'until [ -e "$GUEST_ROOT/waiting" ]; do sleep 0.01; done',
      GET_LICENSE,
      inJournal(SUCCESS),
      FOR_EVER,
    ];
    const waited = await waitIn({ journal, smi: ':' });
    expect(waited).toMatchObject({ licensed: true, explanation: LICENSED, remedy: undefined });
    expect(waited.told).toEqual([
      `nvidia-gridd: Started (${PID}) (the licensing daemon has started)`,
      'nvidia-gridd: NLS initialized (the token has been read and accepted)',
      `nvidia-gridd: ${SUCCESS} (the license server has granted a license)`,
    ]);
    expect(looks(waited.root)).toBe(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('has it by nvidia-smi, even where nobody tells what nvidia-gridd says', async () => {
    const waited = await waitIn({ smi: '[ "$(wc -l <"$GUEST_ROOT/looks")" -lt 2 ] || : >"$GUEST_ROOT/licensed"' });
    expect(waited).toMatchObject({ licensed: true, explanation: LICENSED, told: [] });
  });

  it('has it although it was refused before', async () => {
    const journal = [inJournal(REFUSAL), GET_LICENSE, inJournal(SUCCESS), FOR_EVER];
    expect((await waitIn({ journal })).licensed).toBe(true);
  });

  it('has it even after a look that began before the deadline', async () => {
    const smi = 'sleep 0.3; : >"$GUEST_ROOT/licensed"';
    expect(await waitIn({ smi, timeoutMs: 10 })).toMatchObject({ licensed: true, explanation: LICENSED });
  });

  it('has it after looks that failed', async () => {
    const smi =
      '[ "$(wc -l <"$GUEST_ROOT/looks")" -ge 2 ] || { echo "Failed to initialize NVML"; exit 9; }; : >"$GUEST_ROOT/licensed"';
    expect((await waitIn({ smi })).licensed).toBe(true);
  });
});

describe('a guest that gets none', () => {
  it('says at the deadline what nvidia-gridd said, and what to do', async () => {
    const journal = [inJournal('NLS initialized'), inJournal(REFUSAL), FOR_EVER];
    const waited = await waitIn({ journal, timeoutMs: 200 });
    expect(waited).toMatchObject({
      licensed: false,
      explanation: `no license has come within 0.2 s: the license server has no license of the product that this guest asks for (nvidia-gridd: ${REFUSAL}); nvidia-smi says Unlicensed (Unrestricted)`,
      remedy: expect.stringContaining('licensing portal'),
    });
    expect(waited.told.at(-1)).toBe(
      `! nvidia-gridd: ${REFUSAL} (the license server has no license of the product that this guest asks for)`,
    );
  });

  it('says the failure with a remedy rather than the one that follows from it', async () => {
    const journal = [
      inJournal('Unable to fetch the client configuration token file'),
      inJournal('Failed to acquire license from dls'),
      FOR_EVER,
    ];
    const { explanation, remedy } = await waitIn({ journal, timeoutMs: 200 });
    expect(explanation).toContain('there is no token in the token directory');
    expect(remedy).toContain('license.token');
  });

  it('says that nvidia-gridd was silent', async () => {
    const { explanation, remedy } = await waitIn({ journal: [FOR_EVER], timeoutMs: 100 });
    expect(explanation).toBe(
      'no license has come within 0.1 s: nvidia-gridd has said nothing; nvidia-smi says Unlicensed (Unrestricted)',
    );
    expect(remedy).toContain('license.timeout is how long to wait');
  });

  it('does not wait for the deadline with a token that is none', async () => {
    const journal = [
      inJournal('Failed to decode signature from token received'),
      inJournal('Failed to setup cloud License Manager: 3'),
      FOR_EVER,
    ];
    expect(await waitIn({ journal })).toMatchObject({
      licensed: false,
      explanation: expect.stringMatching(
        /^nvidia-gridd gets no license: a file in the token directory is no valid token/,
      ),
      remedy: expect.stringContaining('download a new client configuration token'),
    });
  });

  it('does not wait for a clock that has jumped back', async () => {
    const journal = [
      inJournal('Failed to acquire license from dls (Info: X - Error: Clock windback has been detected)'),
      FOR_EVER,
    ];
    expect(await waitIn({ journal })).toMatchObject({
      licensed: false,
      explanation: expect.stringMatching(/^nvidia-gridd gets no license: the guest's clock has jumped back/),
    });
  });

  it('is not made to look all the time by a daemon that says success without having any', async () => {
    const journal = [`i=0; while [ $i -lt 300 ]; do ${inJournal(SUCCESS)}; sleep 0.01; i=$((i+1)); done`, FOR_EVER];
    const { root, licensed } = await waitIn({ journal, smi: ':', timeoutMs: 2_000 });
    expect(licensed).toBe(false);
    expect(looks(root)).toBeLessThan(10);
  });

  it('is told of a daemon that ends during a pause, however long it is', async () => {
    // no pause ever ends by itself here
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const journal = [
      'until [ -e "$GUEST_ROOT/waiting" ]; do sleep 0.01; done',
      'printf "ActiveState=failed\\nResult=exit-code\\nExecMainStatus=1\\n" >"$GUEST_ROOT/show"',
      `while :; do ${inJournal(`Shutdown (${PID})`)}; sleep 0.1; done`,
    ];
    expect((await waitIn({ journal, smi: ':' })).explanation).toMatch(
      /^nvidia-gridd has ended with exit code 1 \(exit-code\)/,
    );
  });

  it('is told what may help where the driver stays with FeatureType 0', async () => {
    const root = prepare({ smi: ':' });
    writeFiles(root, {
      'no.xml': smiXml('Licensed (Expiry: N/A)')
        .replace('>VGPU<', '>Pass-Through<')
        .replace('RTX Virtual Workstation', 'Virtual Applications'),
    });
    const config = configSchema.parse({ license: { token: '/opt/a.tok', feature: 'vws' } });
    const silent = { info() {}, warn() {}, progress() {} };
    const wait = { timeoutMs: 1, tell: silent, signal: new AbortController().signal };
    expect(await awaitLicense(openGuest({ root }), config, wait)).toMatchObject({
      licensed: false,
      remedy: expect.stringContaining('reboot the guest'),
    });
  });

  it('does not wait for a daemon that has died', async () => {
    const unit = { active: 'failed', result: 'exit-code', exitCode: 1 };
    const journal = [inJournal('Failed to initialise RM client'), inJournal(`Shutdown (${PID})`), FOR_EVER];
    expect(await waitIn({ journal, unit })).toMatchObject({
      licensed: false,
      explanation:
        'nvidia-gridd has ended with exit code 1 (exit-code): the kernel module is not loaded, or of another version than nvidia-gridd (nvidia-gridd: Failed to initialise RM client); nvidia-smi says Unlicensed (Unrestricted)',
    });
  });

  it('waits for one that somebody stops and starts again', async () => {
    const journal = [
      'cd "$GUEST_ROOT"; cp show alive; sed s/=active/=inactive/ alive >dead; mv dead show; : >stopped',
      'until [ -e seen ]; do sleep 0.01; done',
      inJournal(`Shutdown (${PID})`),
      // as long as one that forks and reads its token needs
      `sleep 0.3; ${GET_LICENSE}; mv alive show`,
      FOR_EVER,
    ];
    const smi = '[ ! -e "$GUEST_ROOT/stopped" ] || : >"$GUEST_ROOT/seen"';
    expect((await waitIn({ journal, smi })).explanation).toBe(LICENSED);
  });

  it('does not wait for a daemon that has ended in silence', async () => {
    const { explanation, remedy } = await waitIn({ journal: [FOR_EVER], unit: { active: 'inactive' } });
    expect(explanation).toMatch(/^nvidia-gridd does not run: nvidia-gridd has said nothing/);
    expect(remedy).toContain('journalctl -b -u nvidia-gridd');
  });

  const READ_ONLY = '/dev/vda2 / btrfs rw 0 0\n/dev/vdb /var/lib/nvidia ext4 ro,relatime 0 0\n';

  it('is told of the mount that keeps the daemon from its state, whether it has died of it in silence', async () => {
    const waited = await waitIn({
      journal: [FOR_EVER],
      unit: { active: 'failed', result: 'exit-code', exitCode: 1 },
      files: { 'proc/self/mounts': READ_ONLY },
    });
    expect(waited.explanation).toMatch(
      /^nvidia-gridd has ended with exit code 1.*; \/var\/lib\/nvidia is on a file system that is mounted read-only \(\/proc\/self\/mounts: \/dev\/vdb .* ext4 ro/,
    );
    expect(waited.remedy).toContain('remount,rw');
  });

  it('or says so and lives on', async () => {
    const journal = [inJournal('Failed to update local trusted store - Read-only file system'), FOR_EVER];
    const waited = await waitIn({ journal, timeoutMs: 200, files: { 'proc/self/mounts': READ_ONLY } });
    expect(waited.explanation).toMatch(
      /read-only or full.*\(nvidia-gridd: Failed to update .*; \/var\/lib\/nvidia is on/,
    );
    expect(waited.remedy).toContain('/var/lib/nvidia');
  });

  const UNREACHABLE = 'Failed to acquire license from HOST (Info: X - Error: Connection timed out)';

  it('is told of the nodes and ports that its token names', async () => {
    const nodes = [{ host: 'dls-1.example' }, { host: 'dls-2.example', ports: { auth: 8443, lease: 8444 } }];
    const files = { 'etc/nvidia/ClientConfigToken/a.tok': makeToken({ nodes }) };
    const told = await waitIn({ journal: [inJournal(UNREACHABLE), FOR_EVER], timeoutMs: 200, files });
    expect(told.remedy).toMatch(
      /open the way from this guest to dls-1\.example:443 and dls-2\.example:8443 and dls-2\.example:8444 /,
    );
    const silent = await waitIn({ journal: [FOR_EVER], timeoutMs: 200, files });
    expect(silent.remedy).toMatch(/whether dls-1\.example:443 and .* can be reached/);
  });

  it('is told of the port that gridd.conf names for a legacy server', async () => {
    const files = { 'etc/nvidia/gridd.conf': 'ServerAddress=10.5.8.208\nServerPort=7071\n' };
    const settings = { license: { server: { address: '10.5.8.208', port: 7071 } } };
    const journal = [inJournal(UNREACHABLE.replace('acquire', 'acquire/renew')), FOR_EVER];
    expect((await waitIn({ journal, timeoutMs: 200, files, settings })).remedy).toMatch(/to 10\.5\.8\.208:7071 in/);
  });
});

describe('what counts', () => {
  it('is asked of the journal of this boot, whatever the clock said meanwhile', async () => {
    const { root } = await waitIn({ journal: [FOR_EVER], timeoutMs: 200 });
    expect(readFileSync(join(root, 'followed'), 'utf8')).toBe(
      '--follow --output json --boot --lines all SYSLOG_IDENTIFIER=nvidia-gridd + _SYSTEMD_UNIT=nvidia-gridd.service',
    );
  });

  it('are the lines of the present daemon, and of none before it', async () => {
    const journal = [
      inJournal('Started (811)', { pid: 811, atUs: STARTED_US - 2 }),
      inJournal('Failed to setup cloud License Manager: 3', { pid: 811, atUs: STARTED_US - 1 }),
      inJournal('Failed to setup cloud License Manager: 3', { pid: 811 }),
      inJournal('NLS initialized'),
      FOR_EVER,
    ];
    const waited = await waitIn({ journal, timeoutMs: 200 });
    expect(waited.told).toEqual(['nvidia-gridd: NLS initialized (the token has been read and accepted)']);
    expect(waited.explanation).toContain('nvidia-gridd said last: NLS initialized');
  });

  it('are the lines of a daemon that was started meanwhile, whose predecessor is forgotten', async () => {
    const journal = [
      inJournal(REFUSAL),
      inJournal('Started (900)', { pid: 900 }),
      inJournal(REFUSAL),
      inJournal('NLS initialized', { pid: 900 }),
      FOR_EVER,
    ];
    const waited = await waitIn({ journal, timeoutMs: 200 });
    expect(waited.explanation).toContain('nvidia-gridd said last: NLS initialized');
    expect(waited.told).toHaveLength(3);
  });

  it('are the lines of the present daemon even of before the clock was set back', async () => {
    const journal = [
      inJournal('Started (812)'),
      inJournal('Failed to acquire license from dls (Info: X - Error: Connection timed out)', { atUs: LONG_AGO_US }),
      FOR_EVER,
    ];
    expect((await waitIn({ journal, timeoutMs: 200 })).explanation).toContain('cannot be reached');
  });

  it('is what was said long ago as well, and only what comes now is told', async () => {
    const journal = [
      inJournal('Started (812)', { atUs: LONG_AGO_US }),
      inJournal(REFUSAL, { atUs: LONG_AGO_US + 1 }),
      inJournal('NLS initialized', { atUs: Date.now() * 1000 + 60_000_000 }),
      FOR_EVER,
    ];
    const waited = await waitIn({ journal, startedUs: LONG_AGO_US, timeoutMs: 200 });
    expect(waited.told).toEqual(['nvidia-gridd: NLS initialized (the token has been read and accepted)']);
    expect(waited.explanation).toContain('the license server has no license of the product');
  });

  it('goes on where the journal was left, when whoever reads it has ended', async () => {
    const line = inJournal('NLS initialized').replace('{"MESSAGE"', '{"__CURSOR":"s=1;i=2","MESSAGE"');
    const journal = [`case "$*" in *"--after-cursor=s=1;i=2 SYSLOG"*) ${inJournal(REFUSAL)}; ${FOR_EVER};; esac`, line];
    const waited = await waitIn({ journal, timeoutMs: 200 });
    expect(waited.told).toHaveLength(2);
    expect(waited.explanation).toContain('the license server has no license of the product');
  });
});

describe('a guest without a journal', () => {
  const logFile = [
    inSyslog('Started (812)'), // of an earlier boot, with the same number
    inSyslog('Failed to setup cloud License Manager: 3'),
    inSyslog('Started (700)', 700),
    inSyslog('Failed to setup cloud License Manager: 3', 700),
    inSyslog(`Started (${PID})`),
    inSyslog('NLS initialized'),
    inSyslog(REFUSAL),
  ];
  const TOLD = [
    `nvidia-gridd: Started (${PID}) (the licensing daemon has started)`,
    'nvidia-gridd: NLS initialized (the token has been read and accepted)',
    `! nvidia-gridd: ${REFUSAL} (the license server has no license of the product that this guest asks for)`,
  ];

  it('has the lines of its present daemon in the log file of the system', async () => {
    const waited = await waitIn({ syslog: logFile, lastWords: REFUSAL, timeoutMs: 200 });
    const size = Buffer.byteLength(logFile.join(''));
    expect(readFileSync(join(waited.root, 'followed'), 'utf8')).toBe(
      `--pid=${process.pid} -c +${size + 1} -F /var/log/messages`,
    );
    expect(waited.told).toEqual(TOLD);
  });

  it('has them there even of a daemon whose number systemd has forgotten', async () => {
    const unit = { active: 'failed', result: 'exit-code', exitCode: 1 };
    const { told, explanation } = await waitIn({ syslog: logFile, lastWords: REFUSAL, unit });
    expect(told).toEqual(TOLD);
    expect(explanation).toMatch(
      /^nvidia-gridd has ended with exit code 1 .* the license server has no license of the product/,
    );
  });

  it('has them there where no line bears a number', async () => {
    const bare = logFile.map(line => line.replace(/\[\d+\]/, ''));
    expect((await waitIn({ syslog: bare, lastWords: REFUSAL, timeoutMs: 200 })).told).toEqual(TOLD);
  });

  it('is not told again what its daemon said long ago, and it counts all the same', async () => {
    const waited = await waitIn({ syslog: logFile, startedUs: LONG_AGO_US, timeoutMs: 200, smi: 'sleep 0.3' });
    expect(waited.told).toEqual([]);
    expect(waited.explanation).toContain('the license server has no license of the product');
  });

  /** What happens to the file while it is followed; the line of success has to be heard after that. */
  it.each<[string, (path: string) => void]>([
    [
      'is rotated',
      path => {
        renameSync(path, `${path}.1`);
        writeFileSync(path, inSyslog(SUCCESS));
      },
    ],
    ['is cut short', path => writeFileSync(path, inSyslog(SUCCESS))],
    ['goes on without a number', path => appendFileSync(path, inSyslog(SUCCESS, 0))],
    [
      'has an enormous line of no text in between',
      path => {
        appendFileSync(path, Buffer.alloc(3_000_000, 0xff));
        appendFileSync(path, `\n${inSyslog(SUCCESS)}`);
      },
    ],
  ])('hears the license come when that file %s', async (_title, change) => {
    const others = Array.from({ length: 50 }, () => 'Nov 20 17:01:26 guest systemd[1]: Started something else.\n');
    const waited = await waitIn({ syslog: [...others, inSyslog(`Started (${PID})`)], smi: ':' }, (text, root) => {
      if (text.includes('Started')) appendFileSync(join(root, MESSAGES), inSyslog('NLS initialized'));
      // it came through the follower, which therefore follows
      if (text.includes('NLS')) change(join(root, MESSAGES));
      if (text.includes('License acquired')) writeFiles(root, { licensed: '' });
    });
    expect(waited.licensed).toBe(true);
    expect(waited.told.at(-1)).toContain(SUCCESS);
  });

  it('hears the present daemon although its first line has been rotated away', async () => {
    const waited = await waitIn({ syslog: [inSyslog('NLS initialized')], lastWords: 'NLS', timeoutMs: 200 });
    expect(waited.explanation).toContain('nvidia-gridd said last: NLS initialized');
  });
});

it('an interrupted wait ends at once and leaves nothing running', async () => {
  const root = prepare({ journal: [inJournal('NLS initialized'), FOR_EVER] });
  const interruption = new AbortController();
  const told: string[] = [];
  const waiting = awaitLicense(openGuest({ root }), CONFIG, {
    timeoutMs: 60_000,
    tell: { info: () => interruption.abort(new Error('stopped')), warn: text => told.push(text), progress: () => {} },
    signal: interruption.signal,
  });
  await expect(waiting).rejects.toThrow('stopped');
  expect(isFollowed(root)).toBe(false);
  expect(told).toEqual([]);
});
