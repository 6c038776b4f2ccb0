import { generateKeyPairSync, sign } from 'node:crypto';
import { makeToken } from './token.ts';

/** Right to look at, and signed with a longer key than the stand-in daemon takes: it ends at it as at any bad token. */
export function makeRefusedToken(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 3072 });
  const signed = makeToken().split('.').slice(0, 2).join('.');
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), privateKey).toString('base64url')}`;
}
