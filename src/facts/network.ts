import type { GuestView } from '../guest/guest.ts';
import type { Look } from './facts.ts';

/** The guest's network interfaces, and the proxies that its system knows of. */
export interface NetworkFact {
  readonly interfaces: readonly NetworkInterface[];
  /** Settings of a web proxy, without what it asks of its users. */
  readonly proxies: readonly { readonly at: string; readonly shows: string }[];
}

interface NetworkInterface {
  readonly name: string;
  /** Behind it is a device, real or of the hypervisor; a bridge or a container's end of a pair has none. */
  readonly device: boolean;
  readonly mac: string;
}

const INTERFACES = '/sys/class/net';
/** /etc/sysconfig/proxy is SUSE's. */
const PROXY_FILES = ['/etc/environment', '/etc/sysconfig/proxy'];

export async function collectNetwork({ guest }: Look): Promise<NetworkFact> {
  const names = (await guest.list(INTERFACES)).filter(name => name !== 'lo');
  const [interfaces, proxies] = await Promise.all([
    Promise.all(names.map(name => lookAt(guest, name))),
    Promise.all(PROXY_FILES.map(path => proxiesIn(guest, path))),
  ]);
  return { interfaces: interfaces.filter(found => found !== undefined), proxies: proxies.flat() };
}

async function lookAt(guest: GuestView, name: string): Promise<NetworkInterface | undefined> {
  const at = `${INTERFACES}/${name}`;
  // bonding keeps a plain file among the interfaces
  if ((await guest.stat(at))?.kind !== 'directory') return undefined;
  const [mac, device] = await Promise.all([guest.readText(`${at}/address`), guest.stat(`${at}/device`)]);
  return { name, device: device !== undefined, mac: mac?.trim() ?? '' };
}

async function proxiesIn(guest: GuestView, path: string): Promise<NetworkFact['proxies']> {
  const text = (await guest.readText(path)) ?? '';
  if (/^PROXY_ENABLED="?no"?/m.test(text)) return [];
  const found = [...text.matchAll(/^\s*(?:export\s+)?(https?_proxy)\s*=\s*"?([^"\s]+)"?/gim)];
  return found.map(([, key, url]) => ({ at: path, shows: `${key}=${withoutUser(url ?? '')}` }));
}

/** `http://user:secret@proxy:3128` → `http://***@proxy:3128` */
function withoutUser(url: string): string {
  return url.replace(/^([a-z]+:\/\/)?.*@/i, '$1***@');
}
