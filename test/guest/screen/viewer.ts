import { createCipheriv } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** What a VNC server of this machine says to a viewer (RFC 6143). */
export interface Viewed {
  /** Security types that it offers: 1 asks for nothing, 2 for a password. */
  readonly security: readonly number[];
  readonly admitted: boolean;
  /** Of a viewer that was admitted. */
  readonly size?: string;
}

const VERSION = 'RFB 003.008\n';
const NONE = 1;
const PASSWORD = 2;
const LIMIT_MS = 20_000;
/** By which every VNC program hides a password in its file. */
const FILE_KEY = Buffer.from([23, 82, 107, 6, 35, 78, 88, 7]);

/** A password as `x11vnc -storepasswd` writes it. */
export function passwordFile(password: string): Buffer {
  return des(FILE_KEY, padded(password));
}

/** Shakes hands with a server, as far as it lets a viewer with this password. */
export async function view(port: number, password: string, host = '127.0.0.1'): Promise<Viewed> {
  const socket = connect(port, host);
  socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error(`nothing came from port ${port} within ${LIMIT_MS} ms`)));
  try {
    await once(socket, 'connect');
    const read = reader(socket);
    const version = (await read(VERSION.length)).toString();
    if (version !== VERSION) throw new Error(`port ${port} does not speak RFB 3.8: ${version}`);
    socket.write(VERSION);
    const security = [...(await read((await read(1))[0] ?? 0))];
    if (!security.includes(PASSWORD)) return { security, admitted: security.includes(NONE) };
    socket.write(Buffer.from([PASSWORD]));
    socket.write(des(padded(password), await read(16)));
    if ((await read(4)).readUInt32BE() !== 0) return { security, admitted: false };
    const shared = 1;
    socket.write(Buffer.from([shared]));
    const size = await read(4);
    return { security, admitted: true, size: `${size.readUInt16BE(0)}x${size.readUInt16BE(2)}` };
  } finally {
    socket.destroy();
  }
}

/** Takes so many bytes after those that were taken before. */
function reader(socket: Socket): (length: number) => Promise<Buffer> {
  return async length => {
    for (;;) {
      const chunk = length === 0 ? Buffer.alloc(0) : socket.read(length);
      if (chunk !== null) return chunk;
      if (socket.readableEnded || socket.destroyed) throw new Error('the server has hung up');
      await Promise.race([once(socket, 'readable'), once(socket, 'end')]);
    }
  };
}

function padded(password: string): Buffer {
  return Buffer.concat([Buffer.from(password), Buffer.alloc(8)]).subarray(0, 8);
}

/** VNC takes the bits of each byte of a key the other way round. Three times the same key make one DES of a triple one. */
function des(key: Buffer, block: Buffer): Buffer {
  const turned = Buffer.from(
    key.map(byte => Number.parseInt(byte.toString(2).padStart(8, '0').split('').reverse().join(''), 2)),
  );
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([turned, turned, turned]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}
