import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { resumeUnitText } from '../../src/engine/resume.ts';

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
