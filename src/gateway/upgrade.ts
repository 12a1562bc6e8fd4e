// From an HTTP upgrade request to a connection: admission first, then the handshake, then the protocol.
import type { IncomingMessage, Server } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { OriginPolicy } from '../auth/origins.ts';
import { jsonCodec } from '../protocol/json-codec.ts';
import { connectFrame } from '../protocol/unidirectional.ts';
import { deflated, type DeflateSettings, type Encoding, WireFormats } from '../protocol/wire-format.ts';
import type { Connection } from '../connection/connection.ts';
import { HandleReader, HandleWriter } from '../util/native-handle.ts';
import type { Admission } from './admission.ts';
import { parseTarget, type SessionReader } from './client-request.ts';
import type { ConnectionOpener } from './connection-opener.ts';
import { track } from './frame-tracker.ts';
import { type UniWebSocketOptions, UniWebSocketTransport } from './uni-websocket-transport.ts';
import { PROTOBUF_PROTOCOL, WebSocketHandshake } from './websocket-handshake.ts';
import {
  type Agreed,
  NativePingTransport,
  type OpenedWebSocket,
  WebSocketTransport,
} from './websocket-transport.ts';

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

/** All that a WebSocket which was opened elsewhere needs to be told of itself. */
export interface WebSocketFacts extends Agreed {
  readonly kind: 'websocket' | 'uni_websocket';
  readonly encoding: Encoding;
  /** Pings are frames. */
  readonly hasNativePing: boolean;
}

export function factsOf(transport: WebSocketTransport): WebSocketFacts {
  const { format, agreed } = transport;
  return {
    kind: transport instanceof UniWebSocketTransport ? 'uni_websocket' : 'websocket',
    encoding: format.encoding,
    hasNativePing: transport instanceof NativePingTransport,
    ...agreed,
  };
}

interface Endpoint {
  readonly kind: WebSocketFacts['kind'];
  readonly handshake: WebSocketHandshake;
  readonly transport: (
    opened: OpenedWebSocket,
    facts: Pick<WebSocketFacts, 'encoding' | 'hasNativePing' | 'compresses'>,
  ) => WebSocketTransport;
  readonly open: (
    opened: OpenedWebSocket,
    request: IncomingMessage,
    query: URLSearchParams,
    compresses: boolean,
  ) => void;
}

export class UpgradeHandler {
  readonly #deps: UpgradeDeps;
  readonly #io = { reader: new HandleReader(), writer: new HandleWriter() };
  readonly #endpoints = new Map<string, Endpoint>();
  /** Of the gateway itself: admission is not for them. */
  readonly #welcome = new WeakSet<Duplex>();

  constructor(deps: UpgradeDeps, options: UpgradeOptions) {
    this.#deps = deps;
    this.#serveBidirectional(options);
    this.#serveUnidirectional(options);
  }

  attach(server: Server): void {
    server.on('upgrade', this.#onUpgrade);
  }

  /** Whatever the limits, and however much there is to do: this connection is the gateway's own, and says whether it works. */
  welcome(socket: Socket): void {
    this.#welcome.add(socket);
  }

  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', onSocketError);
    // It always is one; its handle is what is written to.
    if (!(socket instanceof Socket)) {
      socket.destroy();
      return;
    }
    const { path, query } = parseTarget(request.url);
    const endpoint = this.#endpoints.get(path);
    if (endpoint === undefined) return refuse(socket, 404);
    if (request.method !== 'GET') return refuse(socket, 405);
    if (!this.#deps.origins.allows(request.headers.origin)) return this.#refuse(socket, 403, 'origin');
    const refusal = this.#welcome.has(socket) ? undefined : this.#deps.admission.refusal();
    if (refusal !== undefined) return this.#refuse(socket, 503, refusal);
    const tracker = track(socket);
    endpoint.handshake.run(request, socket, head, (ws, compresses) => {
      socket.off('error', onSocketError);
      endpoint.open({ ws, socket, tracker, ...this.#io }, request, query, compresses);
    });
  };

  /**
   * A WebSocket that another process has opened and let go; nothing is read or written before its connection resumes
   * reading. `attach` leads its frames there. Undefined when such connections are not served here.
   */
  adopt(
    socket: Socket,
    tail: Buffer,
    facts: WebSocketFacts,
  ): { readonly transport: WebSocketTransport; attach(connection: Connection): void } | undefined {
    const endpoint = [...this.#endpoints.values()].find(({ kind }) => kind === facts.kind);
    if (endpoint === undefined) return undefined;
    socket.on('error', onSocketError);
    const tracker = track(socket);
    const ws = endpoint.handshake.adopt(socket, tail, facts);
    socket.off('error', onSocketError);
    if (ws === undefined) return undefined;
    const transport = endpoint.transport({ ws, socket, tracker, ...this.#io }, facts);
    return {
      transport,
      attach: (connection) => transport.attach(connection, this.#deps.opener.counters),
    };
  }

  #serveBidirectional({ bidirectional, closeTimeoutMs }: UpgradeOptions): void {
    if (bidirectional === undefined) return;
    const { path, maxMessageBytes, compression } = bidirectional;
    const { opener, sessions } = this.#deps;
    const compressed = compression && {
      json: deflated(WireFormats.websocketJson, compression),
      protobuf: deflated(WireFormats.websocketProtobuf, compression),
    };
    const endpoint: Endpoint = {
      kind: 'websocket',
      handshake: new WebSocketHandshake({
        maxMessageBytes,
        closeTimeoutMs,
        maxDecompressedBytes: compression?.maxMessageBytes,
      }),
      transport: (opened, { encoding, hasNativePing, compresses }) => {
        const plain = encoding === 'json' ? WireFormats.websocketJson : WireFormats.websocketProtobuf;
        const format = compresses && compressed !== undefined ? compressed[encoding] : plain;
        const Transport = hasNativePing ? NativePingTransport : WebSocketTransport;
        return new Transport(opened, format);
      },
      open: (opened, request, query, compresses) => {
        const transport = endpoint.transport(opened, {
          encoding: encodingOf(opened.ws.protocol, query),
          hasNativePing: query.get('cf_ws_frame_ping_pong') === 'true',
          compresses,
        });
        const connection = opener.open(transport, sessions.read(request, query, false));
        transport.attach(connection, opener.counters);
      },
    };
    this.#endpoints.set(path, endpoint);
  }

  #serveUnidirectional({ unidirectional, closeTimeoutMs }: UpgradeOptions): void {
    if (unidirectional === undefined) return;
    const { path, maxMessageBytes, joinsPushes } = unidirectional;
    const { opener, sessions } = this.#deps;
    const format = joinsPushes ? WireFormats.uniWebsocketJoined : WireFormats.uniWebsocket;
    const options = { ...unidirectional, closeTimeoutMs };
    const endpoint: Endpoint = {
      kind: 'uni_websocket',
      handshake: new WebSocketHandshake({ maxMessageBytes, closeTimeoutMs, maxDecompressedBytes: undefined }),
      transport: (opened) => new UniWebSocketTransport(opened, format, jsonCodec, options),
      open: (opened, request, query, compresses) => {
        const facts = { encoding: format.encoding, hasNativePing: false, compresses };
        const transport = endpoint.transport(opened, facts);
        const connection = opener.open(transport, sessions.read(request, query, true));
        transport.attach(connection, opener.counters);
        const payload = query.get('cf_connect');
        if (payload !== null) connection.onFrame(connectFrame(Buffer.from(payload)));
      },
    };
    this.#endpoints.set(path, endpoint);
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

function encodingOf(protocol: string, query: URLSearchParams): Encoding {
  const wantsProtobuf =
    protocol === PROTOBUF_PROTOCOL ||
    (protocol === '' && (query.get('format') === 'protobuf' || query.get('cf_protocol') === 'protobuf'));
  return wantsProtobuf ? 'protobuf' : 'json';
}
