import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { awaitLicense, type LicenseOutcome } from '../../src/engine/await-license.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../helpers/temporary.ts';

const STARTED_US = 1_795_194_087_500_000;
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
const inSyslog = (message: string, pid = PID) =>
  `printf '%s\\n' ${quoted(`Nov 20 17:01:27 guest nvidia-gridd[${pid}]: ${message}`)}`;

interface Given {
  /** Shell lines that write what `journalctl --follow` prints; without them there is no journal. */
  readonly journal?: readonly string[];
  /** The same for `tail -F`. */
  readonly syslog?: readonly string[];
  /** Shell lines of nvidia-smi before its answer. */
  readonly smi?: string;
  readonly unit?: {
    readonly active?: string;
    readonly result?: string;
    readonly exitCode?: number;
    readonly mainPid?: number;
  };
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

function prepare({ journal, syslog, smi = journal || syslog ? AFTER_ALL_IS_SAID : '', unit = {} }: Given): string {
  const root = temporaryFolder();
  const { active = 'active', result = 'success', exitCode = 0, mainPid = active === 'active' ? PID : 0 } = unit;
  const show = `LoadState=loaded\nActiveState=${active}\nUnitFileState=enabled\nResult=${result}\nExecMainStatus=${exitCode}\nMainPID=${mainPid}\n`;
  writeFiles(root, {
    show,
    'yes.xml': smiXml('Licensed (Expiry: 2026-7-7 16:1:44 GMT)'),
    'no.xml': smiXml('Unlicensed (Unrestricted)'),
    'etc/os-release': 'ID=sles\nVERSION_ID=15.6\nPRETTY_NAME="SLES"\n',
  });
  writeProgram(root, 'systemctl', 'cat "$GUEST_ROOT/show"');
  writeProgram(root, 'busctl', `echo 't ${STARTED_US}'`);
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
  if (syslog)
    writeProgram(
      root,
      'tail',
      `case "$*" in *-F*) ;; *) ${syslog.filter(line => line.startsWith('printf')).join('; ')}; exit;; esac\n${follower(syslog)}`,
    );
  return root;
}

interface Result extends LicenseOutcome {
  readonly root: string;
  readonly told: readonly string[];
}

async function waitIn(given: Given): Promise<Result> {
  const root = prepare(given);
  const told: string[] = [];
  const outcome = await awaitLicense(openGuest({ root }), CONFIG, {
    timeoutMs: given.timeoutMs ?? 60_000,
    tell: {
      info: text => told.push(text),
      warn: text => told.push(`! ${text}`),
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

  it('does not wait for a daemon that has died', async () => {
    const unit = { active: 'failed', result: 'exit-code', exitCode: 1 };
    const journal = [inJournal('Failed to initialise RM client'), inJournal(`Shutdown (${PID})`), FOR_EVER];
    expect(await waitIn({ journal, unit })).toMatchObject({
      licensed: false,
      explanation:
        'nvidia-gridd has died (exit-code, exit code 1): the kernel module is not loaded, or of another version than nvidia-gridd (nvidia-gridd: Failed to initialise RM client); nvidia-smi says Unlicensed (Unrestricted)',
    });
  });

  it('does not wait for a daemon that has ended in silence', async () => {
    const { explanation, remedy } = await waitIn({ journal: [FOR_EVER], unit: { active: 'inactive' } });
    expect(explanation).toMatch(/^nvidia-gridd does not run: nvidia-gridd has said nothing/);
    expect(remedy).toContain('journalctl -b -u nvidia-gridd');
  });
});

describe('what counts', () => {
  it('is asked of the journal from the second of the start on', async () => {
    const { root } = await waitIn({ journal: [FOR_EVER], timeoutMs: 200 });
    expect(readFileSync(join(root, 'followed'), 'utf8')).toBe(
      '--follow --output json --lines all --since @1795194087 SYSLOG_IDENTIFIER=nvidia-gridd + _SYSTEMD_UNIT=nvidia-gridd.service',
    );
  });

  it('are the lines of the present daemon, and of none before it', async () => {
    const journal = [
      inJournal('Failed to setup cloud License Manager: 3', { atUs: STARTED_US - 1 }),
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

  const logFile = [
    inSyslog('Started (700)', 700),
    inSyslog('Failed to setup cloud License Manager: 3', 700),
    inSyslog(`Started (${PID})`),
    inSyslog('NLS initialized'),
    inSyslog(REFUSAL),
    FOR_EVER,
  ];

  it('stands in the log file of the system where there is no journal', async () => {
    const waited = await waitIn({ syslog: logFile, timeoutMs: 200 });
    expect(readFileSync(join(waited.root, 'followed'), 'utf8')).toBe('-n 10000 -F /var/log/messages');
    expect(waited.told).toEqual([
      `nvidia-gridd: Started (${PID}) (the licensing daemon has started)`,
      'nvidia-gridd: NLS initialized (the token has been read and accepted)',
      `! nvidia-gridd: ${REFUSAL} (the license server has no license of the product that this guest asks for)`,
    ]);
  });

  it('is found there even of a daemon whose number systemd has forgotten', async () => {
    const unit = { active: 'failed', result: 'exit-code', exitCode: 1 };
    const { told, explanation } = await waitIn({ syslog: logFile, unit });
    expect(told).toHaveLength(3);
    expect(explanation).toMatch(/^nvidia-gridd has died .* the license server has no license of the product/);
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
