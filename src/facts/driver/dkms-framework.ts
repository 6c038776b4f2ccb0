import type { GuestView } from '../../guest/guest.ts';

const FRAMEWORK = '/etc/dkms/framework.conf';

/** The configuration of DKMS and its drop-ins, in the order in which DKMS reads them. */
export async function frameworkTexts(guest: GuestView): Promise<readonly string[]> {
  const names = (await guest.list(`${FRAMEWORK}.d`)).filter(name => name.endsWith('.conf'));
  const paths = [FRAMEWORK, ...names.map(name => `${FRAMEWORK}.d/${name}`)];
  return (await Promise.all(paths.map(path => guest.readText(path)))).filter(text => text !== undefined);
}
