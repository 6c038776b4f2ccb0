import { execa } from 'execa';

/** Files of a key (PEM) and its certificate (DER), as kernel modules are signed with. */
export interface KeyPair {
  readonly secret: string;
  readonly certificate: string;
}

export async function makeKey({ secret, certificate }: KeyPair, name: string): Promise<void> {
  const kind = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3650', '-subj', `/CN=${name}/`];
  await execa('openssl', ['req', ...kind, '-keyout', secret, '-outform', 'DER', '-out', certificate]);
}
