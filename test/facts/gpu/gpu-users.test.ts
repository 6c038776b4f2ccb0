import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { buildStandInRun } from '../../helpers/stand-in-run.ts';
import { temporaryFolder, writeFiles } from '../../helpers/temporary.ts';

const run = buildStandInRun({ version: '570.211.01' });

function users(loaded: string | undefined) {
  const root = temporaryFolder();
  const process = (pid: number, name: string, unit: string) => ({
    [`proc/${pid}/comm`]: `${name}\n`,
    [`proc/${pid}/cgroup`]: `0::${unit}\n`,
  });
  writeFiles(root, {
    ...(loaded ? { 'sys/module/nvidia/version': `${loaded}\n` } : {}),
    ...process(1, 'systemd', '/init.scope'),
    ...process(812, 'nvidia-gridd', '/system.slice/nvidia-gridd.service'),
    ...process(4711, 'python3', '/system.slice/jupyter.service'),
    ...process(4712, 'bash', '/user.slice/user-0.slice/session-3.scope'),
    'proc/meminfo': '',
    [`opt/${run.name}`]: run.bytes.toString('latin1'),
  });
  for (const [pid, device] of [
    [812, '/dev/nvidiactl'],
    [4711, '/dev/nvidia0'],
    [4712, '/dev/null'],
  ] as const) {
    mkdirSync(join(root, `proc/${pid}/fd`), { recursive: true });
    symlinkSync('/dev/null', join(root, `proc/${pid}/fd/0`));
    symlinkSync(device, join(root, `proc/${pid}/fd/3`));
  }
  const config = configSchema.parse({ driver: { package: `/opt/${run.name}` } });
  return lookAt(openEyes({ root, env: {} }), config).fact('gpuUsers');
}

test('who keeps the old driver in memory is named, but for the daemons that are stopped anyway', async () => {
  expect(await users('550.54.14')).toEqual([
    { pid: 4711, name: 'python3', unit: 'jupyter.service', device: '/dev/nvidia0' },
  ]);
});

test.each(['570.211.01', undefined])('nobody is looked for where no driver is to be replaced (%s)', async loaded => {
  expect(await users(loaded)).toEqual([]);
});
