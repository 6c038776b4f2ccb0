import { expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { lookAt } from '../../src/facts/facts.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../helpers/temporary.ts';

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
