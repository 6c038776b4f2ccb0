import { describe, expect, test } from 'vitest';
import type { Change } from '../../src/change.ts';
import { loadConfig } from '../../src/config/load.ts';
import { type Enactable, enact } from '../../src/engine/enact.ts';
import { openGuest } from '../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles } from '../helpers/temporary.ts';

const because = 'it is asked for';
const DRIVER = { argv: ['sh'], log: '/var/log/a.log', version: '570.1', because } as const;
const CLOUD_INIT = {
  'proc/812/comm': 'cloud-init\n',
  'var/log/cloud-init.log': 'handlers.py[DEBUG]: start: modules-final/config-package_update_upgrade_install: running\n',
};

/** Each changes what its neighbour is at work on. */
const BESIDE: readonly (readonly [string, Enactable, Readonly<Record<string, string>>])[] = [
  ['no package is installed while cloud-init', { kind: 'install-packages', packages: ['gcc'], because }, CLOUD_INIT],
  ['no package is removed while cloud-init', { kind: 'remove-packages', packages: ['gcc'], because }, CLOUD_INIT],
  [
    'no initrd is built while dracut',
    { kind: 'rebuild-initrd', kernel: '6.4', image: '/boot/initrd-6.4', builder: 'dracut', because },
    { 'proc/812/comm': 'dracut\n' },
  ],
  [
    'no driver is installed while akmods',
    {
      kind: 'install-driver',
      ...DRIVER,
      package: { path: '/opt/a.run', sha256: undefined },
      workshop: '/var/lib/vgpu-guest/unpacked',
      leaveGraphical: false,
    } as Extract<Change, { kind: 'install-driver' }>,
    { 'proc/812/comm': 'akmods\n' },
  ],
  [
    'no driver is removed while akmods',
    { kind: 'remove-driver', ...DRIVER, leaveGraphical: false },
    { 'proc/812/comm': 'akmods\n' },
  ],
  [
    'no module is built while another dkms',
    { kind: 'run', argv: ['dkms', 'install'], timeoutMs: 1_000, because },
    { 'proc/812/comm': 'dkms\n' },
  ],
];

describe('beside another program', () => {
  test.each(BESIDE)('%s is at work', async (_, change, files) => {
    const root = temporaryFolder();
    writeFiles(root, files);
    const enacting = enact(change, {
      guest: openGuest({ root, env: {} }),
      config: loadConfig({ path: '/etc/vgpu-guest/config.yaml', text: 'lockTimeout: 0s\n' }, []),
      family: undefined,
      tell: { info() {}, warn() {}, progress() {} },
      stop: new AbortController().signal,
    });
    await expect(enacting).rejects.toMatchObject({
      fault: 'busy',
      message: expect.stringContaining('(process 812) is at work on this guest'),
    });
  });
});
