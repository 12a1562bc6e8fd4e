// The worker's door for connections that the primary accepted: makes a socket of the handle, lets sticky inject it into
// the HTTP server, and tells the primary when it is over.
import { EventEmitter } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { Socket } from 'node:net';
import { setupWorker } from '@socket.io/sticky';
import { type ConnectionHandle, isConnectionHandle } from '../../util/native-handle.ts';
import type { WorkerLink } from '../worker-link.ts';

/**
 * Serves the public port's connections with `httpServer`, and those of the internal port with the other one; they themselves
 * never listen. `onOwn` is told of those that are the primary's own before they are served. At most once per process and before
 * the link says ready.
 */
export function serveAssignedConnections(
  httpServer: HttpServer,
  internalServer: HttpServer | undefined,
  link: WorkerLink,
  onOwn: (socket: Socket) => void = () => undefined,
): void {
  // Sticky would learn of sessions from an engine.io server; here the link's report tells the primary instead.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all that it needs of a server is there
  setupWorker({ httpServer, engine: new EventEmitter() } as unknown as Parameters<typeof setupWorker>[0]);
  // Node checks headersTimeout and requestTimeout only from 'listening' on, and this server never listens.
  httpServer.emit('listening');
  internalServer?.emit('listening');
  const onClientGone = (): void => link.connections.closed();
  const onRequestOver = (): void => link.connections.answered();
  link.onAssigned(({ head, door, isClient, isOwn }, handle) => {
    if (door === 'internal') {
      if (isConnectionHandle(handle)) internalServer?.emit('connection', newSocket(handle));
      return;
    }
    // The primary counts it from the moment it assigns it. One request each: sticky has every answer close the connection.
    const onClose = isClient ? onClientGone : onRequestOver;
    if (!isConnectionHandle(handle)) {
      onClose();
      return;
    }
    // manualStart: not a byte is read before the HTTP server listens to the socket.
    const socket = newSocket(handle, { manualStart: true });
    socket.once('close', onClose);
    if (isOwn) onOwn(socket);
    process.emit('message', { type: 'sticky:connection', data: head }, socket);
  });
}

/** As http.Server makes those that it accepts itself: half-open, and what is written leaves at once. */
function newSocket(handle: ConnectionHandle, how: { readonly manualStart?: true } = {}): Socket {
  const options = { handle, readable: true, writable: true, allowHalfOpen: true, ...how };
  const socket = new Socket(options);
  socket.setNoDelay(true);
  return socket;
}
