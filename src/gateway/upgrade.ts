// From an HTTP upgrade request to a connection: admission first, then the handshake, then the protocol.
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { OriginPolicy } from '../auth/origins.ts';
import { jsonCodec } from '../protocol/json-codec.ts';
import { connectFrame } from '../protocol/unidirectional.ts';
import { deflated, type DeflateSettings, type WireFormat, WireFormats } from '../protocol/wire-format.ts';
import type { Admission } from './admission.ts';
import { parseTarget, type SessionReader } from './client-request.ts';
import type { ConnectionOpener } from './connection-opener.ts';
import { type UniWebSocketOptions, UniWebSocketTransport } from './uni-websocket-transport.ts';
import { PROTOBUF_PROTOCOL, WebSocketHandshake } from './websocket-handshake.ts';
import { type GatewaySocket, NativePingTransport, WebSocketTransport } from './websocket-transport.ts';

export interface UpgradeDeps {
  readonly opener: ConnectionOpener;
  readonly sessions: SessionReader;
  readonly admission: Admission;
  readonly origins: OriginPolicy;
}

export interface Compression extends DeflateSettings {
  /** Limit of a client's message once it is decompressed. */
  readonly maxMessageBytes: number;
}

export interface UpgradeOptions {
  /** Undefined: WebSocket is switched off. */
  readonly bidirectional:
    | {
        readonly path: string;
        readonly maxMessageBytes: number;
        readonly compression: Compression | undefined;
      }
    | undefined;
  readonly unidirectional:
    | (Omit<UniWebSocketOptions, 'closeTimeoutMs'> & {
        readonly path: string;
        readonly maxMessageBytes: number;
        readonly joinsPushes: boolean;
      })
    | undefined;
  /** How long the closing handshake may take until the socket is destroyed. */
  readonly closeTimeoutMs: number;
}

interface Endpoint {
  readonly handshake: WebSocketHandshake;
  readonly open: (
    ws: GatewaySocket,
    socket: Duplex,
    request: IncomingMessage,
    query: URLSearchParams,
    compresses: boolean,
  ) => void;
}

export class UpgradeHandler {
  readonly #deps: UpgradeDeps;
  readonly #endpoints = new Map<string, Endpoint>();

  constructor(deps: UpgradeDeps, options: UpgradeOptions) {
    this.#deps = deps;
    this.#serveBidirectional(options);
    this.#serveUnidirectional(options);
  }

  attach(server: Server): void {
    server.on('upgrade', this.#onUpgrade);
  }

  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', onSocketError);
    const { path, query } = parseTarget(request.url);
    const endpoint = this.#endpoints.get(path);
    if (endpoint === undefined) return refuse(socket, 404);
    if (request.method !== 'GET') return refuse(socket, 405);
    if (!this.#deps.origins.allows(request.headers.origin)) return this.#refuse(socket, 403, 'origin');
    const refusal = this.#deps.admission.refusal();
    if (refusal !== undefined) return this.#refuse(socket, 503, refusal);
    endpoint.handshake.run(request, socket, head, (ws, compresses) => {
      socket.off('error', onSocketError);
      endpoint.open(ws, socket, request, query, compresses);
    });
  };

  #serveBidirectional({ bidirectional, closeTimeoutMs }: UpgradeOptions): void {
    if (bidirectional === undefined) return;
    const { path, maxMessageBytes, compression } = bidirectional;
    const { opener, sessions } = this.#deps;
    const compressed = compression && {
      json: deflated(WireFormats.websocketJson, compression),
      protobuf: deflated(WireFormats.websocketProtobuf, compression),
    };
    this.#endpoints.set(path, {
      handshake: new WebSocketHandshake({
        maxMessageBytes,
        closeTimeoutMs,
        maxDecompressedBytes: compression?.maxMessageBytes,
      }),
      open: (ws, socket, request, query, compresses) => {
        const plain = formatOf(ws.protocol, query);
        const format = compresses && compressed !== undefined ? compressed[plain.encoding] : plain;
        const isNative = query.get('cf_ws_frame_ping_pong') === 'true';
        const Transport = isNative ? NativePingTransport : WebSocketTransport;
        const transport = new Transport(ws, socket, format);
        const connection = opener.open(transport, sessions.read(request, query, false));
        transport.attach(connection, opener.counters);
      },
    });
  }

  #serveUnidirectional({ unidirectional, closeTimeoutMs }: UpgradeOptions): void {
    if (unidirectional === undefined) return;
    const { path, maxMessageBytes, joinsPushes } = unidirectional;
    const { opener, sessions } = this.#deps;
    const format = joinsPushes ? WireFormats.uniWebsocketJoined : WireFormats.uniWebsocket;
    const options = { ...unidirectional, closeTimeoutMs };
    this.#endpoints.set(path, {
      handshake: new WebSocketHandshake({ maxMessageBytes, closeTimeoutMs, maxDecompressedBytes: undefined }),
      open: (ws, socket, request, query) => {
        const transport = new UniWebSocketTransport(ws, socket, format, jsonCodec, options);
        const connection = opener.open(transport, sessions.read(request, query, true));
        transport.attach(connection, opener.counters);
        const payload = query.get('cf_connect');
        if (payload !== null) connection.onFrame(connectFrame(Buffer.from(payload)));
      },
    });
  }

  #refuse(socket: Duplex, status: 403 | 503, reason: string): void {
    this.#deps.opener.counters.admissionRefusals.cell(reason).value += 1;
    refuse(socket, status);
  }
}

const STATUS_LINES = {
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  503: 'Service Unavailable',
} as const;

function refuse(socket: Duplex, status: keyof typeof STATUS_LINES): void {
  const hint = status === 503 ? 'Retry-After: 1\r\n' : status === 405 ? 'Allow: GET\r\n' : '';
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_LINES[status]}\r\nConnection: close\r\n${hint}Content-Length: 0\r\n\r\n`,
    () => socket.destroy(),
  );
}

/** A peer that resets before or during the handshake is nobody's fault. */
function onSocketError(this: Duplex): void {
  this.destroy();
}

function formatOf(protocol: string, query: URLSearchParams): WireFormat {
  const wantsProtobuf =
    protocol === PROTOBUF_PROTOCOL ||
    (protocol === '' && (query.get('format') === 'protobuf' || query.get('cf_protocol') === 'protobuf'));
  return wantsProtobuf ? WireFormats.websocketProtobuf : WireFormats.websocketJson;
}
