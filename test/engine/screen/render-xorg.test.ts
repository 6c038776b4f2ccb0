import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configSchema, type Settings } from '../../../src/config/schema.ts';
import { renderXorg } from '../../../src/engine/screen/render-xorg.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeProgram } from '../../helpers/temporary.ts';

const RECORDED = readFileSync(
  new URL('../../fixtures/xorg/nvidia-xconfig-535-h200-1gpu.conf', import.meta.url),
  'utf8',
);
const CONF = '/etc/X11/xorg.conf';

/** nvidia-xconfig 535 wrote this file; $out is where it is told to write. */
async function render(script: string, xorg: Settings['xorg'] = {}) {
  const root = temporaryFolder();
  // biome-ignore lint/suspicious/noTemplateCurlyInString: of the shell
  const words = 'for word in "$@"; do case $word in --output-xconfig=*) out=$GUEST_ROOT${word#*=} ;; esac; done';
  writeProgram(root, 'nvidia-xconfig', `echo "$*" >"$GUEST_ROOT/called"; ${words}\n${script}`);
  const guest = openGuest({ root, env: {} });
  const told: string[] = [];
  const tell = { info() {}, warn: (line: string) => void told.push(line), progress() {} };
  const deed = { kind: 'render-xorg', path: CONF, address: '0001:00:06.0' } as const;
  await renderXorg(guest, configSchema.parse({ xorg }), deed, tell);
  return {
    text: readFileSync(join(root, CONF), 'utf8'),
    called: readFileSync(join(root, 'called'), 'utf8'),
    left: await guest.list('/var/lib/vgpu-guest/nvidia-xconfig'),
    told,
  };
}

const WRITES = `cat >"$out" <<'END'\n${RECORDED}END\n: >"$out.nvidia-xconfig-original"`;

test('nvidia-xconfig writes aside, and its file gets the BusID that it has dropped', async () => {
  const { text, called, left, told } = await render(WRITES, { virtual: '1920x1080' });
  const driver = '    Driver         "nvidia"\n';
  const added = '    Option         "AllowEmptyInitialConfiguration" "True"\n    BusID          "PCI:0@1:6:0"\n';
  expect(text).toBe(
    RECORDED.replace(driver, driver + added).replace('        Depth       24\n', '$&        Virtual     1920 1080\n'),
  );
  expect(called).toBe(
    '--silent --force-generate --busid=PCI:0@1:6:0 --output-xconfig=/var/lib/vgpu-guest/nvidia-xconfig/xorg.conf\n',
  );
  expect([left, told]).toEqual([[], []]);
});

test.each([
  ['fails', 'echo "ERROR: unknown option" >&2; exit 1', 'exit code 1: ERROR: unknown option'],
  ['writes nothing', 'exit 0', 'exit code 0'],
  ['writes what X cannot read', 'echo Section >"$out"', 'what it made is not for one GPU'],
  [
    'writes for two GPUs',
    `${WRITES}; sed 's/Device0/Device1/g; s/Screen0/Screen1/g; s/Layout0/Layout1/' "$out" >"$out.2"; sed -i 's/Screen      0  "Screen0"/&\\n Screen 1 "Screen1"/' "$out"; cat "$out.2" >>"$out"`,
    'what it made is not for one GPU',
  ],
])('a small file is written where nvidia-xconfig %s', async (_what, script, words) => {
  const { text, told } = await render(script);
  expect(text).toMatch(/^# made by vgpu-guest/);
  expect(text).toContain('"PCI:0@1:6:0"');
  expect(told).toEqual([expect.stringContaining(words)]);
});
