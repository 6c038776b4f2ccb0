import { createServer as createPlain, type RequestListener } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { makeAuthority } from './certificate.ts';

export interface Web {
  /** The certificate, as PEM, that a guest must trust. */
  readonly authority: string;
  /** `https://localhost:PORT` */
  readonly origin: string;
  readonly port: number;
  /** Paths that were asked for, with what stands after the `?`. */
  readonly asked: readonly string[];
}

/** A web server on this machine, gone when the test is over; its certificate is by an authority of its own. */
export async function serveWeb(
  answer: RequestListener,
  { names = ['localhost'], ...valid }: { names?: readonly string[]; fromDays?: number; toDays?: number } = {},
): Promise<Web> {
  const authority = makeAuthority();
  const asked: string[] = [];
  const server = createServer(authority.issue(names, valid), (request, response) => {
    asked.push(request.url ?? '');
    answer(request, response);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { authority: authority.pem, origin: `https://localhost:${port}`, port, asked };
}

/** A proxy that makes a tunnel for whoever asks for one; `tunnels` is where to. */
export async function serveProxy(): Promise<{ readonly origin: string; readonly tunnels: readonly string[] }> {
  const tunnels: string[] = [];
  const sockets = new Set<Socket>();
  const proxy = createPlain();
  proxy.on('connect', (request, socket: Socket) => {
    tunnels.push(request.url ?? '');
    const target = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
    for (const each of [socket, target]) {
      sockets.add(each);
      each.on('error', () => each.destroy());
    }
  });
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  return { origin: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, tunnels };
}
