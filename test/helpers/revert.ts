import type { FolderGuest } from './folder-guest.ts';

/** Lets a bare guest be what the programs of its distribution make of it anyway, so that it can be compared byte by byte. */
export async function settleBare(guest: FolderGuest): Promise<void> {
  // a system without a single enabled unit does not boot
  for (const target of ['multi-user', 'graphical'])
    guest.link(`/etc/systemd/system/${target}.target.wants/sshd.service`, '/usr/lib/systemd/system/sshd.service');
  const image = guest.list('/boot').find(name => /^initr/.test(name)) ?? '';
  if (guest.read('/usr/bin/dracut') === undefined) await guest.run('mkinitramfs', '-o', `/boot/${image}`, guest.kernel);
  else await guest.run('dracut', '--force', `/boot/${image}`, guest.kernel);
  guest.write(`/boot/${image}`, guest.read(`/boot/${image}`) ?? '', 0o600);
  await guest.run('depmod', '-a');
  guest.forgetCalls();
}

/** What DKMS keeps for itself when a module goes: its signing key, which may be enrolled, and empty folders. */
const OF_DKMS = /^\/var\/lib\/dkms(\/mok\.(key|pub))?$|^\/(usr\/)?lib\/modules\/[^/]+\/(updates(\/dkms)?|extra)$/;

/** The guest's tree without that; `but`: what else may differ. */
export function treeOf(guest: FolderGuest, but = /^$/): Readonly<Record<string, string>> {
  const tree = Object.entries(guest.manifest()).filter(([path]) => !OF_DKMS.test(path) && !but.test(path));
  return Object.fromEntries(tree);
}
