import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';

/** A client configuration token: a real RS256 signature over the claims that NVIDIA's tokens carry. */
export function makeToken(given: { expired?: boolean; host?: string } = {}): string {
  const { expired = false, host = 'api.cls.licensing.nvidia.com' } = given;
  key ??= generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const issuedS = Math.floor(Date.now() / 1000) - 3600;
  const claims = {
    jti: randomUUID(),
    iss: 'NLS Service Instance',
    aud: 'NLS Licensed Client',
    iat: issuedS,
    nbf: issuedS,
    exp: expired ? issuedS + 60 : issuedS + 12 * 365 * 86_400,
    protocol_version: '2.0',
    update_mode: 'ABSOLUTE',
    scope_ref_list: [randomUUID()],
    fulfillment_class_ref_list: [],
    service_instance_configuration: {
      nls_service_instance_ref: randomUUID(),
      svc_port_set_list: [
        {
          idx: 0,
          d_name: 'CLS',
          svc_port_map: [
            { service: 'auth', port: 443 },
            { service: 'lease', port: 443 },
          ],
        },
      ],
      node_url_list: [{ idx: 0, url: host, url_qr: host, svc_port_set_idx: 0 }],
    },
    service_instance_public_key_configuration: {
      service_instance_public_key_me: { mod: 'c0ffee', exp: 65_537 },
      service_instance_public_key_pem: '-----BEGIN PUBLIC KEY-----\nstand-in\n-----END PUBLIC KEY-----',
      key_retention_mode: 'LATEST_ONLY',
    },
  };
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), key).toString('base64url')}`;
}

let key: KeyObject | undefined;
