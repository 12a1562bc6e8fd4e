// A WebSocket as a connection's transport. Frames come encoded and are written past ws's sender and the stream, so that one
// buffer serves all subscribers; whole plain messages are read before the stream and ws, which keep all other frames, and the
// closing handshake.
import type { Socket } from 'node:net';
import type { SendHandle } from 'node:child_process';
import { WebSocket } from 'ws';
import type { Connection } from '../connection/connection.ts';
import type { Transport, TransportKind } from '../connection/transport.ts';
import { type CloseCause, CloseCauses } from '../protocol/close-causes.ts';
import { connectFrame } from '../protocol/unidirectional.ts';
import type { WireFormat } from '../protocol/wire-format.ts';
import {
  type ConnectionHandle,
  flowsFreely,
  freeze,
  type HandleReader,
  type HandleWriter,
  hasEnded,
  type ReadListener,
  thaw,
  type WritableHandle,
  writableHandleOf,
  type WriteListener,
} from '../util/native-handle.ts';
import type { FrameTracker } from './frame-tracker.ts';
import { wholeFrameBytes, wholeMessage } from './whole-message.ts';

/** The class that the WebSocket server makes: it leads its listeners, which are shared, to their connection. */
export class GatewaySocket extends WebSocket {
  connection: Connection | undefined;
  inbound: InboundCounters | undefined;
  tracker: FrameTracker | undefined;
  /** Messages of the peer that ws has given out. */
  delivered = 0;
  /** As ws was told. */
  maxMessageBytes = 0;

  /** ws calls it, too, when the peer closes or breaks a rule: what was said before goes first. */
  override close(code?: number, reason?: string | Buffer): void {
    this.connection?.flush();
    super.close(code, reason);
  }
}

export interface InboundCounters {
  messagesIn: number;
  bytesIn: number;
}

/** What a client and the gateway agreed on in the handshake. */
export interface Agreed {
  /** Empty for none. */
  readonly subprotocol: string;
  readonly compresses: boolean;
}

/** A WebSocket as another process can take it up. */
export interface FrozenWebSocket {
  readonly handle: ConnectionHandle & SendHandle;
  /** What the peer has sent of a message that is not whole. */
  readonly tail: Buffer;
}

/** unsent: the peer has not taken everything · busy: messages are being taken or decompressed · closing: it ends here. */
export type Unmovable = 'unsent' | 'busy' | 'closing';

/** A WebSocket after its handshake. */
export interface OpenedWebSocket {
  readonly ws: GatewaySocket;
  readonly socket: Socket;
  readonly tracker: FrameTracker;
  readonly reader: HandleReader;
  readonly writer: HandleWriter;
}

export class WebSocketTransport implements Transport, ReadListener, WriteListener {
  readonly kind: TransportKind = 'websocket';
  readonly format: WireFormat;
  readonly #handle: WritableHandle | undefined;
  readonly #writer: HandleWriter;
  /** Written last, if the kernel has not taken all of it: then nothing more is written. */
  #untaken: Buffer | undefined;
  readonly #ws: GatewaySocket;
  readonly #socket: Socket;
  readonly #tracker: FrameTracker;
  readonly #reader: HandleReader;
  /** Takes messages past ws at this moment. */
  #isTaking = false;

  constructor({ ws, socket, tracker, reader, writer }: OpenedWebSocket, format: WireFormat) {
    this.format = format;
    this.#handle = writableHandleOf(socket);
    this.#writer = writer;
    this.#ws = ws;
    this.#socket = socket;
    this.#tracker = tracker;
    this.#reader = reader;
  }

  /** What was agreed on when it was opened. */
  get agreed(): Agreed {
    const { protocol: subprotocol, extensions } = this.#ws;
    return { subprotocol, compresses: extensions.includes('permessage-deflate') };
  }

  /**
   * Takes in what has come, and from then on reads nothing, until `thaw` or `destroy`. Called while reading is paused; when
   * it cannot be done now, everything is as before. Unless `withUnsent`, a connection with bytes that the kernel has not
   * taken is left alone: those cannot be kept from being written but by `destroy`.
   */
  freeze(withUnsent = false): FrozenWebSocket | Unmovable {
    const before = this.#obstacle(withUnsent);
    if (before !== undefined) return before;
    this.#ws.pause();
    const handle = freeze(this.#socket);
    if (handle === undefined) return 'closing';
    // Into ws and the connection.
    while (this.#socket.read() !== null);
    const obstacle = this.#obstacle(withUnsent);
    if (obstacle === undefined) return { handle, tail: this.#tracker.tail() };
    thaw(this.#socket);
    return obstacle;
  }

  /** Why it cannot be moved as it stands, what the kernel has not taken aside. */
  get obstacle(): Unmovable | undefined {
    return this.#obstacle(true);
  }

  /** What the kernel has not taken, as of this moment; undefined when others than this transport have written, too. */
  unsent(): Buffer | undefined {
    const written = this.#untaken ?? Buffer.alloc(0);
    const bytes = this.pendingBytes;
    return bytes <= written.length ? written.subarray(written.length - bytes) : undefined;
  }

  /** It was not taken: reading may be resumed. */
  thaw(): void {
    thaw(this.#socket);
  }

  #obstacle(withUnsent: boolean): Unmovable | undefined {
    const isOpen = this.#ws.readyState === WebSocket.OPEN && !this.#socket.destroyed;
    if (!isOpen || hasEnded(this.#socket)) return 'closing';
    // What ws itself has written, and what was written here.
    if (this.#ws.bufferedAmount > 0 || (!withUnsent && this.#untaken !== undefined)) return 'unsent';
    const isBusy = this.#isTaking || this.#tracker.messages !== this.#ws.delivered;
    return isBusy ? 'busy' : undefined;
  }

  get pendingBytes(): number {
    return this.#untaken === undefined ? 0 : (this.#handle?.writeQueueSize ?? 0);
  }

  /** From and to the peer since it came to this process. */
  get trafficBytes(): number {
    return this.#socket.bytesRead + this.#socket.bytesWritten;
  }

  /** From here on frames of the peer reach the connection. */
  attach(connection: Connection, inbound: InboundCounters): void {
    this.#ws.connection = connection;
    this.#ws.inbound = inbound;
    this.#ws.on('message', onMessage);
    this.#ws.on('close', onClose);
    this.#ws.on('error', onError);
    this.#ws.tracker = this.#tracker;
    this.#ws.on('ping', onPing);
    this.#reader.attach(this.#socket, this);
  }

  /** Whole plain messages are taken at once; ws gets the rest, and until it is done with that, all that follows. */
  onRead(bytes: Buffer, count: number): number {
    let at = 0;
    this.#isTaking = true;
    try {
      while (at < count && this.#isPast) {
        const message = wholeMessage(bytes, at, count, this.#ws.maxMessageBytes);
        if (message === undefined) break;
        at += wholeFrameBytes(message);
        receive(this.#ws, message);
      }
    } finally {
      this.#isTaking = false;
    }
    return at;
  }

  /** Everything before has reached the connection, and it is open and wants more. */
  get #isPast(): boolean {
    return (
      flowsFreely(this.#socket) &&
      this.#tracker.isIdle(this.#ws.delivered) &&
      this.#ws.readyState === WebSocket.OPEN
    );
  }

  write(frames: Buffer): boolean {
    const outcome = this.#handle === undefined ? 'failed' : this.#writer.write(this.#handle, frames, this);
    if (outcome === 'taken') return true;
    if (outcome === 'pending') {
      this.#untaken = frames;
      return false;
    }
    // ws hears of it, and the connection from ws.
    this.#socket.destroy();
    return true;
  }

  onWritten(isTaken: boolean): void {
    this.#untaken = undefined;
    if (isTaken) this.#ws.connection?.onTransportDrain();
    else this.#socket.destroy();
  }

  pauseReading(): void {
    this.#ws.pause();
  }

  resumeReading(): void {
    this.#ws.resume();
  }

  close(cause: CloseCause): void {
    if (cause === CloseCauses.connectionClosed) {
      this.destroy();
      return;
    }
    // A paused socket would not see the peer's answer to the close frame.
    this.#ws.resume();
    this.#ws.close(cause.code, cause.reason);
  }

  destroy(): void {
    this.#ws.terminate();
  }
}

/** Same, for clients that asked for ping and pong frames instead of empty messages (`cf_ws_frame_ping_pong`). */
export class NativePingTransport extends WebSocketTransport {
  readonly #ws: GatewaySocket;

  constructor(opened: OpenedWebSocket, format: WireFormat) {
    super(opened, format);
    this.#ws = opened.ws;
  }

  override attach(connection: Connection, inbound: InboundCounters): void {
    super.attach(connection, inbound);
    this.#ws.on('pong', onPong);
  }

  nativePing(): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.ping();
  }
}

function onMessage(this: WebSocket, data: unknown): void {
  if (!(this instanceof GatewaySocket)) return;
  this.delivered += 1;
  if (Buffer.isBuffer(data)) receive(this, data);
}

function receive({ connection, inbound }: GatewaySocket, data: Buffer): void {
  if (connection === undefined) return;
  if (inbound !== undefined) {
    inbound.messagesIn += 1;
    inbound.bytesIn += data.length;
  }
  if (!connection.transport.format.unidirectional) connection.onFrame(data);
  // The one message of a client that only listens; whatever else it says is of no interest.
  else if (!connection.hasSpoken) connection.onFrame(connectFrame(data));
}

function onClose(this: WebSocket): void {
  if (this instanceof GatewaySocket) this.connection?.onTransportClosed();
}

/** ws has answered the peer with the close code already, without a reason, and ends the socket. */
function onError(this: WebSocket, error: Error): void {
  if (!(this instanceof GatewaySocket)) return;
  this.tracker?.stop();
  this.connection?.onTransportClosed(causeOf(error));
}

function causeOf(error: Error): CloseCause {
  const code = 'code' in error ? String(error.code) : '';
  return (
    CAUSE_OF_FRAME_ERROR.get(code) ??
    (code.startsWith('WS_ERR_') ? CloseCauses.protocolError : INFLATE_FAILED)
  );
}

/** By the codes of ws; its others are 1002. */
const CAUSE_OF_FRAME_ERROR: ReadonlyMap<string, CloseCause> = new Map([
  ['WS_ERR_INVALID_UTF8', CloseCauses.invalidPayload],
  ['WS_ERR_TOO_MANY_BUFFERED_PARTS', CloseCauses.policyViolation],
  ['WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH', CloseCauses.messageTooBig],
  ['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', CloseCauses.messageTooBig],
]);

/** Errors of zlib have codes of its own. */
const INFLATE_FAILED = CloseCauses.invalidPayload;

/** By ourselves: ws cuts the socket without a word when a peer sends more than a few at once. */
function onPing(this: WebSocket, data: Buffer): void {
  if (this instanceof GatewaySocket) this.connection?.onTransportPing(pongFrame(data));
}

/** The payload of a control frame has at most 125 bytes: its length is one byte. */
function pongFrame(payload: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(payload.length + 2);
  frame[0] = 0x8a;
  frame[1] = payload.length;
  payload.copy(frame, 2);
  return frame;
}

function onPong(this: WebSocket): void {
  if (this instanceof GatewaySocket) this.connection?.onNativePong();
}
