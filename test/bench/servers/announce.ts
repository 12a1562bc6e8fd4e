// How a server program of the benchmark says that it is ready.
import type { Server } from 'node:http';

export function announce(port: number): void {
  process.stdout.write(`listening ${port}\n`);
}

/** Room for a burst of connects. */
const BACKLOG = 4096;

/** Listens on a free loopback port and calls back with it. */
export function listen(http: Server, onPort: (port: number) => void): void {
  http.listen(0, '127.0.0.1', BACKLOG, () => {
    const address = http.address();
    if (typeof address === 'object' && address !== null) onPort(address.port);
  });
}
