// A WebSocket whose client only listens (client protocol §21).
import type { Duplex } from 'node:stream';
import { type CloseCause, CloseCauses } from '../protocol/close-causes.ts';
import { frameMessage } from '../protocol/message-framing.ts';
import type { Codec } from '../protocol/replies.ts';
import type { WireFormat } from '../protocol/wire-format.ts';
import type { FrameTracker } from './frame-tracker.ts';
import { type GatewaySocket, WebSocketTransport } from './websocket-transport.ts';

export interface UniWebSocketOptions {
  readonly disconnectPush: boolean;
  /** Otherwise the TCP connection just ends. */
  readonly closingHandshake: boolean;
  readonly closeTimeoutMs: number;
}

export class UniWebSocketTransport extends WebSocketTransport {
  override readonly kind = 'uni_websocket';
  readonly #ws: GatewaySocket;
  readonly #socket: Duplex;
  readonly #codec: Codec;
  readonly #options: UniWebSocketOptions;
  #isEnding = false;

  constructor(
    ws: GatewaySocket,
    socket: Duplex,
    format: WireFormat,
    tracker: FrameTracker,
    codec: Codec,
    options: UniWebSocketOptions,
  ) {
    super(ws, socket, format, tracker);
    this.#ws = ws;
    this.#socket = socket;
    this.#codec = codec;
    this.#options = options;
  }

  override close(cause: CloseCause): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const { disconnectPush, closingHandshake } = this.#options;
    if (disconnectPush && cause !== CloseCauses.connectionClosed) this.#sayWhy(cause);
    if (closingHandshake || cause === CloseCauses.connectionClosed) super.close(cause);
    else this.#endTcp();
  }

  #sayWhy({ code, reason }: CloseCause): void {
    const push = this.#codec.push({ kind: 'disconnect', code, reason }, true);
    if (push !== undefined) this.write(frameMessage(this.format, push));
  }

  #endTcp(): void {
    this.#ws.resume();
    this.#socket.end();
    const timer = setTimeout(() => this.destroy(), this.#options.closeTimeoutMs);
    this.#ws.once('close', () => clearTimeout(timer));
  }
}
