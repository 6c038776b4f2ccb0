import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const collect = (root: string) => lookAt(openEyes({ root, env: {} }), configSchema.parse({})).fact('screen');

test('a guest without systemd and X has no screen', async () => {
  expect(await collect(temporaryFolder())).toEqual({ graphical: false, displayManager: 'unknown', xServers: [] });
});

test('an X server is one whose process lives', async () => {
  const root = temporaryFolder();
  writeProgram(
    root,
    'systemctl',
    '[ "$*" = "is-active graphical.target display-manager.service" ] && printf "active\\nactivating\\n"',
  );
  writeFiles(root, {
    'tmp/.X0-lock': '       812\n',
    'tmp/.X1-lock': '       999\n',
    'tmp/.X2-lock': 'no number\n',
    'tmp/.X9-lock': '       812\n',
    'proc/812/comm': 'Xorg\n',
  });
  expect(await collect(root)).toEqual({ graphical: true, displayManager: 'activating', xServers: [0] });
});

test('a link, a pipe and a folder in /tmp are no locks of X', async () => {
  const root = temporaryFolder();
  writeFiles(root, { 'etc/secret': '812', 'proc/812/comm': 'Xorg\n', 'tmp/x': '' });
  symlinkSync('/etc/secret', join(root, 'tmp/.X0-lock'));
  mkdirSync(join(root, 'tmp/.X1-lock'));
  execFileSync('/usr/bin/mkfifo', [join(root, 'tmp/.X2-lock')]);
  expect(await collect(root)).toEqual({ graphical: false, displayManager: 'unknown', xServers: [] });
});
