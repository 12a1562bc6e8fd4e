// The private parts of Node that passing live connections needs, in one place: the handle under a socket, and the
// acknowledgements of handles on a child's channel. The component tests prove them on every supported Node.
/* oxlint-disable no-underscore-dangle -- these are Node's own names */
import type { SendHandle } from 'node:child_process';
import { type Server, Socket } from 'node:net';

/** A TCP or UNIX-socket connection below net.Socket; `fd` is negative once it is closed. */
export interface ConnectionHandle {
  readonly fd: number;
  /** Bytes of the write under way that the kernel has not taken. */
  readonly writeQueueSize: number;
  reading: boolean;
  readStart(): number;
  readStop(): number;
  close(): void;
}

export function isConnectionHandle(handle: unknown): handle is ConnectionHandle & SendHandle {
  return typeof handle === 'object' && handle !== null && 'fd' in handle && 'readStop' in handle;
}

/**
 * Stops a socket from reading, in the kernel too (pause() alone does not), and returns its handle to be sent raw: a raw
 * handle arrives silent, and the sender keeps its own copy. Undefined when the socket is already closed.
 */
export function freeze(socket: Socket): (ConnectionHandle & SendHandle) | undefined {
  const handle = handleOf(socket);
  if (handle === undefined) return undefined;
  socket.pause();
  handle.readStop();
  // A lie: the stream wants to read ahead in its next tick, paused or not, unless it believes that it already does.
  handle.reading = true;
  return handle;
}

/** Lets a frozen socket read again; does nothing to others. */
export function thaw(socket: Socket): void {
  handleOf(socket)?.readStart();
}

/** A socket over a handle that came from another process; not a byte is read or written by itself. */
export function socketOver(handle: ConnectionHandle): Socket {
  const options = { handle, readable: true, writable: true, allowHalfOpen: true, pauseOnCreate: true };
  return new Socket(options);
}

/** Bytes written to the socket that the kernel has not taken; a part of the first write under way may be with it already. */
export function unsentBytes(socket: Socket): number {
  const handle = handleOf(socket);
  if (handle === undefined || socket.writableLength === 0) return 0;
  const state: unknown = '_writableState' in socket ? socket._writableState : undefined;
  const isKnown = typeof state === 'object' && state !== null && 'getBuffer' in state;
  const waiting: unknown = isKnown && typeof state.getBuffer === 'function' ? state.getBuffer() : undefined;
  if (!Array.isArray(waiting)) return Number.NaN;
  return waiting.reduce(
    (sum: number, { chunk }: { chunk: Buffer }) => sum + chunk.length,
    handle.writeQueueSize,
  );
}

/** Of a server that listens by itself. */
export function descriptorOf(server: Server): number | undefined {
  const handle = '_handle' in server ? server._handle : undefined;
  return typeof handle === 'object' && handle !== null && 'fd' in handle && typeof handle.fd === 'number'
    ? handle.fd
    : undefined;
}

/** The peer's end has been read, though nobody may have been told yet. */
export function hasEnded(socket: Socket): boolean {
  const state = '_readableState' in socket ? socket._readableState : undefined;
  return typeof state === 'object' && state !== null && 'ended' in state && state.ended === true;
}

function handleOf(socket: Socket): (ConnectionHandle & SendHandle) | undefined {
  const handle = '_handle' in socket ? socket._handle : undefined;
  return isConnectionHandle(handle) && !socket.destroyed ? handle : undefined;
}

/** The child says that the oldest unacknowledged handle has arrived (true) or could not be taken (false). */
export function acknowledgement(internalMessage: unknown): boolean | undefined {
  if (typeof internalMessage !== 'object' || internalMessage === null || !('cmd' in internalMessage))
    return undefined;
  if (internalMessage.cmd === 'NODE_HANDLE_ACK') return true;
  if (internalMessage.cmd === 'NODE_HANDLE_NACK') return false;
  return undefined;
}

/**
 * Node never says 'disconnect' for a child that died with a handle unacknowledged (nodejs/node#19433), and node:cluster
 * then keeps it in its lists for ever. To be called when the process has exited and its channel is closed.
 */
export function finishDisconnect(child: { emit(event: 'disconnect'): boolean }): void {
  if (!('_handleQueue' in child) || child._handleQueue === null) return;
  child._handleQueue = null;
  child.emit('disconnect');
}
