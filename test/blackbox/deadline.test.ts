import { afterAll, beforeEach, expect, test } from 'vitest';
import { makeFolderGuest } from '../helpers/folder-guest.ts';
import { leftRunning } from '../helpers/left-running.ts';
import { makeToken } from '../helpers/token.ts';

/** A systemctl that never comes back from one of its verbs, in front of the one that does. */
const HANGING = '/usr/local/sbin/systemctl';
const guest = makeFolderGuest({ prerequisites: 'installed', nouveau: 'not-bound' });
afterAll(() => guest.dispose());
const hangAt = (verb: string) =>
  guest.write(
    HANGING,
    `#!/bin/sh\ncase "$*" in *${verb}*) exec /bin/sleep 600 ;; esac\nexec "$GUEST_ROOT/usr/bin/systemctl" "$@"\n`,
    0o755,
  );

/** What hangs is stopped before its caller stops it, where it hangs is said, nothing of it runs on, and it can be run again. */
async function stopsAt(step: string, args: string[]): Promise<void> {
  const { code, stderr } = await guest.vgpuGuest(args, { VGPU_GUEST_RUN_TIMEOUT: `${deadlineS}s` });
  expect(code, stderr).toBe(1);
  expect(stderr).toContain(`within ${deadlineS} s (runTimeout), and is at ${step}: it is stopped`);
  expect(stderr).toContain('end what hangs there');
  expect(await leftRunning(guest)).toEqual([]);
  guest.remove(HANGING);
  expect((await guest.vgpuGuest(args)).code).toBe(0);
}

/** A run of this machine's pace has come to where it hangs by then. */
let deadlineS = 0;
beforeEach(async () => {
  const startedMs = performance.now();
  expect((await guest.vgpuGuest(['apply'])).code).toBe(0);
  deadlineS = 5 + Math.ceil((3 * (performance.now() - startedMs)) / 1_000);
});

test('an apply that hangs is stopped by its own deadline', async () => {
  guest.write('/etc/nvidia/gridd.conf', '# emptied by somebody\n');
  hangAt('restart');
  await stopsAt('restart-gridd', ['apply']);
});

test('a change of tokens that hangs is stopped by its own deadline', async () => {
  guest.write('/opt/new.tok', makeToken(), 0o600);
  hangAt('restart');
  await stopsAt('restart-gridd', ['token', 'rotate', '/opt/new.tok']);
});

test('a revert that hangs is stopped by its own deadline', async () => {
  hangAt('stop');
  await stopsAt('return-license', ['revert']);
});
