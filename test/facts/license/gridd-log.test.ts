import { describe, expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const line = (message: string, pid: number, atS: number) =>
  JSON.stringify({ MESSAGE: message, _PID: String(pid), __REALTIME_TIMESTAMP: `${atS}000000` });

async function logOf(files: Readonly<Record<string, string>>, programs: Readonly<Record<string, string>>) {
  const root = temporaryFolder();
  writeFiles(root, { 'etc/os-release': 'ID=sles\n', ...files });
  for (const [name, script] of Object.entries(programs)) writeProgram(root, name, script);
  return await lookAt(openGuest({ root }), configSchema.parse({})).fact('griddLog');
}

/** A journal of which nvidia-gridd has said these lines. */
const journal = (...lines: readonly string[]) =>
  `case "$*" in *SYSLOG_IDENTIFIER=nvidia-gridd) cat <<'END'\n${lines.join('\n')}\nEND\n;; *) echo '{"MESSAGE":"x"}';; esac`;

it('the log begins where the last daemon began', async () => {
  const log = await logOf(
    {},
    {
      journalctl: journal(
        line('Started (700)', 700, 1000),
        line('Failed to acquire license from dls', 700, 1001),
        line('Started (812)', 812, 1010),
        line('Shutdown (700)', 700, 1011),
        line('NLS initialized', 812, 1012),
      ),
    },
  );
  expect(log).toMatchObject({ is: 'read', from: 'journalctl -b -t nvidia-gridd' });
  expect(log.is === 'read' && log.said.map(({ message, kind }) => [message, kind])).toEqual([
    ['Started (812)', 'started'],
    ['NLS initialized', 'progress'],
  ]);
});

describe('no evidence of how things stand now are', () => {
  const OLD = [line('Started (700)', 700, 1000), line('Failed to acquire license from dls', 700, 1001)];
  const started = (pid: number, atS: number) => ({
    systemctl: `printf 'LoadState=loaded\\nActiveState=active\\nMainPID=${pid}\\n'`,
    busctl: `echo 't ${atS}000000'`,
  });
  const brief = (log: Awaited<ReturnType<typeof logOf>>) =>
    log.is === 'read' && [log.earlier.map(({ message }) => message), log.said.map(({ message }) => message)];

  it('the words of a daemon that has ended, while the present one is silent', async () => {
    const log = await logOf({}, { journalctl: journal(...OLD), ...started(812, 1010) });
    expect(brief(log)).toEqual([['Started (700)', 'Failed to acquire license from dls'], []]);
  });

  it('nor while the first line of the present one is missing', async () => {
    const present = line('NLS initialized', 812, 1011);
    const log = await logOf({}, { journalctl: journal(...OLD, present), ...started(812, 1010) });
    expect(brief(log)).toEqual([[], ['NLS initialized']]);
  });

  it('but those of a daemon whose clock was set back since its start are', async () => {
    const present = [line('Started (812)', 812, 1010), line('NLS initialized', 812, 501)];
    expect(brief(await logOf({}, { journalctl: journal(...OLD, ...present), ...started(812, 1010) }))).toEqual([
      [],
      ['Started (812)', 'NLS initialized'],
    ]);
    const jumped = [line('Started (812)', 812, 500), line('NLS initialized', 812, 501)];
    expect(brief(await logOf({}, { journalctl: journal(...OLD, ...jumped), ...started(812, 1010) }))).toEqual([
      [],
      ['Started (812)', 'NLS initialized'],
    ]);
  });

  it.each([
    ['the token was changed', { 'etc/nvidia/ClientConfigToken/a.tok': 'x' }],
    ['gridd.conf was changed', { 'etc/nvidia/gridd.conf': 'FeatureType=2\n' }],
  ])('what was said before %s', async (_, files) => {
    const lateS = Math.floor(Date.now() / 1000) + 60;
    const lines = [line('Started (812)', 812, 1010), line('Failed to acquire', 812, 1011)];
    const after = [line('NLS initialized', 812, lateS)];
    const log = await logOf(files, { journalctl: journal(...lines, ...after), ...started(812, 1010) });
    expect(brief(log)).toEqual([['Started (812)', 'Failed to acquire'], ['NLS initialized']]);
  });
});

it('a daemon that never started in this boot has said nothing, which is known', async () => {
  expect(await logOf({}, { journalctl: journal() })).toMatchObject({ is: 'read', said: [] });
});

it('without a journal the file of the system logger is read', async () => {
  const text =
    'Nov 21 10:00:00 guest nvidia-gridd: Started (812)\nNov 21 10:00:01 guest sshd[1]: hello\nNov 21 10:00:02 guest nvidia-gridd: NLS initialized\n';
  const programs = { journalctl: 'exit 0', tail: 'exec /usr/bin/tail -n "$2" "$GUEST_ROOT$3"' };
  const log = await logOf({ 'var/log/messages': text }, programs);
  expect(log).toMatchObject({
    from: '/var/log/messages',
    said: [{ message: 'Started (812)' }, { message: 'NLS initialized' }],
  });
});

it('without either nobody knows, which is not silence', async () => {
  expect(await logOf({}, {})).toEqual({
    is: 'unknown',
    because: 'neither the journal nor /var/log/messages can be read',
  });
});

it('binary and half lines are passed over', async () => {
  const bytes = JSON.stringify({ MESSAGE: [...Buffer.from('gr\xfc\x1b[31mn', 'latin1')], _PID: '812' });
  const log = await logOf({}, { journalctl: journal(line('Started (812)', 812, 1), bytes, '{"MESSAGE":"cut') });
  expect(log.is === 'read' && log.said.map(({ message }) => message)).toEqual(['Started (812)', 'grü [31mn']);
});
