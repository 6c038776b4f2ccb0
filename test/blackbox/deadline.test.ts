import { execFileSync } from 'node:child_process';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { makeFolderGuest } from '../helpers/folder-guest.ts';
import { makeToken } from '../helpers/token.ts';

const STEPS = ['--only', 'blacklist-nouveau', '--only', 'rebuild-initrd'];

test('a run that hangs is stopped before its caller stops it, says where, and can be run again', async () => {
  using guest = makeFolderGuest({ prerequisites: 'installed' });
  const dracut = guest.read('/usr/bin/dracut') ?? '';
  guest.write('/usr/bin/dracut', '#!/bin/sh\necho $$ >"$GUEST_ROOT/run/dracut.pid"\nexec /bin/sleep 600\n', 0o755);
  const ran = await guest.vgpuGuest(['apply', ...STEPS, '--run-timeout', '10s', '--json']);
  expect(ran.code).toBe(1);
  expect(ran.stderr).toContain('within 10 s (runTimeout), and is at rebuild-initrd: it is stopped');
  expect(JSON.parse(ran.stdout)).toMatchObject({
    exitCode: 1,
    remedy: expect.stringContaining('end what hangs there'),
  });
  // nothing of it is left running
  const pid = guest.read('/run/dracut.pid')?.trim() ?? '';
  expect(() => execFileSync('/bin/kill', ['-0', pid], { stdio: 'ignore' })).toThrow();
  guest.write('/usr/bin/dracut', dracut, 0o755);
  expect(await guest.vgpuGuest(['apply', ...STEPS])).toMatchObject({ code: 0 });
});

describe('so is', () => {
  const guest = makeFolderGuest({ prerequisites: 'installed', nouveau: 'not-bound' });
  afterAll(() => guest.dispose());
  const hangingAt = (verb: string) =>
    guest.write(
      '/usr/local/sbin/systemctl',
      `#!/bin/sh\ncase "$*" in *${verb}*) exec /bin/sleep 600 ;; esac\nexec "$GUEST_ROOT/usr/bin/systemctl" "$@"\n`,
      0o755,
    );
  beforeEach(async () => {
    guest.remove('/usr/local/sbin/systemctl');
    expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
  });

  test('a revert', async () => {
    hangingAt('stop');
    const ran = await guest.vgpuGuest(['revert'], { VGPU_GUEST_RUN_TIMEOUT: '5s' });
    expect(ran.code, ran.stderr).toBe(1);
    expect(ran.stderr).toContain('within 5 s (runTimeout), and is at return-license: it is stopped');
    guest.remove('/usr/local/sbin/systemctl');
    expect((await guest.vgpuGuest(['revert'])).code).toBe(0);
  });

  test('a change of tokens', async () => {
    guest.write('/opt/new.tok', makeToken(), 0o600);
    hangingAt('restart');
    const ran = await guest.vgpuGuest(['token', 'rotate', '/opt/new.tok'], { VGPU_GUEST_RUN_TIMEOUT: '5s' });
    expect(ran.code, ran.stderr).toBe(1);
    expect(ran.stderr).toContain('within 5 s (runTimeout), and is at restart-gridd: it is stopped');
    guest.remove('/usr/local/sbin/systemctl');
    expect((await guest.vgpuGuest(['token', 'rotate', '/opt/new.tok'])).code).toBe(0);
  });
});
