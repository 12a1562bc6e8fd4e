// The WebSocket handshake of one endpoint: subprotocol, limits, and permessage-deflate for those who offer it in a form
// that lets one compressed message serve everybody.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { GatewaySocket } from './websocket-transport.ts';

export interface HandshakeOptions {
  readonly maxMessageBytes: number;
  /** How long the closing handshake may take until the socket is destroyed. */
  readonly closeTimeoutMs: number;
  /** Limit of a message on a connection that compresses, once it is decompressed; undefined: compression is off. */
  readonly maxDecompressedBytes: number | undefined;
}

export const PROTOBUF_PROTOCOL = 'centrifuge-protobuf';
const JSON_PROTOCOL = 'centrifuge-json';

export class WebSocketHandshake {
  readonly #plain: WebSocketServer;
  readonly #compressing: WebSocketServer | undefined;

  constructor(options: HandshakeOptions) {
    this.#plain = createServer(options.maxMessageBytes, options.closeTimeoutMs, false);
    const { maxDecompressedBytes } = options;
    if (maxDecompressedBytes !== undefined) {
      this.#compressing = createServer(maxDecompressedBytes, options.closeTimeoutMs, true);
    }
  }

  run(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    onOpen: (ws: GatewaySocket, compresses: boolean) => void,
  ): void {
    let server = this.#plain;
    if (this.#compressing !== undefined) {
      const offers = usableOffers(request.headers['sec-websocket-extensions']);
      if (offers !== '') {
        request.headers['sec-websocket-extensions'] = offers;
        server = this.#compressing;
      }
    }
    server.handleUpgrade(request, socket, head, (ws) => {
      if (ws instanceof GatewaySocket) onOpen(ws, server === this.#compressing);
    });
  }
}

function createServer(maxPayload: number, closeTimeout: number, compresses: boolean): WebSocketServer {
  // A variable, as the published types do not know `closeTimeout` yet.
  const options = {
    noServer: true,
    WebSocket: GatewaySocket,
    clientTracking: false,
    perMessageDeflate: compresses && { serverNoContextTakeover: true, clientNoContextTakeover: true },
    maxPayload,
    autoPong: false,
    closeTimeout,
    // Only what the peer offered and we speak is echoed; a JSON client offers nothing and gets nothing (§2.1).
    handleProtocols: (offered: Set<string>) =>
      [PROTOBUF_PROTOCOL, JSON_PROTOCOL].find((name) => offered.has(name)) ?? (false as const),
  };
  return new WebSocketServer(options);
}

/** Offers of a smaller window are left out: messages for everybody are compressed with the largest one. */
function usableOffers(header: string | undefined): string {
  return (header ?? '')
    .split(',')
    .map((offer) => offer.trim())
    .filter((offer) => /^permessage-deflate\s*(?:;|$)/i.test(offer) && !/server_max_window_bits/i.test(offer))
    .join(', ');
}
