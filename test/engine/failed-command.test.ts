import { expect, test } from 'vitest';
import { failedCommand } from '../../src/engine/failed-command.ts';

const AGAIN = 'run the same command of vgpu-guest again';

test.each([
  [
    1,
    'zypper remove gcc ended with exit code 1',
    `see what it says, run zypper remove gcc by hand until it ends well, then ${AGAIN}`,
  ],
  [127, 'zypper is not there', `reinstall the package that zypper belongs to, then ${AGAIN}`],
  [
    137,
    'zypper remove gcc ended with exit code 137 (SIGKILL)',
    `journalctl -b -k says whether the kernel killed zypper for want of memory; then ${AGAIN}`,
  ],
  [
    139,
    'zypper remove gcc ended with exit code 139 (SIGSEGV)',
    `see whether zypper remove gcc crashes by hand as well, and reinstall zypper if so; then ${AGAIN}`,
  ],
])('a program that ends with exit code %i leaves a remedy', (code, message, remedy) => {
  const { message: said, remedy: helps } = failedCommand(['zypper', 'remove', 'gcc'], { code, stdout: '', stderr: '' });
  expect([said, helps]).toEqual([message, remedy]);
});

test('a step that knows more than the exit code says so instead', () => {
  const outcome = { code: 1, stdout: '', stderr: 'No space left on device' };
  expect(failedCommand(['dracut'], outcome, 'make room in /boot')).toMatchObject({
    message: 'dracut ended with exit code 1\n  No space left on device',
    remedy: 'make room in /boot',
  });
});
