import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';

export interface TokenOptions {
  readonly expired?: boolean;
  /** The one node, unless `nodes` names several. */
  readonly host?: string;
  readonly ports?: TokenPorts;
  /** Nodes of the service in the order in which they are asked. */
  readonly nodes?: readonly { readonly host: string; readonly ports?: TokenPorts }[];
  /** The RSA key that signs, and whose public half a stand-in daemon finds in the token. */
  readonly key?: KeyObject;
  /** Seconds since 1970. */
  readonly notBeforeS?: number;
  readonly expiresS?: number;
}

interface TokenPorts {
  readonly auth: number;
  readonly lease: number;
}

/**
 * A client configuration token: a real RS256 signature over the claims that NVIDIA's tokens carry. The public key is in the header,
 * as any JWS may have it; where NVIDIA's daemon looks for one there is none, so that it takes no token from here.
 */
export function makeToken(given: TokenOptions = {}): string {
  const { expired = false, host = 'api.cls.licensing.nvidia.com', ports = { auth: 443, lease: 443 } } = given;
  const { nodes = [{ host }], key = usualKey() } = given;
  const issuedS = Math.floor(Date.now() / 1000) - 3600;
  const claims = {
    jti: randomUUID(),
    iss: 'NLS Service Instance',
    aud: 'NLS Licensed Client',
    iat: issuedS,
    nbf: given.notBeforeS ?? issuedS,
    exp: given.expiresS ?? (expired ? issuedS + 60 : issuedS + 12 * 365 * 86_400),
    protocol_version: '2.0',
    update_mode: 'ABSOLUTE',
    scope_ref_list: [randomUUID()],
    fulfillment_class_ref_list: [],
    service_instance_configuration: {
      nls_service_instance_ref: randomUUID(),
      svc_port_set_list: nodes.map((node, idx) => ({
        idx,
        d_name: 'CLS',
        svc_port_map: Object.entries(node.ports ?? ports).map(([service, port]) => ({ service, port })),
      })),
      node_url_list: nodes.map((node, idx) => ({ idx, url: node.host, url_qr: node.host, svc_port_set_idx: idx })),
    },
    service_instance_public_key_configuration: {
      service_instance_public_key_me: { mod: 'c0ffee', exp: 65_537 },
      service_instance_public_key_pem: '-----BEGIN PUBLIC KEY-----\nstand-in\n-----END PUBLIC KEY-----',
      key_retention_mode: 'LATEST_ONLY',
    },
  };
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const { kty, n, e } = key.export({ format: 'jwk' });
  const signed = `${part({ alg: 'RS256', typ: 'JWT', jwk: { kty, n, e } })}.${part(claims)}`;
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), key).toString('base64url')}`;
}

/** A key with which tokens are signed. */
export function makeKey(): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
}

/** Made when it is first wanted: a key takes its time. */
function usualKey(): KeyObject {
  madeKey ??= makeKey();
  return madeKey;
}

let madeKey: KeyObject | undefined;
