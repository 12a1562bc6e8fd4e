// The worker's door for connections that the primary accepted: makes a socket of the handle, lets sticky inject it into
// the HTTP server, and tells the primary when it is over.
import { EventEmitter } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { Socket } from 'node:net';
import { setupWorker } from '@socket.io/sticky';
import { isConnectionHandle } from '../util/native-handle.ts';
import type { WorkerLink } from './worker-link.ts';

/**
 * Serves the public port's connections with `httpServer`, which itself never listens. At most once per process and
 * before the link says ready.
 */
export function serveAssignedConnections(httpServer: HttpServer, link: WorkerLink): void {
  // Sticky would learn of sessions from an engine.io server; here the link's bindSid tells the primary instead.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all that it needs of a server is there
  setupWorker({ httpServer, engine: new EventEmitter() } as unknown as Parameters<typeof setupWorker>[0]);
  // Node checks headersTimeout and requestTimeout only from 'listening' on, and this server never listens.
  httpServer.emit('listening');
  const onClose = (): void => link.connectionClosed();
  link.onAssigned((head, handle) => {
    if (!isConnectionHandle(handle)) {
      // The primary counted it already.
      link.connectionClosed();
      return;
    }
    // manualStart: not a byte is read before the HTTP server listens to the socket. As http.Server would, half-open.
    const options = { handle, readable: true, writable: true, allowHalfOpen: true, manualStart: true };
    const socket = new Socket(options);
    socket.once('close', onClose);
    // http.Server does so for sockets that it accepts itself.
    socket.setNoDelay(true);
    process.emit('message', { type: 'sticky:connection', data: head }, socket);
  });
}
