// The private parts of Node that live connections need, in one place: the handle under a socket, reading from it and writing
// to it, and the acknowledgements of handles on a child's channel. The component tests prove them on every supported Node.
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

/** A handle that takes bytes. */
export interface WritableHandle extends ConnectionHandle {
  /** Returns 0, or a negative code of libuv. Takes `request` only if the kernel does not take everything at once. */
  writeBuffer(request: WriteRequest, bytes: Buffer): number | undefined;
}

/** Undefined when the socket is closed. */
export function writableHandleOf(socket: Socket): WritableHandle | undefined {
  const handle = handleOf(socket);
  return handle !== undefined && isWritable(handle) ? handle : undefined;
}

function isWritable(handle: ConnectionHandle): handle is WritableHandle {
  return 'writeBuffer' in handle && typeof handle.writeBuffer === 'function';
}

/** taken: by the kernel, all of it · pending: a part of it waits, `onWritten` follows · failed: the connection is gone. */
export type WriteOutcome = 'taken' | 'pending' | 'failed';

export interface WriteListener {
  /** What was pending has been taken, or never will be. */
  onWritten(isTaken: boolean): void;
}

/**
 * Writes past Node's streams, which cost as much as all else that is done for a frame. Frames that others write through
 * the socket keep their order with those written here: both end up in one queue.
 */
export class HandleWriter {
  readonly #binding = streamBinding();
  /** Serves all writes until one is left pending with it. */
  #request = new this.#binding.WriteWrap();

  /** `bytes` must stay as they are until they are taken. */
  write(handle: WritableHandle, bytes: Buffer, listener: WriteListener): WriteOutcome {
    const request = this.#request;
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = this.#binding;
    if (handle.writeBuffer(request, bytes) !== 0) {
      this.#request = new WriteWrap();
      return 'failed';
    }
    if (streamBaseState[kLastWriteWasAsync] === 0) return 'taken';
    this.#request = new WriteWrap();
    // The kernel reads from it later, and nobody else may hold it by then.
    request.buffer = bytes;
    request.oncomplete = (status) => listener.onWritten(status === 0);
    return 'pending';
  }
}

/** A handle that tells what it has read. */
interface ReadableHandle extends ConnectionHandle {
  /** With what was read, unless there is a buffer that it is read into; the state of the binding says how much it is. */
  onread: (this: unknown, bytes?: ArrayBuffer) => void;
  /** The handle points into it from then on. */
  useUserBuffer(bytes: Buffer): void;
}

function isReadable(handle: ConnectionHandle): handle is ReadableHandle {
  return (
    'useUserBuffer' in handle &&
    typeof handle.useUserBuffer === 'function' &&
    'onread' in handle &&
    typeof handle.onread === 'function'
  );
}

export interface ReadListener {
  /**
   * The first `count` of `bytes` were read; they are overwritten by what is read next, of whichever connection. Returns how
   * many of them were taken: the others go through the stream. Not called while the stream is paused or holds anything.
   */
  onRead(bytes: Buffer, count: number): number;
}

/** What is read next is also what the listeners of the stream would get next. */
export function flowsFreely(socket: Socket): boolean {
  return socket.readableFlowing === true && socket.readableLength === 0;
}

/** More than the kernel usually holds of a client that waits for answers. */
const READ_BYTES = 65_536;

/** Reads before Node's streams, into one buffer for all connections; what is not taken there goes through the stream. */
export class HandleReader {
  readonly #binding = streamBinding();
  readonly #bytes = Buffer.allocUnsafeSlow(READ_BYTES);

  /** From now on for as long as the socket lives. */
  attach(socket: Socket, listener: ReadListener): void {
    const handle = handleOf(socket);
    if (handle === undefined || !isReadable(handle)) return;
    const { streamBaseState, kReadBytesOrError } = this.#binding;
    const bytes = this.#bytes;
    const intoStream = handle.onread;
    handle.useUserBuffer(bytes);
    handle.onread = () => {
      const count = streamBaseState[kReadBytesOrError] ?? 0;
      if (count <= 0) {
        // The end, or an error.
        intoStream.call(handle);
        return;
      }
      const taken = flowsFreely(socket) ? listener.onRead(bytes, count) : 0;
      if (taken === count || socket.destroyed) return;
      const rest = new Uint8Array(bytes.subarray(taken, count));
      streamBaseState[kReadBytesOrError] = rest.length;
      intoStream.call(handle, rest.buffer);
    };
  }
}

interface WriteRequest {
  buffer?: Buffer;
  oncomplete?: (status: number) => void;
}

/** What Node's own sockets read and write with. */
interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  readonly streamBaseState: Int32Array;
  /** Index of the state that says how much was read, or a negative code of libuv. */
  readonly kReadBytesOrError: number;
  /** Index of the state that says whether the write before was left pending. */
  readonly kLastWriteWasAsync: number;
}

function streamBinding(): StreamBinding {
  const binding: unknown =
    'binding' in process && typeof process.binding === 'function'
      ? process.binding('stream_wrap')
      : undefined;
  if (isStreamBinding(binding)) return binding;
  throw new Error(
    `Node ${process.version} has no stream_wrap as Node 20.19, 22 and 24 have it: run one of these`,
  );
}

function isStreamBinding(binding: unknown): binding is StreamBinding {
  return (
    typeof binding === 'object' &&
    binding !== null &&
    'WriteWrap' in binding &&
    typeof binding.WriteWrap === 'function' &&
    'streamBaseState' in binding &&
    binding.streamBaseState instanceof Int32Array &&
    'kReadBytesOrError' in binding &&
    typeof binding.kReadBytesOrError === 'number' &&
    'kLastWriteWasAsync' in binding &&
    typeof binding.kLastWriteWasAsync === 'number'
  );
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
