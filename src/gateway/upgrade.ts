// From an HTTP upgrade request to a connection: admission first, then the handshake, then the protocol.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { OriginPolicy } from '../auth/origins.ts';
import { Connection, type ConnectionShared } from '../connection/connection.ts';
import { type Session, signsOfLife } from '../connection/session.ts';
import type { HotCounters } from '../observe/hot-counters.ts';
import { type WireFormat, WireFormats } from '../protocol/wire-format.ts';
import type { Clock } from '../util/clock.ts';
import type { Admission } from './admission.ts';
import { GatewaySocket, NativePingTransport, WebSocketTransport } from './websocket-transport.ts';

export interface UpgradeDeps {
  readonly shared: ConnectionShared;
  readonly admission: Admission;
  readonly origins: OriginPolicy;
  readonly counters: HotCounters;
  readonly clock: Clock;
  readonly onOpened: (connection: Connection) => void;
}

export interface UpgradeOptions {
  /** Undefined: WebSocket is switched off. */
  readonly path: string | undefined;
  readonly maxMessageBytes: number;
  /** How long the closing handshake may take until the socket is destroyed. */
  readonly closeTimeoutMs: number;
  /** Lower-case names of request headers that are kept for later. */
  readonly keptHeaders: readonly string[];
}

const PROTOBUF = 'centrifuge-protobuf';
const JSON_PROTOCOL = 'centrifuge-json';
const SID = /^[\w-]{20}$/;

export class UpgradeHandler {
  readonly #deps: UpgradeDeps;
  readonly #options: UpgradeOptions;
  readonly #server: WebSocketServer;

  constructor(deps: UpgradeDeps, options: UpgradeOptions) {
    this.#deps = deps;
    this.#options = options;
    // A variable, as the published types do not know `closeTimeout` yet.
    const serverOptions = {
      noServer: true,
      WebSocket: GatewaySocket,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.maxMessageBytes,
      closeTimeout: options.closeTimeoutMs,
      // Only what the peer offered and we speak is echoed; a JSON client offers nothing and gets nothing (§2.1).
      handleProtocols: (offered: Set<string>) =>
        [PROTOBUF, JSON_PROTOCOL].find((name) => offered.has(name)) ?? (false as const),
    };
    this.#server = new WebSocketServer(serverOptions);
  }

  attach(server: Server): void {
    server.on('upgrade', this.#onUpgrade);
  }

  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', onSocketError);
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    if (path !== this.#options.path) return refuse(socket, 404);
    if (!this.#deps.origins.allows(request.headers.origin)) return this.#refuse(socket, 403, 'origin');
    const refusal = this.#deps.admission.refusal();
    if (refusal !== undefined) return this.#refuse(socket, 503, refusal);
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      socket.off('error', onSocketError);
      if (ws instanceof GatewaySocket) this.#open(ws, socket, request, new URLSearchParams(query));
    });
  };

  #open(ws: GatewaySocket, socket: Duplex, request: IncomingMessage, query: URLSearchParams): void {
    const { shared, counters, onOpened } = this.#deps;
    const format = formatOf(ws.protocol, query);
    const Transport =
      query.get('cf_ws_frame_ping_pong') === 'true' ? NativePingTransport : WebSocketTransport;
    const transport = new Transport(ws, socket, format);
    const sid = query.get('sid') ?? '';
    const connection = new Connection(transport, this.#session(request, SID.test(sid) ? sid : ''), shared);
    counters.opened.cell(transport.kind, format.encoding).value += 1;
    onOpened(connection);
    transport.attach(connection, counters);
  }

  #session(request: IncomingMessage, sid: string): Session {
    const connectedAtWallMs = this.#deps.clock.wallMs();
    return {
      client: randomUUID(),
      secret: '',
      sid,
      user: '',
      connInfo: undefined,
      meta: undefined,
      name: '',
      version: '',
      expireAtWallMs: Infinity,
      clientSideRefresh: false,
      tokenChannels: NO_CHANNELS,
      connectedAtWallMs,
      remoteAddress: request.socket.remoteAddress ?? '',
      userAgent: (request.headers['user-agent'] ?? '').slice(0, MAX_USER_AGENT_LENGTH),
      headers: pick(request.headers, this.#options.keptHeaders),
      emulatedHeaders: NO_HEADERS,
      signs: signsOfLife(connectedAtWallMs),
    };
  }

  #refuse(socket: Duplex, status: 403 | 503, reason: string): void {
    this.#deps.counters.admissionRefusals.cell(reason).value += 1;
    refuse(socket, status);
  }
}

/** Enough to tell what it is; it stays in memory as long as the connection. */
const MAX_USER_AGENT_LENGTH = 256;
const NO_CHANNELS: readonly string[] = Object.freeze([]);
const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

const STATUS_LINES = { 403: 'Forbidden', 404: 'Not Found', 503: 'Service Unavailable' } as const;

function refuse(socket: Duplex, status: keyof typeof STATUS_LINES): void {
  const retry = status === 503 ? 'Retry-After: 1\r\n' : '';
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_LINES[status]}\r\nConnection: close\r\n${retry}Content-Length: 0\r\n\r\n`,
    () => socket.destroy(),
  );
}

/** A peer that resets before or during the handshake is nobody's fault. */
function onSocketError(this: Duplex): void {
  this.destroy();
}

function formatOf(protocol: string, query: URLSearchParams): WireFormat {
  const wantsProtobuf =
    protocol === PROTOBUF ||
    (protocol === '' && (query.get('format') === 'protobuf' || query.get('cf_protocol') === 'protobuf'));
  return wantsProtobuf ? WireFormats.websocketProtobuf : WireFormats.websocketJson;
}

function pick(
  headers: IncomingMessage['headers'],
  names: readonly string[],
): Readonly<Record<string, string>> {
  if (names.length === 0) return NO_HEADERS;
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = headers[name];
    if (value !== undefined) picked[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return picked;
}
