import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import type { Enactable } from '../../src/engine/enact.ts';
import { lookAgain } from '../../src/engine/look-again.ts';
import { collect, lookAt } from '../../src/facts/facts.ts';
import { openEyes } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../helpers/temporary.ts';

const because = 'it is due';
const WRITE: Enactable = { kind: 'write', path: '/etc/nvidia/gridd.conf', text: '', because };
const RESTART: Enactable = { kind: 'service', unit: 'nvidia-gridd.service', action: 'restart', because };
const MODPROBE: Enactable = { kind: 'run', argv: ['modprobe', 'nvidia'], timeoutMs: 1, because };
const INSTALL: Enactable = { kind: 'install-packages', packages: ['dkms'], because };

test.each<[string, readonly Enactable[], number]>([
  ['a file and a daemon is not asked of DKMS again', [WRITE, RESTART], 1],
  ['a program that loads modules is asked of DKMS again', [MODPROBE], 2],
  ['packages, whatever else was done, is asked of DKMS again', [WRITE, INSTALL], 2],
])('a guest whose change was one of %s', async (_what, done, times) => {
  const root = temporaryFolder();
  writeFiles(root, {
    'proc/sys/kernel/osrelease': '6.4.0\n',
    'var/lib/dkms/nvidia/original_module/a.ko': '',
    asked: '',
  });
  writeProgram(root, 'dkms', 'echo asked >>"$GUEST_ROOT/asked"');
  const before = lookAt(openEyes({ root, env: {} }), configSchema.parse({}));
  await collect(before, ['driver', 'gridd']);
  writeFiles(root, { 'sys/module/nvidia/version': '570.211.01\n' });
  const after = lookAgain(before, done);
  expect((await after.fact('driver')).loaded).toBe('570.211.01');
  expect(readFileSync(join(root, 'asked'), 'utf8')).toBe('asked\n'.repeat(times));
});
