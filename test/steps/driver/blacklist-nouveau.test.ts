import { expect, test } from 'vitest';
import type { Config } from '../../../src/config/schema.ts';
import type { BlacklistFact } from '../../../src/facts/driver/blacklist.ts';
import { FAMILIES } from '../../../src/facts/families.ts';
import type { SystemFact } from '../../../src/facts/system.ts';
import { blacklistNouveau } from '../../../src/steps/driver/blacklist-nouveau.ts';

const PATH = '/etc/modprobe.d/50-blacklist.conf';
const system: SystemFact = {
  name: 'SLES',
  version: '15.6',
  family: FAMILIES[0],
  kernel: 'k',
  bootId: 'b',
  readOnly: undefined,
  nowUs: 0,
};
const holder = {
  path: '/usr/lib/modprobe.d/nvidia-installer-disable-nouveau.conf',
  text: 'blacklist nouveau\n',
  changedUs: 1,
};

function judge(blacklist: Partial<BlacklistFact>, over: Partial<SystemFact> = {}) {
  return blacklistNouveau.judge(
    {} as Config,
    {
      system: { ...system, ...over },
      gpus: [{ address: '0000:00:06.0', device: '2236', kind: 'vga', driver: 'nouveau', mode: 'vgpu' }],
      smi: { answers: false, problem: 'nvidia-smi is not there', code: 127 },
      blacklist: { own: { path: PATH, text: undefined }, rivals: ['nouveau'], holders: new Map(), ...blacklist },
    },
    new Set(),
  );
}

test('a guest without a blacklist gets the file of its distribution', () => {
  expect(judge({})).toEqual({
    is: 'due',
    changes: [
      {
        kind: 'write',
        path: PATH,
        text: '# vgpu-guest: the NVIDIA driver needs the GPU for itself\nblacklist nouveau\noptions nouveau modeset=0\n',
        because: 'nothing keeps nouveau from taking the GPU at boot',
      },
    ],
  });
});

test('an existing file keeps everything that is in it', () => {
  const text = '#\n# modules that are not loaded by alias\n#\n\nblacklist radeonfb\n';
  const verdict = judge({ own: { path: PATH, text } });
  const [change] = verdict.is === 'due' ? verdict.changes : [];
  expect(
    change?.kind === 'write' &&
      change.text
        .split('\n')
        .filter(line => !/nouveau|vgpu-guest/.test(line))
        .join('\n'),
  ).toBe('#\n# modules that are not loaded by alias\n#\n\n\nblacklist radeonfb\n');
});

test('a blacklist in any file that modprobe reads is enough', () => {
  expect(judge({ holders: new Map([['nouveau', holder]]) })).toEqual({
    is: 'settled',
    because: `nouveau is blacklisted in ${holder.path}`,
  });
});

test('a kernel with nova gets nova blacklisted as well', () => {
  const verdict = judge({ rivals: ['nouveau', 'nova_core', 'nova_drm'], holders: new Map([['nouveau', holder]]) });
  const [change] = verdict.is === 'due' ? verdict.changes : [];
  expect(change).toMatchObject({
    text: '# vgpu-guest: the NVIDIA driver needs the GPU for itself\nblacklist nova_core\nblacklist nova_drm\n',
  });
});

test('an unknown distribution is refused before its files are touched', () => {
  expect(judge({}, { name: 'Alpine Linux v3.20', family: undefined }).is).toBe('blocked');
});
