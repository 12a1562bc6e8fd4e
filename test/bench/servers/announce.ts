// How a server program of the benchmark says that it is ready.
import type { Server } from 'node:net';

export function announce(port: number): void {
  process.stdout.write(`listening ${port}\n`);
}

/** Room for a burst of connects. */
const BACKLOG = 4096;

/** Listens on a free loopback port and calls back with it. */
export function listen(server: Server, onPort: (port: number) => void): void {
  server.listen(0, '127.0.0.1', BACKLOG, () => {
    const address = server.address();
    if (typeof address === 'object' && address !== null) onPort(address.port);
  });
}
