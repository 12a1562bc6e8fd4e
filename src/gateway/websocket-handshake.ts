// The WebSocket handshake of one endpoint: subprotocol, limits, and permessage-deflate for those who offer it in a form
// that lets one compressed message serve everybody.
import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { type Agreed, GatewaySocket } from './websocket-transport.ts';

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
  readonly #options: HandshakeOptions;
  readonly #plain: WebSocketServer;
  #compressing: WebSocketServer | undefined;

  constructor(options: HandshakeOptions) {
    this.#options = options;
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
    if (this.#options.maxDecompressedBytes !== undefined) {
      const offers = usableOffers(request.headers['sec-websocket-extensions']);
      if (offers !== '') {
        request.headers['sec-websocket-extensions'] = offers;
        server = this.#compressing ?? server;
      }
    }
    server.handleUpgrade(request, socket, head, (ws) => {
      if (!(ws instanceof GatewaySocket)) return;
      ws.maxMessageBytes = server.options.maxPayload ?? 0;
      onOpen(ws, server === this.#compressing);
    });
  }

  /**
   * A connection whose handshake was done elsewhere; `tail` is read before anything else. The same handshake is done
   * again with the peer's side of it made up and ours kept from the peer. Undefined when ws does not want it.
   */
  adopt(socket: Socket, tail: Buffer, { subprotocol, compresses }: Agreed): GatewaySocket | undefined {
    const { maxMessageBytes, closeTimeoutMs } = this.#options;
    // Also where compression is off by now: this client will go on to compress.
    if (compresses) this.#compressing ??= createServer(maxMessageBytes, closeTimeoutMs, true);
    const server = compresses ? this.#compressing : this.#plain;
    const request = new IncomingMessage(socket);
    request.method = 'GET';
    request.headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': REPLAYED_KEY,
      ...(subprotocol !== '' && { 'sec-websocket-protocol': subprotocol }),
      ...(compresses && { 'sec-websocket-extensions': OUR_EXTENSION }),
    };
    let adopted: GatewaySocket | undefined;
    // An own property before the method of the class, for as long as ws writes its answer.
    Object.defineProperty(socket, 'write', { configurable: true, value: () => true });
    try {
      server?.handleUpgrade(request, socket, tail, (ws) => {
        if (ws instanceof GatewaySocket) adopted = ws;
      });
    } finally {
      Reflect.deleteProperty(socket, 'write');
    }
    if (adopted === undefined) return undefined;
    adopted.maxMessageBytes = server?.options.maxPayload ?? 0;
    adopted.pause();
    return adopted;
  }
}

/** Any will do: what it leads to is written nowhere. */
const REPLAYED_KEY = 'AAAAAAAAAAAAAAAAAAAAAA==';

/** Each costs more memory than it brings: where messages may be large, so many of them may be this small throughout. */
const SMALL_FRAGMENT_BYTES = 64;

function createServer(maxPayload: number, closeTimeout: number, compresses: boolean): WebSocketServer {
  // A variable, as the published types do not know `closeTimeout` yet.
  const options = {
    noServer: true,
    WebSocket: GatewaySocket,
    clientTracking: false,
    perMessageDeflate: compresses && { serverNoContextTakeover: true, clientNoContextTakeover: true },
    maxPayload,
    maxFragments: Math.max(16_384, Math.ceil(maxPayload / SMALL_FRAGMENT_BYTES)),
    autoPong: false,
    closeTimeout,
    // Only what the peer offered and we speak is echoed; a JSON client offers nothing and gets nothing (§2.1).
    handleProtocols: (offered: Set<string>) =>
      [PROTOBUF_PROTOCOL, JSON_PROTOCOL].find((name) => offered.has(name)) ?? (false as const),
  };
  return new WebSocketServer(options);
}

const EXTENSION = 'permessage-deflate';
const OUR_EXTENSION = `${EXTENSION}; server_no_context_takeover; client_no_context_takeover`;

/** What an offer may say (RFC 7692 §7.1); names are compared as they are. */
const PARAMETER =
  /^(?:(?:server|client)_no_context_takeover|client_max_window_bits(?:="?(?:[89]|1[0-5])"?)?|server_max_window_bits="?15"?)$/;

/**
 * Offers that cannot be taken are left out, as if they had not been made: ws would refuse the client. So are those of a
 * smaller window for us: messages for everybody are compressed with the largest one.
 */
function usableOffers(header: string | undefined): string {
  return (header ?? '')
    .split(',')
    .map((offer) => offer.trim())
    .filter(isUsable)
    .join(', ');
}

function isUsable(offer: string): boolean {
  const [extension, ...parameters] = offer.split(';').map((part) => part.trim());
  const names = new Set(parameters.map((parameter) => /^\w*/.exec(parameter)?.[0]));
  const isEachOnce = names.size === parameters.length;
  return extension === EXTENSION && isEachOnce && parameters.every((parameter) => PARAMETER.test(parameter));
}
