import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { endResume, resumeUnitText } from '../../src/engine/resume.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeProgram } from '../helpers/temporary.ts';

const template = readFileSync(new URL('../../units/vgpu-guest-resume.service', import.meta.url), 'utf8');

test('the unit starts the very program that wrote it, each word as systemd reads it', () => {
  const text = resumeUnitText(template, ['/usr/lib/node 24/bin/node', '/opt/100%/vgpu "guest"/$x.mjs']);
  expect(text).toContain(
    '\nExecStart="/usr/lib/node 24/bin/node" "/opt/100%%/vgpu \\"guest\\"/$$x.mjs" apply --resume\n',
  );
  expect(text.match(/^ExecStart=/gm)).toHaveLength(1);
});

test('plain words stay plain', () => {
  expect(resumeUnitText(template, ['/usr/bin/vgpu-guest'])).toContain(
    '\nExecStart=/usr/bin/vgpu-guest apply --resume\n',
  );
});

test.each([
  ['systemctl knows no more', 'echo "Failed to disable unit: Unit file does not exist." >&2; exit 1'],
  ['systemctl says to have disabled and has not', ''],
])('a resume unit that %s is gone all the same', async (_, systemctl) => {
  const root = temporaryFolder();
  writeProgram(root, 'systemctl', systemctl);
  mkdirSync(join(root, WANTS), { recursive: true });
  symlinkSync('../vgpu-guest-resume.service', join(root, WANTS, 'vgpu-guest-resume.service'));
  await endResume(openGuest({ root, env: {} }), 'forget-marker');
  expect(readdirSync(join(root, WANTS))).toEqual([]);
});

const WANTS = 'etc/systemd/system/multi-user.target.wants';
