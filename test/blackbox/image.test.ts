import { expect, test } from 'vitest';
import { makeFolderGuest } from '../helpers/folder-guest.ts';

const FIRST_BOOT = 'vgpu-guest-first-boot.service';

test('an image without a GPU gets what its clones would need a reboot for, and no more', async () => {
  using image = makeFolderGuest({ gpus: 0 });
  const first = await image.vgpuGuest(['prepare']);
  expect(first).toMatchObject({ code: 0, stdout: expect.stringContaining('prepared') });
  expect(image.read('/etc/modprobe.d/50-blacklist.conf')).toContain('blacklist nouveau');
  expect(image.read('/etc/nvidia/gridd.conf')).toBeUndefined();
  image.forgetCalls();
  expect(await image.vgpuGuest(['prepare', '--detailed-exitcode'])).toMatchObject({ code: 0 });
  expect(image.calls('change')).toEqual([]);
});

test('what apply finds impossible without a GPU stays impossible for apply', async () => {
  using image = makeFolderGuest({ gpus: 0 });
  await image.vgpuGuest(['prepare']);
  expect(await image.vgpuGuest(['apply'])).toMatchObject({ code: 4, stdout: expect.stringContaining('blocked') });
});

test('a clone of a licensed guest knows nothing of it, and its first boot runs apply', async () => {
  using guest = makeFolderGuest({ license: { delayS: 0.2 } });
  await guest.vgpuGuest(['apply']);
  await guest.reboot();
  guest.write('/var/lib/nvidia/GridLicensing/nested/trusted', 'who this guest is\n');
  guest.write('/opt/elsewhere', 'not of this program\n');
  guest.link('/var/lib/vgpu-guest/elsewhere', '/opt/elsewhere');
  const driver = guest.read('/var/lib/nvidia/log');
  const { code, stdout } = await guest.vgpuGuest(['generalize', '--json']);
  const answer = JSON.parse(stdout);
  expect({ code, answer }).toMatchObject({ code: 0, answer: { kept: [guest.tokenPath], firstBoot: true } });
  expect(
    Object.keys(guest.manifest()).filter(path => /ClientConfigToken\/.|GridLicensing\/nested\/./.test(path)),
  ).toEqual([]);
  expect(guest.read('/var/lib/nvidia/GridLicensing/nested/trusted')).toBeUndefined();
  expect(guest.list('/var/lib/vgpu-guest').filter(name => guest.read(`/var/lib/vgpu-guest/${name}`))).toEqual([]);
  expect(guest.list('/var/log').filter(name => name.startsWith('vgpu-guest'))).toEqual([]);
  expect(guest.read('/opt/elsewhere')).toBe('not of this program\n');
  expect(guest.read('/var/lib/nvidia/log')).toBe(driver);
  expect(guest.list('/etc/systemd/system/multi-user.target.wants')).toContain(FIRST_BOOT);
  expect(guest.read('/etc/systemd/system-preset/10-vgpu-guest.preset')).toContain(`enable ${FIRST_BOOT}\n`);
  expect(guest.read(`/etc/systemd/system/${FIRST_BOOT}`)).toMatch(/^ExecStart=.* apply --resume$/m);
  // what the unit runs in a clone
  expect(await guest.vgpuGuest(['apply', '--resume'])).toMatchObject({ code: 0 });
  expect((await guest.vgpuGuest(['status'])).stdout).toContain('licensed');
});

test('generalizing twice takes nothing away the second time', async () => {
  using guest = makeFolderGuest({ gpus: 0 });
  await guest.vgpuGuest(['prepare']);
  await guest.vgpuGuest(['generalize']);
  const { stdout } = await guest.vgpuGuest(['generalize', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ removed: [] });
});
