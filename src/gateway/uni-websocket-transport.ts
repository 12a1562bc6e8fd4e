// A WebSocket whose client only listens (client protocol §21).
import type { Socket } from 'node:net';
import { type CloseCause, CloseCauses } from '../protocol/close-causes.ts';
import { frameMessage } from '../protocol/message-framing.ts';
import type { Codec } from '../protocol/replies.ts';
import type { WireFormat } from '../protocol/wire-format.ts';
import { type GatewaySocket, type OpenedWebSocket, WebSocketTransport } from './websocket-transport.ts';

export interface UniWebSocketOptions {
  readonly disconnectPush: boolean;
  /** Otherwise the TCP connection just ends. */
  readonly closingHandshake: boolean;
  readonly closeTimeoutMs: number;
}

export class UniWebSocketTransport extends WebSocketTransport {
  override readonly kind = 'uni_websocket';
  readonly #ws: GatewaySocket;
  readonly #socket: Socket;
  readonly #codec: Codec;
  readonly #options: UniWebSocketOptions;
  #isEnding = false;

  constructor(opened: OpenedWebSocket, format: WireFormat, codec: Codec, options: UniWebSocketOptions) {
    super(opened, format);
    this.#ws = opened.ws;
    this.#socket = opened.socket;
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
