import { expect, it } from 'vitest';
import { configSchema } from '../../../src/config/schema.ts';
import { lookAt } from '../../../src/facts/facts.ts';
import { openGuest } from '../../../src/guest/open-guest.ts';
import { temporaryFolder, writeFiles, writeProgram } from '../../helpers/temporary.ts';

const XID = 'NVRM: Xid (PCI:0000:02:00): 78, Guest driver is incompatible with host driver';
const AVC =
  'audit: type=1400 audit(1795194087.1:42): avc:  denied  { read } for  pid=812 comm="nvidia-gridd" name="a.tok"';

async function logOf(programs: Readonly<Record<string, string>>, files: Readonly<Record<string, string>> = {}) {
  const root = temporaryFolder();
  writeFiles(root, files);
  for (const [name, script] of Object.entries(programs)) writeProgram(root, name, script);
  return await lookAt(openGuest({ root }), configSchema.parse({})).fact('kernelLog');
}

const print = (...lines: readonly string[]) => `cat <<'END'\n${lines.join('\n')}\nEND`;

it('of the kernel only what is about the driver is kept', async () => {
  const log = await logOf({
    journalctl: print('Linux version 6.4', XID, 'usb 1-1: nvidia mouse', 'nvidia: loading out-of-tree module', AVC),
  });
  expect(log).toEqual({
    is: 'read',
    from: 'journalctl -b -k',
    driver: [XID, 'nvidia: loading out-of-tree module'],
    denials: [AVC],
  });
});

it('where the journal has nothing, dmesg is asked', async () => {
  const log = await logOf({
    journalctl: 'exit 1',
    dmesg: print(`[    3.141592] ${XID}`, '[    4.000000] nvidia 0000:00:06.0: enabling device'),
  });
  expect(log).toMatchObject({
    from: 'dmesg',
    driver: [expect.stringContaining(XID), expect.stringContaining('enabling device')],
  });
});

it('where neither answers, nobody knows', async () => {
  expect(await logOf({})).toMatchObject({ is: 'unknown' });
});

it('denials are read from the audit log too, and only those of the driver’s programs, its modules and this program', async () => {
  const denied = 'type=AVC msg=audit(1:2): avc:  denied  { open } for  pid=812 comm="nvidia-gridd" path="/opt/a.tok"';
  const module =
    'type=AVC msg=audit(1:4): avc:  denied  { module_load } for  comm="modprobe" path="/usr/lib/modules/6.4/nvidia.ko"';
  const ours = 'type=AVC msg=audit(1:5): avc:  denied  { write } for  comm="vgpu-guest" name="xorg.conf"';
  const strange = 'type=AVC msg=audit(1:3): avc:  denied  { read } for  comm="firefox" name="nvidia0"';
  const text = `${denied}\n${strange}\n${module}\n${ours}\ntype=SYSCALL comm="nvidia-gridd"\n`;
  const programs = { journalctl: print('Linux version 6.4'), tail: 'exec /usr/bin/tail -n "$2" "$GUEST_ROOT$3"' };
  expect(await logOf(programs, { 'var/log/audit/audit.log': text })).toMatchObject({
    driver: [],
    denials: [denied, module, ours],
  });
});

it('a driver that complains without end is kept to its first words and its last', async () => {
  const log = await logOf({ journalctl: 'i=0; while [ $i -lt 3000 ]; do echo "NVRM: line $i"; i=$((i+1)); done' });
  expect(log.is === 'read' && [log.driver.length, log.driver[0], log.driver.at(-1)]).toEqual([
    200,
    'NVRM: line 0',
    'NVRM: line 2999',
  ]);
});
