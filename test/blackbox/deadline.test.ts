import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { makeFolderGuest } from '../helpers/folder-guest.ts';

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

test('so is a revert', async () => {
  using guest = makeFolderGuest({ prerequisites: 'installed', nouveau: 'not-bound' });
  expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
  const hanging =
    '#!/bin/sh\ncase "$*" in *stop*) exec /bin/sleep 600 ;; esac\nexec "$GUEST_ROOT/usr/bin/systemctl" "$@"\n';
  guest.write('/usr/local/sbin/systemctl', hanging, 0o755);
  const ran = await guest.vgpuGuest(['revert'], { VGPU_GUEST_RUN_TIMEOUT: '5s' });
  expect(ran.code, ran.stderr).toBe(1);
  expect(ran.stderr).toContain('within 5 s (runTimeout), and is at return-license: it is stopped');
  guest.remove('/usr/local/sbin/systemctl');
  expect((await guest.vgpuGuest(['revert'])).code).toBe(0);
});
