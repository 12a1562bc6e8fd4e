// The worker's door for connections that the primary accepted: makes a socket of the handle, lets sticky inject it into
// the HTTP server, and tells the primary when it is over.
import { EventEmitter } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { Socket } from 'node:net';
import { setupWorker } from '@socket.io/sticky';
import type { WorkerLink } from './worker-link.ts';

/**
 * Serves the public port's connections with `httpServer`, which itself never listens. At most once per process and
 * before the link says ready.
 */
export function serveAssignedConnections(httpServer: HttpServer, link: WorkerLink): void {
  // Sticky would learn of sessions from an engine.io server; here the link's bindSid tells the primary instead.
  setupWorker({ httpServer, engine: new EventEmitter() } as unknown as Parameters<typeof setupWorker>[0]);
  // Node checks headersTimeout and requestTimeout only from 'listening' on, and this server never listens.
  httpServer.emit('listening');
  const onClose = (): void => link.connectionClosed();
  link.onAssigned((head, handle) => {
    if (!isSocketHandle(handle)) {
      // The primary counted it already.
      link.connectionClosed();
      return;
    }
    // manualStart: not a byte is read before the HTTP server listens to the socket. As http.Server would, half-open.
    const socket = new Socket({
      handle,
      readable: true,
      writable: true,
      allowHalfOpen: true,
      manualStart: true,
    } as SocketOptions);
    socket.once('close', onClose);
    // http.Server does so for sockets that it accepts itself.
    socket.setNoDelay(true);
    process.emit('message', { type: 'sticky:connection', data: head }, socket as never);
  });
}

/** Listens on an address that all workers share through node:cluster, and says where. */
export function listenShared(
  httpServer: HttpServer,
  address: { readonly host: string | undefined; readonly port: number },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const { host, port } = address;
    httpServer.once('error', reject);
    httpServer.listen({ port, backlog: 4096, ...(host === undefined ? {} : { host }) }, () => {
      httpServer.off('error', reject);
      const bound = httpServer.address();
      resolve(typeof bound === 'object' && bound !== null ? `${bound.address}:${bound.port}` : String(bound));
    });
  });
}

// Options that Node documents only in part.
type SocketOptions = ConstructorParameters<typeof Socket>[0];
type SocketHandle = NonNullable<SocketOptions> & { readonly fd: number };

function isSocketHandle(handle: unknown): handle is SocketHandle {
  return typeof handle === 'object' && handle !== null && 'readStart' in handle;
}
