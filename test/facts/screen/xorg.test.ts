import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openEyes } from '../../../src/guest/open-guest.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

let root: string;
beforeEach(() => {
  root = temporaryFolder();
});

function put(path: string, text: string | Uint8Array = path): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function link(path: string, target: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
}

const collect = () => lookAt(openEyes({ root, env: {} }), configSchema.parse({})).fact('xorg');

describe('the configuration of X', () => {
  it('is nothing on a guest without X', async () => {
    expect(await collect()).toEqual({ dropIns: [], conf: undefined, nvidiaXconfig: false, changedUs: undefined });
  });

  it('is read in the order in which X reads it, hidden files and other names left out', async () => {
    const read = [
      '/usr/share/X11/xorg.conf.d/10-nvidia.conf',
      '/usr/share/X11/xorg.conf.d/20-b.conf',
      '/etc/X11/xorg.conf.d/05-a.conf',
      '/etc/X11/xorg.conf.d/20-b.conf',
    ];
    for (const path of [...read.toReversed(), '/etc/X11/xorg.conf']) put(path);
    for (const name of ['.hidden.conf', '.conf', 'README', 'x.conf.rpmsave', 'X.CONF'])
      put(`/etc/X11/xorg.conf.d/${name}`);
    put('/etc/X11/xorg.conf.d/folder.conf/x.conf');
    expect(await collect()).toEqual({
      dropIns: read.map(path => ({ path, text: path })),
      conf: { path: '/etc/X11/xorg.conf', text: '/etc/X11/xorg.conf' },
      nvidiaXconfig: false,
      changedUs: expect.any(Number),
    });
  });

  it('is the file behind a link, inside the guest', async () => {
    put('/opt/x/site.conf', 'site');
    put('/etc/X11/xorg.conf.gpu', 'gpu');
    link('/etc/X11/xorg.conf', 'xorg.conf.gpu');
    link('/etc/X11/xorg.conf.d/site.conf', '/opt/x/site.conf');
    link('/etc/X11/xorg.conf.d/dangling.conf', '/opt/x/none.conf');
    expect(await collect()).toEqual({
      dropIns: [{ path: '/opt/x/site.conf', text: 'site' }],
      conf: { path: '/etc/X11/xorg.conf.gpu', text: 'gpu' },
      nvidiaXconfig: false,
      changedUs: expect.any(Number),
    });
  });

  it('may lie elsewhere, where X looks when /etc/X11 has none', async () => {
    put('/usr/lib/X11/xorg.conf');
    put('/usr/bin/nvidia-xconfig');
    expect(await collect()).toMatchObject({ conf: { path: '/usr/lib/X11/xorg.conf' }, nvidiaXconfig: true });
    put('/etc/xorg.conf');
    expect(await collect()).toMatchObject({ conf: { path: '/etc/xorg.conf' } });
    put('/etc/X11/xorg.conf');
    expect(await collect()).toMatchObject({ conf: { path: '/etc/X11/xorg.conf' } });
  });

  it('is read byte by byte where it is not UTF-8, as X reads all of it', async () => {
    put('/etc/X11/xorg.conf', Buffer.from('# caf\xe9 \xc3\xa9\n', 'latin1'));
    put('/etc/X11/xorg.conf.d/utf-8.conf', '# café\n');
    expect(await collect()).toMatchObject({
      dropIns: [{ text: '# café\n' }],
      conf: { path: '/etc/X11/xorg.conf', text: '# caf\xe9 \xc3\xa9\n', encoding: 'latin1' },
    });
    expect((await collect()).dropIns[0]).not.toHaveProperty('encoding');
  });

  it('is masked by a link to /dev/null, behind which X looks no further', async () => {
    put('/etc/xorg.conf');
    execFileSync('/usr/bin/mkfifo', [join(root, 'null')]);
    link('/etc/X11/xorg.conf', '/null');
    link('/etc/X11/xorg.conf.d/10.conf', '/null');
    expect(await collect()).toMatchObject({ dropIns: [], conf: { path: '/etc/X11/xorg.conf', text: '' } });
  });

  it('is no more than the 64 files that X opens', async () => {
    for (let n = 100; n < 180; n++) put(`/etc/X11/xorg.conf.d/${n}.conf`);
    expect((await collect()).dropIns.map(({ path }) => path).at(-1)).toBe('/etc/X11/xorg.conf.d/163.conf');
  });
});
