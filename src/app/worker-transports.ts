// The ways in for clients that a configuration switches on, tied together for one worker.
import type { Server } from 'node:http';
import { OriginPolicy } from '../auth/origins.ts';
import type { Config } from '../config/schema.ts';
import type { Connection } from '../connection/connection.ts';
import type { ConnectionShared } from '../connection/surroundings.ts';
import type { NodeBus } from '../engine/node-bus.ts';
import type { Admission } from '../gateway/admission.ts';
import { SessionReader } from '../gateway/client-request.ts';
import { ConnectionOpener } from '../gateway/connection-opener.ts';
import { Cors } from '../gateway/cors.ts';
import type { EmulatedSessions } from '../gateway/emulated-sessions.ts';
import { EmulationRoute } from '../gateway/emulation-route.ts';
import type { RouteGroup } from '../gateway/http-server.ts';
import { type StreamEndpoint, StreamRoutes } from '../gateway/stream-routes.ts';
import { UpgradeHandler, type UpgradeOptions } from '../gateway/upgrade.ts';
import { websocketHint } from '../gateway/websocket-hint.ts';
import type { HotCounters } from '../observe/hot-counters.ts';
import { TrustedProxies } from '../util/client-address.ts';
import type { Clock } from '../util/clock.ts';
import { forwardedHeaderNames } from './webhook-settings.ts';

export interface ClientTransportsDeps {
  readonly shared: ConnectionShared;
  readonly emulated: EmulatedSessions;
  readonly admission: Admission;
  readonly bus: NodeBus;
  readonly counters: HotCounters;
  readonly clock: Clock;
  readonly onOpened: (connection: Connection) => void;
  readonly onAdopted: (connection: Connection) => void;
}

export interface ClientTransports {
  readonly groups: readonly RouteGroup[];
  readonly upgrades: UpgradeHandler;
  readonly opener: ConnectionOpener;
  /** Takes the upgrade requests of the public server. */
  attach(server: Server): void;
}

/** A decompressed message may be so much larger than `websocket.message_size_limit` unless configured. */
const DECOMPRESSION_FACTOR = 10;

export function clientTransports(deps: ClientTransportsDeps, config: Config): ClientTransports {
  const { shared, admission, counters, clock, onOpened, onAdopted } = deps;
  const { client, websocket, uni_websocket: uniWebsocket } = config;
  const origins = new OriginPolicy(client.allowed_origins);
  const cors = new Cors({ origins, refusals: counters.admissionRefusals });
  const opener = new ConnectionOpener({ shared, counters, onOpened, onAdopted });
  const kept = keptHeaders(config);
  const sessions = new SessionReader(
    { clock },
    {
      keptHeaders: kept,
      tokenCookie: client.token_cookie,
      // Where the application sees the header, what is in it is for the application.
      takesBearer: !kept.includes('authorization'),
      proxies: new TrustedProxies(config.admission.trusted_proxies),
    },
  );
  const upgrades = new UpgradeHandler({ opener, sessions, admission, origins }, upgradeOptions(config));
  const groups: RouteGroup[] = [];
  if (!websocket.disabled) groups.push(websocketHint(websocket.handler_prefix));
  if (uniWebsocket.enabled) groups.push(websocketHint(uniWebsocket.handler_prefix));
  const endpoints = streamEndpoints(config);
  if (endpoints.length > 0) {
    const { codecs } = shared;
    const routes = { opener, sessions, admission, cors, codecs };
    groups.push(new StreamRoutes(routes, { endpoints, closeTimeoutMs: websocket.write_timeout }));
  }
  if (config.http_stream.enabled || config.sse.enabled) {
    const { handler_prefix: path, max_request_body_size: maxBodyBytes } = config.emulation;
    const { bus, emulated } = deps;
    groups.push(new EmulationRoute({ bus, sessions: emulated, cors }, { path, maxBodyBytes }));
  }
  return { groups, upgrades, opener, attach: (server) => upgrades.attach(server) };
}

function keptHeaders(config: Config): readonly string[] {
  const userIdHeader = config.client.user_id_http_header.toLowerCase();
  return [...(userIdHeader === '' ? [] : [userIdHeader]), ...forwardedHeaderNames(config).http];
}

function upgradeOptions({ websocket, uni_websocket: uni }: Config): UpgradeOptions {
  const limit = websocket.message_size_limit;
  return {
    bidirectional: websocket.disabled
      ? undefined
      : {
          path: websocket.handler_prefix,
          maxMessageBytes: limit,
          compression: websocket.compression
            ? {
                level: websocket.compression_level,
                minBytes: websocket.compression_min_size,
                maxMessageBytes: websocket.decompressed_message_size_limit || limit * DECOMPRESSION_FACTOR,
              }
            : undefined,
        },
    unidirectional: uni.enabled
      ? {
          path: uni.handler_prefix,
          maxMessageBytes: uni.message_size_limit,
          joinsPushes: uni.join_push_messages,
          disconnectPush: !uni.disable_disconnect_push,
          closingHandshake: !uni.disable_closing_handshake,
        }
      : undefined,
    closeTimeoutMs: websocket.write_timeout,
  };
}

function streamEndpoints(config: Config): readonly StreamEndpoint[] {
  const kinds = ['http_stream', 'sse', 'uni_http_stream', 'uni_sse'] as const;
  return kinds
    .filter((kind) => config[kind].enabled)
    .map((kind) => ({
      kind,
      path: config[kind].handler_prefix,
      maxBodyBytes: config[kind].max_request_body_size,
    }));
}
