// A streaming HTTP response as a connection's transport (client protocol §10, §21). The body ends with the TCP connection,
// without chunks around the frames: so a frame serves all its receivers as it is.
import type { Writable } from 'node:stream';
import type { Connection } from '../connection/connection.ts';
import type { Transport, TransportKind } from '../connection/transport.ts';
import { type CloseCause, CloseCauses } from '../protocol/close-causes.ts';
import { frameMessage } from '../protocol/message-framing.ts';
import type { Codec } from '../protocol/replies.ts';
import type { WireFormat } from '../protocol/wire-format.ts';
import type { InboundCounters } from './websocket-transport.ts';

export interface StreamTransportDeps {
  /** Its head is written. */
  readonly body: Writable;
  readonly codec: Codec;
  readonly inbound: InboundCounters;
}

export interface StreamTransportOptions {
  readonly kind: Exclude<TransportKind, 'websocket' | 'uni_websocket'>;
  readonly format: WireFormat;
  /** How long the last words may take until the response is cut. */
  readonly closeTimeoutMs: number;
  /** Commands that may wait while the connection takes no more. */
  readonly maxWaitingBytes: number;
}

/** What a frame that waits costs beside its bytes: many small ones are as heavy. */
const FRAME_OVERHEAD_BYTES = 256;

export class StreamTransport implements Transport {
  readonly kind: StreamTransportOptions['kind'];
  readonly format: WireFormat;
  readonly #deps: StreamTransportDeps;
  readonly #options: StreamTransportOptions;
  #connection: Connection | undefined;
  #isPaused = false;
  #isEnding = false;
  /** Frames of commands that came while reading was paused: nobody can stop the requests that bring them. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: StreamTransportDeps, options: StreamTransportOptions) {
    this.kind = options.kind;
    this.format = options.format;
    this.#deps = deps;
    this.#options = options;
  }

  get pendingBytes(): number {
    return this.#deps.body.writableLength;
  }

  attach(connection: Connection): void {
    this.#connection = connection;
    const { body } = this.#deps;
    body.on('drain', this.#onDrain);
    body.on('error', ignoreError);
    body.once('close', this.#onClose);
    if (body.destroyed) this.#onClose();
  }

  /** Commands of the peer, in the order in which they arrive. */
  receive(frame: Buffer): void {
    const { inbound } = this.#deps;
    inbound.messagesIn += 1;
    inbound.bytesIn += frame.length;
    if (!this.#isPaused) {
      this.#connection?.onFrame(frame);
      return;
    }
    this.#waitingBytes += frame.length + FRAME_OVERHEAD_BYTES;
    if (this.#waitingBytes > this.#options.maxWaitingBytes) {
      this.#connection?.close(CloseCauses.tooManyRequests);
    } else this.#waiting.push(frame);
  }

  write(frames: Buffer): boolean {
    const { body } = this.#deps;
    // A body that is gone says so by itself.
    return body.destroyed || body.writableEnded || body.write(frames);
  }

  pauseReading(): void {
    this.#isPaused = true;
  }

  resumeReading(): void {
    this.#isPaused = false;
    while (!this.#isPaused) {
      const frame = this.#waiting.shift();
      if (frame === undefined) return;
      this.#waitingBytes -= frame.length + FRAME_OVERHEAD_BYTES;
      this.#connection?.onFrame(frame);
    }
  }

  close(cause: CloseCause): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#waiting = [];
    const { body, codec } = this.#deps;
    if (cause === CloseCauses.connectionClosed || body.destroyed) {
      body.destroy();
      return;
    }
    const { code, reason } = cause;
    const push = codec.push({ kind: 'disconnect', code, reason }, this.format.unidirectional);
    if (push !== undefined) body.write(frameMessage(this.format, push));
    body.end();
    this.#timer = setTimeout(() => body.destroy(), this.#options.closeTimeoutMs);
  }

  destroy(): void {
    this.#deps.body.destroy();
  }

  readonly #onDrain = (): void => {
    this.#connection?.onTransportDrain();
  };

  readonly #onClose = (): void => {
    clearTimeout(this.#timer);
    this.#waiting = [];
    const { body } = this.#deps;
    body.off('drain', this.#onDrain);
    this.#connection?.onTransportClosed();
  };
}

function ignoreError(): void {
  // 'close' follows, which is what counts.
}
