import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { Vm } from './vm.ts';

/** This machine's loopback, as a guest sees it. */
const HERE = '10.0.2.2';
const LIMIT_MS = 5 * 60_000;
const FETCH = 'import sys, urllib.request; urllib.request.urlretrieve(sys.argv[1], sys.argv[2])';

/** A file of this machine, however large, at a path of the guest: over its network, since the agent's line takes minutes for it. */
export async function handOver(vm: Vm, from: string, to: string): Promise<void> {
  const { size } = await stat(from);
  const server = createServer((_request, response) => {
    response.setHeader('content-length', size);
    // a guest that has gone away is known by its verb
    pipeline(createReadStream(from), response).catch(() => undefined);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    await vm.succeed(['python3', '-c', FETCH, `http://${HERE}:${port}/`, to], { deadlineMs: LIMIT_MS });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
