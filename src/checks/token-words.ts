import { dirname } from 'node:path/posix';
import type { Config } from '../config/schema.ts';
import type { Facts } from '../facts/facts.ts';
import type { Found } from './check.ts';

const CONFIG_FILE = '/etc/vgpu-guest/config.yaml';

/** Why no token is where nvidia-gridd looks, and what to do. */
export function whyMissing({ license }: Config, { is, path }: Facts['tokenFiles']): Pick<Found, 'cause' | 'remedy'> {
  if (is === 'file') {
    const isPlace = path === license.tokenDirectory.replace(/(?<=.)\/+$/, '');
    return {
      cause: isPlace
        ? 'a file was put in the place of the directory; cp makes one where the directory is not there yet'
        : 'ClientConfigTokenPath in gridd.conf names a file',
      remedy: license.token
        ? 'vgpu-guest apply moves the file out of the way and puts the token there'
        : isPlace
          ? `mv ${path} ${path}.tok && mkdir ${path} && mv ${path}.tok ${path}/ && systemctl restart nvidia-gridd`
          : `let it name the directory, ${dirname(path)}, which should hold nothing but the token, then systemctl restart nvidia-gridd; or set license.token in ${CONFIG_FILE} to the file and run vgpu-guest apply`,
    };
  }
  if (license.token) {
    return {
      cause: 'the token that is configured has not been put there yet',
      remedy: 'vgpu-guest apply puts it there',
    };
  }
  return {
    cause:
      'nobody has put one there, or ClientConfigTokenPath in gridd.conf names another directory; a cloud that brings the license by itself needs none',
    remedy: `get a client configuration token from the licensing portal (or from your DLS), set license.token in ${CONFIG_FILE} to it, and run vgpu-guest apply`,
  };
}

/** By what was seen of the file; what happened to it was not seen. */
export function whyUnusable(because: string): string {
  if (because === 'is not there') {
    return 'license.token names a file that nobody has put there, or another path than was meant';
  }
  if (/^is (?:a directory|no regular file|a link that leads nowhere|larger than)/.test(because)) {
    return 'another path may have been meant; nvidia-gridd takes everything in its directory for a token';
  }
  return 'it may have been changed on its way (a login page saved in its place, an editor, a mail program), or it is another file; nvidia-gridd takes every file in its directory for a token and ends at one that is none';
}
